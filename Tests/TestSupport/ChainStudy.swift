import Contracts
import Cryptography
import Foundation
import Ledger
import Replay
import Storage
import Training
import Wire

/// One record of the test study.
struct StudyRecord {
    let site: AccountID
    let item: ItemID
    let use: WireRecordUse
    /// One per reader that answers.
    let grades: [UInt32]
    let content: [UInt8]

    var patient: [UInt8] { named("patient of \(item)") }
    var tag: [UInt8] { hmacSHA256(key: StoredChain.contentKey, content).bytes }
}

extension StoredChain {
    /// A whole study: consent, records, readings, a period, and a run of two rounds.
    ///
    /// Some items are disputed, one has too few answers, a reader never reveals, a record is a
    /// duplicate, a consent is withdrawn, and a transaction is rejected.
    package mutating func study() throws {
        try enrol()
        let records = try studyRecords()
        try registerAll(records)
        try readAll(records)
        try submit([.closePeriod(1)], by: Consortium.coordinator)
        try settle()
        try startRun(records)
        for round in 1...2 { try train(UInt32(round), records) }
        try moveMoney()
        let last = records[records.count - 1]
        try submit([.withdraw(last.patient, [.evaluation])], by: last.site)
        try openTerm()
        // Windows run out: every block closes what is due.
        for _ in 0..<9 { try step() }
    }

    private mutating func enrol() throws {
        for site in Consortium.sites {
            try submit(
                Consortium.readers(of: site).map { .enrol(try memberDocument($0)) }, by: site)
        }
        // A rejected transaction has an effect, too.
        try submit([.closeItem("north/none")], by: Consortium.north)
        try settle()
    }

    /// An income and a payout, and a part of either taken back by the word of all sites.
    private mutating func moveMoney() throws {
        let model = [UInt8](try run().model)
        let sale = try submit(
            [.revenue(of: model, 7_000_000, reference: "sale-1")], by: Consortium.treasurer
        ).orThrow("the income")
        let request = try submit([.redeem(5_000)], by: Consortium.developer).orThrow("the request")
        try settle()
        try submit([.accept(request.bytes)], by: Consortium.treasurer)
        let payout = try submit(
            [.payOut(request.bytes, reference: "bank-1")], by: Consortium.treasurer
        ).orThrow("the payout")
        try settle()
        try takeBack(
            sale, from: ConsortiumAccount.payers, to: AccountID(kind: "revenue", name: "sale-1"),
            7_000_000, returned: 3_000_000)
        try takeBack(
            payout, from: ConsortiumAccount.redemption(of: Consortium.developer),
            to: ConsortiumAccount.payees, 5_000, returned: 4_000)
        try settle()
    }

    private mutating func takeBack(
        _ envelope: Digest, from debit: AccountID, to credit: AccountID, _ amount: UInt64,
        returned: UInt64
    ) throws {
        var posting = WirePosting()
        posting.debit = debit.text
        posting.credit = credit.text
        posting.microtokens = amount
        for site in Consortium.sites {
            try submit([.correction(envelope.bytes, posting, returned: returned)], by: site)
        }
    }

    private func studyRecords() throws -> [StudyRecord] {
        try Consortium.sites.enumerated().flatMap { place, site in
            try (0..<8).compactMap { number -> StudyRecord? in
                guard let item = ItemID("\(site.name)/r\(number)") else { return nil }
                let grades: [UInt32] =
                    switch number {
                    case 2: [1, 5, 1, 5]
                    case 3: [4, 4]
                    default: number % 2 == 0 ? [5, 5, 4, 5] : [1, 2, 1, 1]
                    }
                let sign: Float = number % 2 == 0 ? 1 : -1
                let content = try canonicalRecord(features: [
                    ("diameter", sign * (0.5 + Float(number) / 8)),
                    ("volume", sign * Float(place + 1) / 7),
                ])
                return StudyRecord(
                    site: site, item: item, use: number > 5 ? .evaluation : .training,
                    grades: grades, content: content)
            }
        }
    }

    private mutating func registerAll(_ records: [StudyRecord]) throws {
        for site in Consortium.sites {
            var transactions: [WireTransaction] = []
            for record in records where record.site == site {
                transactions.append(.grant(record.patient, waive: record.item.text.hasSuffix("r1")))
                transactions.append(
                    .register(
                        record.item.text, of: record.patient, tag: record.tag, use: record.use,
                        readers: Consortium.readers(of: site).map(\.text)))
            }
            let first = records.first { $0.site == site }
            transactions.append(
                .register(
                    "\(site.name)/again", of: first?.patient ?? [], tag: first?.tag, readers: []))
            try submit(transactions, by: site)
        }
        try settle()
    }

