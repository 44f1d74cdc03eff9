import Contracts
package import Cryptography
import Federation
import Foundation
package import Ledger
import Storage
package import Wire

/// What the coordinator's node does beyond voting: accept envelopes, count votes, propose.
extension NodeCore {
    /// Accepts an envelope and promises its inclusion.
    ///
    /// The same envelope again gets the first receipt.
    package func submit(_ bytes: [UInt8]) throws -> WireReceipt {
        guard var coordinator, coordinator.isInOffice(above: replica) else {
            throw notInOffice()
        }
        let sealed: SealedEnvelope
        do {
            sealed = try SealedEnvelope(strictly: bytes, network: genesis.network)
        } catch { throw AdmissionRefusal.malformed(error) }
        if let receipt = try store.receipt(of: sealed.id), isOwn(receipt) { return receipt }
        try coordinator.admit(sealed, above: &replica)
        let envelope: Envelope
        do { envelope = try Envelope(opening: sealed) } catch {
            throw AdmissionRefusal.malformed(error)
        }
        try requireBlobs(of: envelope)
        try coordinator.admit(envelope, above: &replica)
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: replica.head.height,
            block: replica.head.hash,
            promise: UInt64(replica.rules.agreement.chain.inclusionPromise),
            network: genesis.network, key: coordinator.key)
        try store.accept(envelope, receipt: receipt.wire.encoded())
        coordinator.keep(envelope)
        self.coordinator = coordinator
        wake.yield()
        return receipt.wire
    }

    /// Why nothing can be handed in here, and what helps.
    private func notInOffice() -> HomeError {
        let rules = replica.rules
        guard rules.coordinator == account,
            keys.retired.contains(where: { $0 == rules.coordinatorKey })
        else { return .foreign("\(account) is not the coordinator") }
        return .foreign(
            "\(account) was restored and may propose nothing until a decision brings its new keys in: "
                + "`tally site restore` makes them, the other voters decide on them with "
                + "`tally governance propose --rekey \(account.name).next-member`; until then "
                + "nothing new is ordered")
    }

    /// Whether this coordinator gave a receipt, and not one before it.
    private func isOwn(_ receipt: WireReceipt) -> Bool {
        keys.all.contains {
            Receipt(receipt, coordinator: $0.verifyingKey, network: genesis.network) != nil
        }
    }

    /// Puts the coordinator's own transactions into the next block.
    ///
    /// - Returns: the id of the envelope, once its block is durable.
    package func contribute(_ transactions: [WireTransaction]) async throws -> Digest {
        guard let coordinator, coordinator.isInOffice(above: replica) else {
            throw notInOffice()
        }
        let size = transactions.reduce(0) { $0 + $1.encoded().count }
        guard size <= Envelope.maximumBytes - (256 << 10) else {
            throw AdmissionRefusal.malformed(.tooLarge(bytes: size))
        }
        guard coordinator.hasRoom(for: transactions) else { throw AdmissionRefusal.poolFull }
        guard !isStopping else { throw Self.stopping }
        self.coordinator?.contribute(transactions)
        wake.yield()
        return try await withCheckedThrowingContinuation { contributors.append($0) }
    }

    /// Counts a vote for the newest proposal.
    package func count(_ bytes: [UInt8]) throws {
        let vote = try Vote(strictly: bytes)
        noteForeign(vote)
        try count(vote)
    }

    private func count(_ vote: Vote) throws {
        guard try coordinator?.count(vote) == true else { return }
        if let certificate = coordinator?.newestCertificate { replica.learn(certificate) }
        wake.yield()
    }

    /// Proposes the next block when it is due; the coordinator's organisation votes first.
    ///
    /// - Returns: the height of the new proposal; nil when nothing is due.
    package func propose() throws -> Height? {
        guard var coordinator else { return nil }
        if let block = unfinished {
            // Appended before a crash: it is repeated, never replaced.
            unfinished = nil
            leaveBehind(by: block)
            return try place(block)
        }
        if let block = try opening(by: &coordinator) {
            self.coordinator = coordinator
            return try append(block)
        }
        let interval = Duration.milliseconds(replica.rules.agreement.chain.blockIntervalMs)
        if let lastProposal, ContinuousClock.now - lastProposal < interval { return nil }
        let proposal = try coordinator.propose(above: &replica, now: clock())
        self.coordinator = coordinator
        guard let block = proposal else { return nil }
        return try append(block)
    }

    /// Lets wait again what a repeated first block leaves behind, as when it was made.
    ///
    /// Else a later envelope of the same signer is ordered first, and their sequences are used.
    private func leaveBehind(by block: Block) {
        guard block.isFirst else { return }
        coordinator?.takeBack(replica.branches(beside: block.header.previous))
    }

    private func append(_ block: Block) throws -> Height? {
        guard try store.append(block) else {
            throw HomeError.foreign("another block stands at \(block.slot)")
        }
        return try place(block)
    }

    /// Executes an appended block, votes for it, and waits for the others' votes.
    ///
    /// A clock that was set back makes this voter withhold its vote; it is tried again.
    private func place(_ block: Block) throws -> Height? {
        let votes: [Vote]
        switch try consider(block) {
        case .executed(let own), .known(let own): votes = own
        case .missingParent, .withheld:
            unfinished = block
            return nil
        }
        guard let tip = replica.tip(of: block.hash) else { return nil }
        coordinator?.appended(block, needing: tip.terms.certifying)
        lastProposal = .now
        for vote in votes { try count(vote) }
        let own = block.envelopes.last { $0.signer == account }?.id ?? block.hash
        for contributor in contributors { contributor.resume(returning: own) }
        contributors = []
        return block.height
    }

    /// Tells everybody who waits for the next block that there will be none.
    func releaseContributors() {
        isStopping = true
        for contributor in contributors { contributor.resume(throwing: Self.stopping) }
        contributors = []
    }

    private static let stopping = HomeError.foreign(
        "the coordinator is stopping; run the command again when it is up")
}
