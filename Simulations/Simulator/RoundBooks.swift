import Contracts
import Cryptography
import Ledger
import Wire

/// The auditor's own books of runs and rounds: what was named, counted and averaged in them.
struct RoundBooks {
    private struct Update {
        let update: Digest
        let manifest: Digest
        let examples: UInt32
    }

    private struct Round {
        let base: Digest
        /// Once the block that opened it is through.
        var standing: Standing?
        var updates: [String: Update] = [:]
        /// The first word of an honest voter on what it came to.
        var word: WireRoundChecked?
    }

    private struct Run {
        /// Rounds that it still owes.
        var owed: UInt32
        /// Once the block that started it is through.
        var standing: Standing?
        var offers: [String: Digest] = [:]
        var isFixed = false
    }

    private struct Place: Hashable, CustomStringConvertible {
        let run: UInt32
        let round: UInt32

        var description: String { "round \(run).\(round)" }
    }

    /// What was counted of all rounds so far.
    struct Tally {
        var rounds = 0
        var answers = 0
        var refusals = 0
    }

    private unowned let world: World
    private var books = ConsentBooks()
    private var runs: [UInt32: Run] = [:]
    private var rounds: [Place: Round] = [:]
    private(set) var tally = Tally()

    init(world: World) { self.world = world }

    /// Whether a run has begun that is not over.
    var isRunning: Bool { !runs.isEmpty }

    private var isBeyond: Bool { world.options.scenario == .beyond }

    private func require(
        _ holds: Bool, _ invariant: String, _ detail: @autoclosure () -> String
    ) throws {
        guard !holds else { return }
        throw Violation(invariant, detail())
    }

    /// Takes the accepted transactions of the next settled block.
    ///
    /// - Parameters:
    ///   - block: settled.
    ///   - effects: of its transactions, in order.
    ///   - state: after it.
    /// - Throws: ``Violation`` when the block breaks an invariant.
    mutating func take(_ block: Block, effects: [WireEffect], state: StateTables) throws {
        let said = block.envelopes.flatMap { envelope in
            envelope.transactions.map { (envelope.signer, $0.body) }
        }
        var closed: [WireRoundClose] = []
        for ((signer, body), effect) in zip(said, effects) where effect.outcome == 0 {
            switch body {
            case .consentGrant(let grant): try books.note(grant, by: signer)
            case .consentWithdraw(let withdrawal): books.note(withdrawal)
            case .recordRegister(let record): books.note(record, by: signer)
            case .runStart(let start):
                let most = world.genesis.agreement.training.rounds
                runs[start.run] = Run(owed: start.rounds == 0 ? most : start.rounds)
            case .runStop(let stop): runs[stop.run] = nil
            case .referenceOffer(let offer):
                runs[offer.run]?.offers[signer.text] = Digest(offer.records)
            case .roundOpen(let open):
                rounds[Place(run: open.run, round: open.round)] =
                    Digest(open.baseModel).map { Round(base: $0) }
            case .updateSubmit(let update): try note(update, by: signer)
            case .roundChecked(let word): try note(word, by: signer)
            case .roundClose(let close): closed.append(close)
            default: break
            }
        }
        open(at: block.height.value, state)
        try checkReferences(in: state)
        for close in closed { try check(close) }
    }

    /// What may be named in a run or a round is what stands once its block is through.
    private mutating func open(at height: UInt64, _ state: StateTables) {
        let rule = world.genesis.agreement.training
        for number in runs.keys where runs[number]?.standing == nil {
            runs[number]?.standing = books.standing(
                for: .evaluation, at: height, state: state, rule)
        }
        for place in rounds.keys where rounds[place]?.standing == nil {
            rounds[place]?.standing = books.standing(for: .training, at: height, state: state, rule)
        }
    }

    private mutating func note(_ update: WireUpdateSubmit, by signer: AccountID) throws {
        guard let delta = Digest(update.update), let manifest = Digest(update.manifest) else {
            throw Violation("round", "\(signer) submitted a malformed update")
        }
        rounds[Place(run: update.run, round: update.round)]?.updates[signer.text] = Update(
            update: delta, manifest: manifest, examples: update.examples)
    }

    /// Voters who follow the rules find the same of a round, whenever they look.
    private mutating func note(_ word: WireRoundChecked, by signer: AccountID) throws {
        guard world.node(signer)?.isHonest == true, !isBeyond else { return }
        let place = Place(run: word.run, round: word.round)
        guard let first = rounds[place]?.word else {
            rounds[place]?.word = word
            return
        }
        try require(first == word, "round-words", "\(signer) and another voter differ on \(place)")
    }

    // MARK: the reference set

    private mutating func checkReferences(in state: StateTables) throws {
        for (number, run) in runs.sorted(by: { $0.key < $1.key }) where !run.isFixed {
            guard let stored = state.value(at: StateKey(.runs, bigEndian(number))) else { continue }
            let fixed = try WireRunState(strictly: stored)
            guard !fixed.referenceRoot.isEmpty else { continue }
            runs[number]?.isFixed = true
            let offered = try run.offers.flatMap { try leaves(of: $0.value, by: $0.key, run) }
            let root = merkleRoot(offered.sorted { $0.item < $1.item }.map(\.leaf))
            try require(
                [UInt8](fixed.referenceRoot) == root.bytes && fixed.referenceCount == offered.count,
                "reference", "run \(number) is valued on other records than may be named for it")
        }
    }

