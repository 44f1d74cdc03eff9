package import Contracts
package import Cryptography
import Federation
import Foundation
package import Ledger
import Replay
import Storage
package import Wire

/// Why a decision, ballot or status is not taken.
package enum GovernanceRefusal: Error, CustomStringConvertible {
    case malformed(TermFault)
    case impossible(Rejection)
    case notAbove(Term)
    case noVoter(AccountID)
    case foreignReceipt
    case flood

    package var description: String {
        switch self {
        case .malformed(let fault): "the decision is malformed: \(fault)"
        case .impossible(let rejection): "the decision cannot be carried out: \(rejection)"
        case .notAbove(let term):
            "the decision must name a term above \(term); propose it anew"
        case .noVoter(let account):
            "\(account) holds no voting key of the sets in force, so it has no ballot"
        case .foreignReceipt:
            "the receipt is not the coordinator's promise for this envelope; the coordinator lies, "
                + "or another node answers for it"
        case .flood:
            "the exchange names more decisions, ballots, statuses or votes than the voters sign"
        }
    }
}

extension NodeCore {
    /// Terms that were opened, and the head's rules.
    package var terms: TermHistory { replica.head.terms }

    /// Whom this node follows: the coordinator that it signed a status for, else the head's.
    package func followed() -> AccountID {
        let open = terms.newest.term
        if replica.journal.term > open {
            let promised = desk.decisions(above: open).last { decision in
                decision.term == replica.journal.term
                    && desk.reports(for: decision.hash).contains { $0.status.voter == account }
            }
            if let promised { return promised.coordinator }
        }
        let isOwn =
            account.role == .coordinator
            && supportedDecisions().contains { $0.coordinator == account }
        return isOwn ? account : terms.newest.coordinator
    }

    // MARK: ballots

    /// Takes a person's word on a decision; the others are told at the next heartbeat.
    ///
    /// - Parameters:
    ///   - bytes: of the decision.
    ///   - isBallot: whether this organisation is for it.
    /// - Throws: ``GovernanceRefusal``.
    package func take(decision bytes: [UInt8], isBallot: Bool) throws {
        let decision: Decision
        do {
            decision = try Decision(strictly: bytes, network: genesis.network)
        } catch { throw GovernanceRefusal.malformed(error) }
        let highest = max(terms.newest.term, replica.journal.term)
        guard decision.term > highest else { throw GovernanceRefusal.notAbove(highest) }
        do {
            try replica.check(decision)
        } catch { throw GovernanceRefusal.impossible(error) }
        let key = replica.speakingSets.lazy.compactMap { set in
            self.keys.voteKeys.first { set.keys[self.account] == $0.verifyingKey }
        }.first
        guard let key else { throw GovernanceRefusal.noVoter(account) }
        try store.keep(decision)
        desk.add(decision)
        guard isBallot else { return }
        let ballot = try Ballot(
            decision: decision.hash, voter: account, network: genesis.network, key: key)
        try store.keep(ballot)
        desk.add(ballot)
        membersChanged = true
        try signStatuses()
    }

    /// Decisions above the present term for which a quorum of every set that decides is.
    func supportedDecisions() -> [Decision] {
        desk.supported(
            by: replica.decidingSets, above: terms.newest.term, network: genesis.network)
    }

    /// Signs a status where this organisation's people are for a decision and a quorum agrees.
    ///
    /// Ballots come first, for a status cannot be taken back.
    private func signStatuses() throws {
        for decision in supportedDecisions() where decision.term > replica.journal.term {
            guard desk.ballots(for: decision.hash).contains(where: { $0.voter == account }) else {
                continue
            }
            let commitment: StatusCommitment
            do throws(StatusRefusal) {
                commitment = try replica.status(for: decision)
            } catch { continue }
            try store.commit(commitment)
            replica.advance(by: commitment)
            for report in try store.statusReports() { desk.add(report) }
        }
    }

    // MARK: what was handed in

