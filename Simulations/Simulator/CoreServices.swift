import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// The heartbeat, what was handed in, and duties.
extension Core {
    static let dutyRetry: Moment = 4_000

    // MARK: heartbeat

    func hear(_ answer: Result<Response, Unanswered>) throws {
        guard case .success(.exchange(let exchange)) = answer else { return }
        try learn(from: exchange)
        followed = chosenCoordinator()
    }

    /// Hands in again what a lost coordinator had accepted, once another one is in office.
    func handInAgain() throws {
        guard !isFollowedByItself, hasChangedHands, !isHandingIn else { return }
        handIn = handedIn()
        handInNext()
    }

    private func handInNext() {
        guard let envelope = handIn.first else {
            isHandingIn = false
            return
        }
        isHandingIn = true
        handIn.removeFirst()
        for blob in blobsNamed(by: envelope) where disk.tables.blobs.contains(blob) {
            world.tell(.blob(blob), from: account, to: followed)
        }
        _ = ask(followed, .submit(envelope.bytes), .handIn(envelope))
    }

    func handedIn(_ envelope: Envelope, _ answer: Result<Response, Unanswered>) throws {
        switch answer {
        case .success(.receipt(let receipt)):
            do {
                try keep(envelope.bytes, receipt: receipt)
            } catch is Refused {
                isHandingIn = false
                return
            }
        case .failure(.refused(let code)) where ["expired", "sequenceUsed"].contains(code):
            world.trace { "\(account) gives up \(envelope.id.short): \(code)" }
            try disk.giveUp(envelope.id)
        case .failure(.refused): break
        default:
            isHandingIn = false
            return
        }
        handInNext()
    }

    // MARK: own transactions

    /// Signs with this node's key and hands in.
    func contributeOwn(_ transactions: [WireTransaction]) throws {
        guard !transactions.isEmpty else { return }
        if isFollowedByItself {
            do {
                try contribute(transactions)
            } catch is Refused {}
            return
        }
        submitter.add(transactions)
        try perform(submitter.next())
    }

    func submitted(_ answer: Result<Response, Unanswered>) throws {
        try perform(try submitter.handle(answer, network: genesis.network))
    }

    private func perform(_ step: Submitter.Step) throws {
        switch step {
        case .ask(let request):
            if case .submit = request, let envelope = submitter.envelope {
                world.auditor.issued(envelope)
                for blob in blobsNamed(by: envelope) {
                    disk.putBlob(blob)
                    world.tell(.blob(blob), from: account, to: followed)
                }
            }
            _ = ask(followed, request, .submission)
        case .accepted(let envelope, let receipt):
            do {
                try keep(envelope.bytes, receipt: receipt)
                world.auditor.acknowledged(envelope, receipt, keeper: node)
            } catch is Refused {}
            try perform(submitter.next())
        case .dropped(let reason):
            world.trace { "\(account) drops a submission: \(reason)" }
            try perform(submitter.next())
        case .idle: break
        }
    }

    // MARK: duties

    func performDuties() throws {
        try refreshMembers()
        if try awaitsNewKeys() { return world.schedule(.renewKeys(self), after: 1) }
        let owed: [Duty]
        do {
            owed = try duties(
                of: account, in: disk.state, at: replica.settled.height,
                rules: replica.settled.terms.newest)
        } catch { throw Violation("state", "\(error)") }
        reported = reported.filter { owed.contains($0.key) }
        for duty in owed {
            if let last = reported[duty], world.now < last + Self.dutyRetry { continue }
            guard !submitter.isBusy else { return }
            reported[duty] = world.now
            try contributeOwn(try transactions(for: duty))
        }
    }

    /// What a voter says of a run; the blobs are names alone, the values follow from the state.
    private func transactions(for duty: Duty) throws -> [WireTransaction] {
        var changes = ChangeSet(above: disk.state)
        var transaction = WireTransaction()
        switch duty {
        case .offerReference(let run):
            transaction.referenceOffer.run = run
            transaction.referenceOffer.records = data(named("records \(run) \(account)"))
            transaction.referenceOffer.count = 1
        case .fixReference(let run):
            transaction.referenceFix.run = run
            transaction.referenceFix.root = data(named("reference \(run)"))
            transaction.referenceFix.count = 1
        case .openSeeds: return []  // The sites of the simulator list their readers.
        case .stopRun(let run): transaction.runStop.run = run
        case .openRound(let run, let round):
            transaction.roundOpen.run = run
            transaction.roundOpen.round = round
            transaction.roundOpen.baseModel = changes.run(run)?.model ?? data([])
        case .train(let run, let round):
            transaction.updateSubmit.run = run
            transaction.updateSubmit.round = round
            transaction.updateSubmit.update = data(named("update \(run).\(round) \(account)"))
            transaction.updateSubmit.manifest = data(named("manifest \(run).\(round) \(account)"))
            transaction.updateSubmit.examples = 1
        case .checkRound(let run, let round):
            transaction.roundChecked.run = run
            transaction.roundChecked.round = round
            transaction.roundChecked.model = data(named("model \(run).\(round)"))
            let values = roundValues(run, round, &changes).encoded()
            transaction.roundChecked.values = data(Digest.sha256(values).bytes)
        case .closeRound(let run, let round):
            transaction.roundClose.run = run
            transaction.roundClose.round = round
            transaction.roundClose.model = data(named("model \(run).\(round)"))
            transaction.roundClose.values = data(roundValues(run, round, &changes).encoded())
        }
        return [transaction]
    }

    /// Values that every voter finds alike: they depend on the round's updates alone.
    private func roundValues(
        _ number: UInt32, _ round: UInt32, _ changes: inout ChangeSet
    ) -> WireRoundValues {
        var values = WireRoundValues()
        let run = changes.run(number)
        let answered = Set((changes.round(number, round)?.updates ?? []).map(\.site))
        values.sites = (run?.roster ?? []).map { site in
            var value = WireSiteValue()
            value.site = site
            value.answer = answered.contains(site) ? "answered" : "late"
            let drawn = named("value \(number).\(round) \(site)")
            value.verified = answered.contains(site) ? UInt32(drawn[0] % 7) : 0
            value.shapley = answered.contains(site) ? Int64(drawn[1]) - 100 : 0
            return value
        }
        let opened = changes.round(number, round)?.openedHeight ?? 0
        let patients = changes.entries(in: .records).compactMap { entry -> [UInt8]? in
            guard let record = try? WireRecordState(strictly: entry.value),
                record.registeredHeight < opened
            else { return nil }
            return [UInt8](record.patient)
        }
        values.patients = Set(patients).sorted { $0.lexicographicallyPrecedes($1) }.map { patient in
            var entry = WirePatientRecords()
            entry.patient = data(patient)
            entry.records = 1 + UInt32(patient[0] % 3)
            return entry
        }
        values.shapleyDenominator = 6
        return values
    }
}

/// Thirty-two bytes that a name stands for: a pseudonym, a model, a blob.
func named(_ name: String) -> [UInt8] { Digest.sha256(Array(name.utf8)).bytes }
