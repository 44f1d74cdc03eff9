package import Contracts
package import Cryptography
package import Ledger
package import Wire

/// What a node knows of terms to come: decisions, who is for them, and who signed statuses.
///
/// It decides nothing by itself: a decision counts once a quorum of people is for it, and a term
/// opens once a quorum of voters signed that they vote below it no more.
package struct TermDesk: Sendable {
    private var decisions: [Digest: Decision] = [:]
    private var ballots: [Digest: [AccountID: Ballot]] = [:]
    private var reports: [Digest: [Status: WireStatusReport]] = [:]

    package init() {}

    package subscript(decision: Digest) -> Decision? { decisions[decision] }

    /// Decisions of terms above one, ascending by term, then by hash.
    package func decisions(above term: Term) -> [Decision] {
        decisions.values.filter { $0.term > term }
            .sorted { ($0.term, $0.hash) < ($1.term, $1.hash) }
    }

    /// Decisions that a voter is for, ascending by term, then by hash.
    func decisions(of voter: AccountID) -> [Decision] {
        decisions(above: .genesis).filter { ballots[$0.hash]?[voter] != nil }
    }

    package func ballots(for decision: Digest) -> [Ballot] {
        (ballots[decision] ?? [:]).values.sorted { $0.voter < $1.voter }
    }

    /// Statuses for a decision with the certificates that they name, ascending by voter.
    package func reports(for decision: Digest) -> [(status: Status, report: WireStatusReport)] {
        (reports[decision] ?? [:]).map { (status: $0.key, report: $0.value) }
            .sorted { Opening.precedes($0.status, $1.status) }
    }

    /// Decisions above a term for which a quorum of every voter set is.
    package func supported(
        by sets: [VoterSet], above term: Term, network: NetworkID
    ) -> [Decision] {
        decisions(above: term).filter { decision in
            isAgreed(ballots(for: decision.hash), by: sets, network: network)
        }
    }

    // MARK: taking

    package mutating func add(_ decision: Decision) { decisions[decision.hash] = decision }

    package mutating func add(_ ballot: Ballot) {
        ballots[ballot.decision, default: [:]][ballot.voter] = ballot
    }

    /// - Returns: whether the voter's word was not known.
    mutating func addIfNew(_ ballot: Ballot) -> Bool {
        guard ballots[ballot.decision]?[ballot.voter] == nil else { return false }
        add(ballot)
        return true
    }

    /// Takes a status with its certificate; one of a malformed form is left out.
    package mutating func add(_ report: WireStatusReport) {
        guard let status = try? Status(strictly: [UInt8](report.status)) else { return }
        reports[status.decision, default: [:]][status] = report
    }

    /// Forgets what is not above an opened term.
    package mutating func forget(upTo term: Term) {
        for (hash, decision) in decisions where decision.term <= term { forget(hash) }
    }

    mutating func forget(_ decision: Digest) {
        decisions[decision] = nil
        ballots[decision] = nil
        reports[decision] = nil
    }

    // MARK: opening

    /// Blocks that a coordinator-to-be needs before it can open its term: those with the highest
    /// certificates reported, as far as its replica does not hold them.
    package func missing(for coordinator: AccountID, in replica: Replica) -> [Digest] {
        own(coordinator, replica).flatMap { reports(for: $0.hash) }
            .filter { $0.status.highest.height > replica.settled.height }
            .map(\.status.highestBlock)
            .filter { replica.tip(of: $0) == nil }
    }

    private func own(_ coordinator: AccountID, _ replica: Replica) -> [Decision] {
        supported(
            by: replica.decidingSets, above: replica.rules.term, network: replica.network
        ).filter { $0.coordinator == coordinator }
    }

    /// What the first block of a term is built of.
    package struct Plan: Sendable {
        package let opening: Opening
        package let parent: Tip
        /// Of the parent; nil when that is genesis.
        package let certificate: Certificate?
    }

    /// How a coordinator opens the highest term that it can open; nil while statuses are missing.
    ///
    /// The parent is the block with the highest certificate reported, or a higher one that the
    /// replica knows. A status whose certificate does not verify is left out, and so is a decision
    /// that cannot be carried out above the parent: people did not know of that block.
    ///
    /// - Parameters:
    ///   - coordinator: account of the coordinator to be.
    ///   - key: its signing key.
    ///   - replica: of its organisation.
    ///   - isOpened: whether it made a first block of a term before; that one is repeated instead.
    /// - Returns: what to build.
    package func plan(
        for coordinator: AccountID, key: VerifyingKey, in replica: Replica,
        isOpened: (Term) throws -> Bool
    ) rethrows -> Plan? {
        for decision in own(coordinator, replica).reversed()
        where decision.coordinatorKey == key {
            guard try !isOpened(decision.term) else { continue }
            if let plan = plan(for: decision, in: replica) { return plan }
        }
        return nil
    }

    private func plan(for decision: Decision, in replica: Replica) -> Plan? {
        var parent = replica.settled
        var certificate: Certificate?
        func raise(to candidate: Certificate, _ tip: Tip) {
            guard tip.slot > parent.slot else { return }
            (parent, certificate) = (tip, candidate)
        }
        var statuses: [Status] = []
        for (status, report) in reports(for: decision.hash) {
            guard status.highest > replica.settled.slot else {
                statuses.append(status)
                continue
            }
            guard let candidate = try? Certificate(strictly: [UInt8](report.certificate)),
                candidate.slot == status.highest, candidate.block == status.highestBlock,
                let tip = replica.tip(of: candidate.block), tip.slot == candidate.slot,
                (try? candidate.verify(by: tip.terms.certifying, network: replica.network)) != nil
            else { continue }
            statuses.append(status)
            raise(to: candidate, tip)
        }
        if let own = replica.journal.highest, let tip = replica.tip(of: own.block) {
            raise(to: own, tip)
        }
        if certificate == nil, parent.slot != .genesis {
            certificate = replica.certificateOfSettled
            guard certificate != nil else { return nil }
        }
        // Who signs under a key of a term that was opened and left behind counts for nobody here.
        let inForce = parent.terms.inForce
        let opening = Opening(
            decision: decision,
            statuses: statuses.filter { $0.isGood(for: inForce, network: replica.network) },
            network: replica.network)
        let isGood: ()? = try? opening.verify(
            above: parent.slot, inForce: inForce, network: replica.network)
        guard isGood != nil, let state = replica.state(after: parent.hash),
            (try? check(
                decision, on: state, at: parent.height.next,
                inForce: parent.terms.newest.agreement)) != nil
        else { return nil }
        return Plan(opening: opening, parent: parent, certificate: certificate)
    }
}