    /// Keeps an envelope that the coordinator accepted, until it is settled.
    ///
    /// - Throws: ``GovernanceRefusal/foreignReceipt`` when the receipt is not the coordinator's
    ///   promise for this envelope.
    func keep(_ bytes: [UInt8], receipt wire: WireReceipt) throws {
        let envelope: Envelope
        do {
            envelope = try Envelope(strictly: bytes, network: genesis.network)
        } catch { throw AdmissionRefusal.malformed(error) }
        // A coordinator that is not in office yet may have accepted it.
        let coordinators =
            [terms.newest.coordinatorKey]
            + desk.decisions(above: terms.newest.term).map(\.coordinatorKey)
        let receipt = coordinators.lazy.compactMap {
            Receipt(wire, coordinator: $0, network: self.genesis.network)
        }.first
        guard let receipt, receipt.envelope == envelope.id else {
            throw GovernanceRefusal.foreignReceipt
        }
        try store.accept(envelope, receipt: wire.encoded())
    }

    /// Envelopes that were handed in and stand in no block of this node's chain.
    func handedIn() throws -> [Envelope] {
        try store.waitingEnvelopes().filter { !replica.holds($0.id) }
    }

    /// Whether a term above the first was opened, so that a coordinator may have been lost.
    func hasChangedHands() throws -> Bool { replica.settled.terms.terms.count > 1 }

    func knows(_ block: Digest) -> Bool { replica.tip(of: block) != nil }

    /// Whether this node must start anew to use the keys that `tally key rotate` made for it.
    ///
    /// It needs them beside the present ones as soon as a decision that most are for names them, and
    /// in their place once the chain lists them. Given is the signing key of the next set in this
    /// node's home.
    func awaitsKeys(_ next: VerifyingKey) throws -> Bool {
        let listed = try store.listedMember(account).map { [UInt8]($0.signingKey) }
        if listed == next.bytes { return keys.signing.verifyingKey != next }
        guard !keys.others.contains(where: { $0.verifyingKey == next }) else { return false }
        let opened = replica.unsettled.compactMap(\.block.opening?.decision)
        return (opened + supportedDecisions()).flatMap(\.members).contains {
            $0.account == account && $0.signingKey == next
        }
    }

    /// Forgets an envelope that can never be ordered.
    func giveUp(_ envelope: Digest) throws { try store.giveUp(envelope) }

    // MARK: telling each other

    /// What this node tells others: its head, and what it knows of terms to come.
    package func exchange() throws -> WireExchange {
        var exchange = WireExchange()
        let tip = replica.settled
        exchange.head = data(
            try Head(
                account: account, settled: tip.slot, block: tip.hash, logSize: tip.log.size,
                logRoot: tip.log.root, network: genesis.network, key: keys.signing
            ).bytes)
        if let newest = replica.unsettled.last?.block {
            exchange.newest.header = data(newest.headerBytes)
            exchange.newest.signature = data(newest.signature.bytes)
        }
        exchange.certificate = data(replica.journal.highest?.bytes ?? [])
        exchange.evidence = try offences().filter { !$0.isRecorded }
            .prefix(Self.evidenceLimit).map { data($0.id.bytes) }
        desk.tell(&exchange, above: terms.newest.term)
        return exchange
    }

    /// Takes what another node tells.
    ///
    /// - Throws: ``GovernanceRefusal/flood`` before any signature is checked.
    package func learn(from exchange: WireExchange) throws {
        guard !desk.isFlood(exchange, sets: replica.speakingSets) else {
            throw GovernanceRefusal.flood
        }
        try noteStatements(in: exchange)
        let news = desk.learn(
            from: exchange, sets: replica.speakingSets, above: terms.newest.term,
            network: genesis.network)
        guard !news.isEmpty else { return }
        for decision in news.decisions { try store.keep(decision) }
        for ballot in news.ballots { try store.keep(ballot) }
        membersChanged = true
        try signStatuses()
        wakeUp()
    }

    // MARK: opening a term

    /// The blocks that this node needs before it can open a term.
    package func missingForOpening() -> [Digest] {
        coordinator == nil ? [] : desk.missing(for: account, in: replica)
    }

    /// The first block of a term that a decision gives to this coordinator, once enough statuses
    /// are here; nil while there is none.
    func opening(by coordinator: inout Coordinator) throws -> Block? {
        desk.forget(upTo: terms.newest.term)
        for key in keys.proposing {
            let plan = try desk.plan(
                for: account, key: key.verifyingKey, in: replica,
                isOpened: store.hasFirstProposal(of:))
            guard let plan else { continue }
            // A decision may name the key that is to take the place of the present one.
            coordinator.use(key)
            return try coordinator.open(
                plan.opening, above: plan.parent, certificate: plan.certificate,
                replica: &replica, now: clock())
        }
        return nil
    }
}