    /// The records of an offer; none when a single one may not be named.
    private func leaves(
        of offer: Digest, by site: String, _ run: Run
    ) throws -> [(item: ItemID, leaf: Digest)] {
        guard let standing = run.standing, let bytes = world.blobs[offer],
            let records = try? WireReferenceRecords(strictly: bytes).records
        else { return [] }
        var leaves: [(item: ItemID, leaf: Digest)] = []
        for record in records {
            guard let item = ItemID(record.item),
                try standing.objection(to: record.item, of: site) == nil,
                let approved = try standing.approved(record.item),
                standing.label(of: approved) == record.label,
                standing.record(record.item)?.contentTag
                    == hmacSHA256(key: world.contentKey, [UInt8](record.content)).bytes,
                leaves.last.map({ $0.item < item }) ?? true
            else { return [] }
            leaves.append((item, leafHash(record.encoded())))
        }
        return leaves
    }

    // MARK: closing

    private mutating func check(_ close: WireRoundClose) throws {
        let place = Place(run: close.run, round: close.round)
        guard let round = rounds[place], let standing = round.standing else {
            throw Violation("round", "\(place) was closed and never opened")
        }
        let values = try WireRoundValues(strictly: [UInt8](close.values))
        var named: [[UInt8]: UInt32] = [:]
        var counted: [(update: Digest, weight: UInt32)] = []
        for entry in values.sites {
            guard entry.answer == "answered" else {
                try checkUncounted(entry, round, place)
                if entry.answer == "refused" { tally.refusals += 1 }
                continue
            }
            guard let update = round.updates[entry.site] else {
                throw Violation("round", "\(place) counts \(entry.site), which sent no update")
            }
            let patients = try patients(of: update.manifest, by: entry.site, standing, place)
            try require(
                entry.verified == UInt32(patients.count) && entry.verified == update.examples,
                "round",
                "\(place) counts \(entry.verified) records of \(entry.site), whose "
                    + "manifest names \(patients.count)")
            for patient in patients { named[patient, default: 0] += 1 }
            counted.append((update.update, entry.verified))
            tally.answers += 1
        }
        try require(
            values.patients.count == named.count
                && values.patients.allSatisfy { named[[UInt8]($0.patient)] == $0.records },
            "round", "\(place) counts other records of its patients than its manifests name")
        let average = try plainAverage(of: counted, from: round.base, place)
        try require(
            [UInt8](close.model) == Digest.sha256(average).bytes, "model",
            "\(place) is closed with a model that is not the average of its updates")
        tally.rounds += 1
        rounds[place] = nil
        runs[close.run]?.owed -= 1
        if runs[close.run]?.owed == 0 { runs[close.run] = nil }
    }

    /// Who follows the rules is never refused.
    private func checkUncounted(_ entry: WireSiteValue, _ round: Round, _ place: Place) throws {
        let hasSent = round.updates[entry.site] != nil
        try require(
            entry.verified == 0 && (entry.answer == "refused") == hasSent, "round",
            "\(place) says \(entry.answer) of \(entry.site)")
        let isHonest = AccountID(entry.site).flatMap { world.node($0) }?.isHonest == true
        try require(
            !hasSent || !isHonest || isBeyond, "honest-refused",
            "\(place) refuses \(entry.site): \(entry.reason)")
    }

    /// The patients of the records that a counted manifest names, each of which it may name.
    private func patients(
        of manifest: Digest, by site: String, _ standing: Standing, _ place: Place
    ) throws -> [[UInt8]] {
        guard let bytes = world.blobs[manifest],
            let manifest = try? WireManifest(strictly: bytes)
        else { throw Violation("manifest", "\(place) counts a manifest of \(site) that is none") }
        var seen: Set<String> = []
        return try manifest.entries.map { entry in
            if let objection = try standing.objection(to: entry.record, of: site) {
                throw Violation(objection.invariant, "\(place): \(objection.detail)")
            }
            let item = try standing.approved(entry.item)
            try require(
                seen.insert(entry.record).inserted && entry.item == entry.record
                    && item?.closeEnvelope == entry.closeEnvelope
                    && item?.closeIndex == entry.closeIndex, "manifest",
                "\(place): \(site) names \(entry.record) twice, or not as it was approved")
            return standing.record(entry.record)?.patient ?? []
        }
    }

    /// base + Σ nᵢuᵢ / Σ nᵢ over the bytes of the files, sites ascending, rounded once.
    ///
    /// All files of a run have the header of the model that it began with.
    private func plainAverage(
        of updates: [(update: Digest, weight: UInt32)], from base: Digest, _ place: Place
    ) throws -> [UInt8] {
        guard let start = world.blobs[base], start.count >= 8 else {
            throw Violation("model", "\(place) starts from a model that nobody has")
        }
        guard !updates.isEmpty else { return start }
        let header = 8 + start[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let total = updates.reduce(0.0) { $0 + Double($1.weight) }
        var model = Array(start[..<header])
        for number in stride(from: header, to: start.count, by: 4) {
            var sum = 0.0
            for (digest, weight) in updates {
                guard let bytes = world.blobs[digest], bytes.count == start.count else {
                    throw Violation("model", "\(place) counts an update of another shape")
                }
                sum += Double(weight) * Double(float(bytes, number))
            }
            let value = Float(Double(float(start, number)) + sum / total)
            withUnsafeBytes(of: value.bitPattern.littleEndian) { model.append(contentsOf: $0) }
        }
        return model
    }
}

private func float(_ bytes: [UInt8], _ place: Int) -> Float {
    Float(bitPattern: bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
}
