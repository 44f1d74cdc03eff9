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
            do {
                let transactions = try transactions(for: duty)
                reported[duty] = world.now
                try contributeOwn(transactions)
            } catch {
                if isFatal(error) { throw error }
                world.trace { "\(account) must wait with \(duty): \(error)" }
            }
        }
    }
}

/// Thirty-two bytes that a name stands for: a pseudonym, a model, a blob.
func named(_ name: String) -> [UInt8] { Digest.sha256(Array(name.utf8)).bytes }