    private mutating func readAll(_ records: [StudyRecord]) throws {
        func answers(_ reader: AccountID, _ seat: Int) throws -> [(ItemID, UInt32, [UInt8])] {
            try records.filter { reader.name.hasPrefix($0.site.name) && seat < $0.grades.count }
                .map {
                    ($0.item, $0.grades[seat], try salt(of: reader, for: $0.item, network: network))
                }
        }
        for site in Consortium.sites {
            for (seat, reader) in Consortium.readers(of: site).enumerated() {
                let commits = try answers(reader, seat).map { item, grade, salt in
                    WireTransaction.commit(
                        item.text,
                        answerCommitment(
                            network: network, item: item, annotator: reader, answer: .grade(grade),
                            salt: salt
                        ).bytes)
                }
                try submit(commits, by: reader)
            }
        }
        // Committed in this block; the next is the last for a commit to an item with two readers.
        for _ in 0..<2 { try step() }
        for site in Consortium.sites {
            for (seat, reader) in Consortium.readers(of: site).enumerated() {
                // The last reader of the west forgets the first item.
                let forgets = reader.name == "west-4" ? 1 : 0
                try submit(
                    answers(reader, seat).dropFirst(forgets).map {
                        .reveal($0.0.text, $0.1, salt: $0.2)
                    },
                    by: reader)
            }
        }
        // The reveal windows run out; the coordinator closes the items.
        for _ in 0..<8 { try step() }
    }

    private func round(_ round: UInt32) throws -> WireRoundState {
        var changes = ChangeSet(above: settled)
        return try changes.round(1, round).orThrow("round \(round)")
    }

    private func run() throws -> WireRunState {
        var changes = ChangeSet(above: settled)
        return try changes.run(1).orThrow("the run")
    }

    private mutating func startRun(_ records: [StudyRecord]) throws {
        let rule = genesis.agreement.training
        let model = try share(initialModel(of: rule))
        try submit([.startRun(1, from: model.bytes)], by: Consortium.developer)
        try settle()
        for site in Consortium.sites {
            var offer = WireReferenceRecords()
            offer.records = records.filter { $0.site == site && $0.use == .evaluation }.map {
                var record = WireReferenceRecord()
                record.item = $0.item.text
                record.content = data($0.content)
                record.label = $0.grades[0] > 3
                return record
            }
            let digest = try share(offer.encoded())
            try submit(
                [.offer(1, digest.bytes, count: UInt32(offer.records.count))], by: site)
        }
        try settle()
        let blobs = voters[0].blobs
        let reference = try assembleReference(
            run(), agreement: genesis.agreement, state: settled, contentKey: Self.contentKey,
            blob: { try blobs.read($0, upTo: $1) })
        for voter in Consortium.voters {
            try submit([.fix(1, reference.root.bytes, count: reference.count)], by: voter)
        }
        try settle()
    }

    private mutating func train(_ number: UInt32, _ records: [StudyRecord]) throws {
        try submit(
            [.openRound(1, number, base: [UInt8](run().model))], by: Consortium.coordinator)
        try settle()
        let opened = try round(number)
        for site in Consortium.sites {
            let (update, manifest, count) = try trained(site, opened, records)
            try submit(
                [
                    .submit(
                        1, number, update: share(update).bytes, manifest: share(manifest).bytes,
                        examples: count)
                ], by: site)
        }
        try settle()
        let run = try run()
        let blobs = voters[0].blobs
        let reference = try assembleReference(
            run, agreement: genesis.agreement, state: settled, contentKey: Self.contentKey,
            blob: { try blobs.read($0, upTo: $1) })
        var models = CoalitionMemory()
        let result = try RoundChecker(
            agreement: genesis.agreement, state: settled, blob: { try blobs.read($0, upTo: $1) }
        ).check(run, round: number, reference: reference.set, models: &models)
        _ = try share(result.model)
        for voter in Consortium.voters {
            try submit(
                [
                    .checked(
                        1, number, model: result.modelDigest.bytes,
                        values: Digest.sha256(result.values).bytes)
                ], by: voter)
        }
        try settle()
        try submit(
            [.closeRound(1, number, model: result.modelDigest.bytes, values: result.values)],
            by: Consortium.coordinator)
        try settle()
    }

    private func trained(
        _ site: AccountID, _ round: WireRoundState, _ records: [StudyRecord]
    ) throws -> (update: [UInt8], manifest: [UInt8], examples: UInt32) {
        let rule = genesis.agreement.training
        var changes = ChangeSet(above: settled)
        var manifest = WireManifest()
        var used: [TrainingRecord] = []
        for record in records where record.site == site && record.use == .training {
            guard
                let usable = try? usableRecord(
                    record.item, of: site, use: .training, openedAt: round.openedHeight, rule,
                    in: &changes),
                let values = features(ofCanonicalRecord: record.content, names: rule.features)
            else { continue }
            var entry = WireManifestEntry()
            entry.record = record.item.text
            entry.item = record.item.text
            entry.closeEnvelope = data(usable.closedBy.envelope.bytes)
            entry.closeIndex = usable.closedBy.index
            manifest.entries.append(entry)
            used.append(TrainingRecord(item: record.item, features: values, label: usable.label))
        }
        let base = try Digest(round.baseModel).orThrow("the base model")
        let delta = try trainer(of: rule).orThrow("the trainer").train(
            base: Safetensors(decoding: voters[0].blobs.read(base)).parameters, records: used,
            plan: TrainingPlan(
                localSteps: Int(rule.localSteps),
                learningRate: Double(rule.learningRateMillionths) / 1_000_000))
        return (try Safetensors(delta).encoded(), manifest.encoded(), UInt32(used.count))
    }
}

/// Something that the test study needs is not there.
struct Absent: Error { let what: String }

extension Optional {
    package func orThrow(_ what: String) throws -> Wrapped {
        guard let self else { throw Absent(what: what) }
        return self
    }
}
