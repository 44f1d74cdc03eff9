import Contracts
import Cryptography
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
        }
    }
}

extension NodeCore {
    /// Terms that were opened, and the head's rules.
    package var terms: TermHistory { replica.head.terms }

    /// Whom this node follows: the coordinator that it signed a status for, else the head's.
    package func followed() throws -> AccountID {
        let reports = try store.statusReports()
        for report in reports {
            let status = try? Status(strictly: [UInt8](report.status))
            guard let status, status.term > terms.newest.term else { continue }
            let decision = try store.decisions(above: terms.newest.term)
                .first { $0.hash == status.decision }
            if let decision { return decision.coordinator }
        }
        if account.role == .coordinator,
            try supportedDecisions().contains(where: { $0.coordinator == account })
        {
            return account
        }
        return terms.newest.coordinator
    }

    // MARK: ballots

    /// Takes a person's word on a decision and tells the others.
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
        guard decision.term > max(terms.newest.term, replica.journal.term) else {
            throw GovernanceRefusal.notAbove(max(terms.newest.term, replica.journal.term))
        }
        do {
            try check(decision, on: replica.headState, at: replica.head.height.next)
        } catch { throw GovernanceRefusal.impossible(error) }
        try store.keep(decision)
        guard isBallot else { return }
        let sets = terms.inForce
        let key = keys.voteKeys.first { key in
            sets.contains { $0.keys[account] == key.verifyingKey }
        }
        guard let key else { throw GovernanceRefusal.noVoter(account) }
        try store.keep(
            try Ballot(
                decision: decision.hash, voter: account, network: genesis.network, key: key))
        membersChanged = true
        try signStatuses()
    }

    /// Decisions above the present term for which a quorum of every set in force is.
    func supportedDecisions() throws -> [Decision] {
        let sets = terms.inForce
        return try store.decisions(above: terms.newest.term).filter { decision in
            let ballots = try store.ballots(for: decision.hash)
            return sets.allSatisfy { set in
                let voters = ballots.filter { $0.isGood(for: [set], network: genesis.network) }
                return Set(voters.map(\.voter)).count >= set.quorum
            }
        }
    }

    /// Signs a status where this organisation's people are for a decision and a quorum agrees.
    ///
    /// Ballots come first, for a status cannot be taken back.
    func signStatuses() throws {
        for decision in try supportedDecisions() where decision.term > replica.journal.term {
            let own = try store.ballots(for: decision.hash).contains { $0.voter == account }
            guard own else { continue }
            let commitment: StatusCommitment
            do throws(StatusRefusal) {
                commitment = try replica.status(for: decision)
            } catch { continue }
            try store.commit(commitment)
            replica.advance(by: commitment)
            for report in try store.statusReports() { news.keep(report) }
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
            + (try store.decisions(above: terms.newest.term).map(\.coordinatorKey))
        let receipt = coordinators.lazy.compactMap {
            Receipt(wire, coordinator: $0, network: genesis.network)
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

    /// Whether the settled chain lists the keys that `tally key rotate` made for this node, while it
    /// still runs with the ones before.
    func awaitsNewKeys() throws -> Bool {
        guard let listed = try store.listedMember(account) else { return false }
        let signing = [UInt8](listed.signingKey)
        return signing != keys.signing.verifyingKey.bytes && keys.next == signing
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
        for decision in try store.decisions(above: terms.newest.term).suffix(Self.decisionsTold) {
            let ballots = try store.ballots(for: decision.hash)
            guard !ballots.isEmpty else { continue }
            exchange.decisions.append(data(decision.bytes))
            exchange.ballots += ballots.map { data($0.bytes) }
            exchange.statuses += news.reports(for: decision.hash).map { data($0.report.encoded()) }
        }
        return exchange
    }

    /// Decisions told at once, and the most that are kept: people propose few.
    static let decisionsTold = 16

    /// Takes what another node tells.
    ///
    /// A decision counts once a voter in force is for it, so that nobody else can fill the disk.
    package func learn(from exchange: WireExchange) throws {
        let sets = terms.inForce
        let known = try store.decisions(above: terms.newest.term)
        var decisions = Dictionary(
            known.map { ($0.hash, $0) }, uniquingKeysWith: { first, _ in first })
        let ballots = exchange.ballots.compactMap { try? Ballot(strictly: [UInt8]($0)) }
            .filter { $0.isGood(for: sets, network: genesis.network) }
        let supported = Set(ballots.map(\.decision))
        var isNews = false
        for bytes in exchange.decisions.prefix(Self.decisionsTold) {
            let decision = try? Decision(strictly: [UInt8](bytes), network: genesis.network)
            guard let decision, decision.term > terms.newest.term,
                decisions[decision.hash] == nil, supported.contains(decision.hash),
                decisions.count < Self.decisionsTold
            else { continue }
            try store.keep(decision)
            decisions[decision.hash] = decision
            isNews = true
        }
        for ballot in ballots where decisions[ballot.decision] != nil {
            let held = try store.ballots(for: ballot.decision)
            guard !held.contains(where: { $0.voter == ballot.voter }) else { continue }
            try store.keep(ballot)
            isNews = true
        }
        for bytes in exchange.statuses {
            guard let report = try? WireStatusReport(strictly: [UInt8](bytes)),
                let status = try? Status(strictly: [UInt8](report.status)),
                decisions[status.decision]?.term == status.term,
                news.reports[status.decision]?[status] == nil,
                status.isGood(for: sets, network: genesis.network)
            else { continue }
            news.keep(report, of: status)
            isNews = true
        }
        guard isNews else { return }
        membersChanged = true
        try signStatuses()
        wakeUp()
    }

    // MARK: opening a term

    /// The blocks that this node needs before it can open a term: those with the highest
    /// certificates reported, as far as it does not hold them.
    package func missingForOpening() throws -> [Digest] {
        guard coordinator != nil else { return [] }
        let own = try supportedDecisions().filter { $0.coordinator == account }
        return own.flatMap { news.reports(for: $0.hash) }
            .filter { $0.status.highest.height > replica.settled.height }
            .map(\.status.highestBlock)
            .filter { replica.tip(of: $0) == nil }
    }

    /// The first block of a term that a decision gives to this coordinator, once enough statuses
    /// are here; nil while there is none.
    func opening(by coordinator: inout Coordinator) throws -> Block? {
        news.forget(upTo: terms.newest.term)
        let decisions = try supportedDecisions().filter {
            $0.coordinator == account && $0.coordinatorKey == keys.signing.verifyingKey
        }
        for decision in decisions.reversed() {
            // A first block of this term stands already; it is repeated, not replaced.
            guard try !store.hasFirstProposal(of: decision.term) else { continue }
            if let block = try opening(of: decision, by: &coordinator) { return block }
        }
        return nil
    }

    private func opening(
        of decision: Decision, by coordinator: inout Coordinator
    ) throws -> Block? {
        var parent = replica.settled
        var certificate: Certificate?
        var statuses: [Status] = []
        func raise(to candidate: Certificate, _ tip: Tip) {
            guard tip.slot > parent.slot else { return }
            (parent, certificate) = (tip, candidate)
        }
        for (status, report) in news.reports(for: decision.hash) {
            guard status.highest > replica.settled.slot else {
                statuses.append(status)
                continue
            }
            // A status whose certificate does not verify is left out.
            guard let candidate = try? Certificate(strictly: [UInt8](report.certificate)),
                candidate.slot == status.highest, candidate.block == status.highestBlock,
                let tip = replica.tip(of: candidate.block), tip.slot == candidate.slot,
                (try? candidate.verify(by: tip.terms.certifying, network: genesis.network)) != nil
            else { continue }
            statuses.append(status)
            raise(to: candidate, tip)
        }
        if let own = replica.journal.highest, let tip = replica.tip(of: own.block) {
            raise(to: own, tip)
        }
        if certificate == nil, parent.slot != .genesis {
            certificate = try certificateOfSettled()
            guard certificate != nil else { return nil }
        }
        let opening = Opening(
            decision: decision, statuses: statuses, network: genesis.network)
        do {
            try opening.verify(
                above: parent.slot, inForce: parent.terms.inForce, network: genesis.network)
        } catch { return nil }
        return try coordinator.open(
            opening, above: parent, certificate: certificate, replica: &replica, now: clock())
    }

    /// The certificate of the settled block, which its child carries.
    private func certificateOfSettled() throws -> Certificate? {
        if let highest = replica.journal.highest, highest.block == replica.settled.hash {
            return highest
        }
        return replica.unsettled.first?.block.parentCertificate
    }
}
