package import Contracts
package import Cryptography
package import Ledger
package import Wire

/// What a node knows of terms to come: decisions, who is for them, and who signed statuses.
///
/// It decides nothing by itself: a decision counts once a quorum of people is for it, and a term
/// opens once a quorum of voters signed that they vote below it no more.
package struct TermDesk: Sendable {
    /// Decisions told at once and the most that are kept: people propose few.
    package static let decisionLimit = 16
    /// Statuses of one voter for one decision: it has two keys at most.
    static let reportsPerVoter = 2

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

    /// Takes a status with its certificate; one of a malformed form is left out, and so is what one
    /// voter signed beyond its two keys: whoever lies takes nobody else's place.
    package mutating func add(_ report: WireStatusReport) {
        guard let status = try? Status(strictly: [UInt8](report.status)) else { return }
        let known = reports[status.decision, default: [:]].keys
        guard known.count(where: { $0.voter == status.voter }) < Self.reportsPerVoter else {
            return
        }
        reports[status.decision, default: [:]][status] = report
    }

    /// Forgets what is not above an opened term.
    package mutating func forget(upTo term: Term) {
        for (hash, decision) in decisions where decision.term <= term {
            decisions[hash] = nil
            ballots[hash] = nil
            reports[hash] = nil
        }
    }

    /// What was new in what another node told.
    package struct News: Sendable {
        package var decisions: [Decision] = []
        package var ballots: [Ballot] = []
        package var statuses = 0

        package var isEmpty: Bool { decisions.isEmpty && ballots.isEmpty && statuses == 0 }
    }

    /// Of each kind, what honest voters sign at most: one with each of two keys.
    package func limit(sets: [VoterSet]) -> Int {
        let deciding = sets + decisions.values.map(\.voters)
        return 2 * Set(deciding.flatMap(\.accounts)).count
    }

    /// Whether another node tells more than voters can have signed; no signature is looked at.
    ///
    /// - Parameters:
    ///   - exchange: as it came.
    ///   - sets: the voter sets in force.
    /// - Returns: true for what is to be refused unread.
    package func isFlood(_ exchange: WireExchange, sets: [VoterSet]) -> Bool {
        let most = limit(sets: sets)
        let decisions = exchange.decisions.count
        guard decisions <= Self.decisionLimit,
            exchange.ballots.count <= most * max(decisions, 1),
            exchange.statuses.count <= most * max(decisions, 1)
        else { return true }
        guard let certificate = try? Certificate(strictly: [UInt8](exchange.certificate)) else {
            return false
        }
        return certificate.entries.count > most
    }

    /// Takes what another node tells, unless it is a flood (``isFlood(_:sets:)``).
    ///
    /// A decision counts once a voter in force is for it, so that nobody else can fill a disk.
    ///
    /// - Parameters:
    ///   - exchange: as it came; what proves nothing is left out.
    ///   - sets: the voter sets in force.
    ///   - term: the newest that is open.
    ///   - network: of the chain.
    /// - Returns: what is to be kept durably: decisions and ballots.
    package mutating func learn(
        from exchange: WireExchange, sets: [VoterSet], above term: Term, network: NetworkID
    ) -> News {
        var news = News()
        guard !isFlood(exchange, sets: sets) else { return news }
        // Who shows so many bad ones has no more good ones to show.
        let limit = limit(sets: sets)
        var bad = 0
        func isGood(_ check: () -> Bool) -> Bool {
            guard bad < limit else { return false }
            if check() { return true }
            bad += 1
            return false
        }
        let good = exchange.ballots
            .compactMap { try? Ballot(strictly: [UInt8]($0)) }
            .filter { ballot in
                ballots[ballot.decision]?[ballot.voter] == ballot
                    || isGood { ballot.isGood(for: sets, network: network) }
            }
        let supported = Set(good.map(\.decision))
        for bytes in exchange.decisions.prefix(Self.decisionLimit) {
            guard let decision = try? Decision(strictly: [UInt8](bytes), network: network),
                decision.term > term, decisions[decision.hash] == nil,
                supported.contains(decision.hash), decisions.count < Self.decisionLimit
            else { continue }
            add(decision)
            news.decisions.append(decision)
        }
        for ballot in good where decisions[ballot.decision] != nil {
            guard ballots[ballot.decision]?[ballot.voter] == nil else { continue }
            add(ballot)
            news.ballots.append(ballot)
        }
        bad = 0
        for bytes in exchange.statuses {
            guard let report = try? WireStatusReport(strictly: [UInt8](bytes)),
                let status = try? Status(strictly: [UInt8](report.status)),
                decisions[status.decision]?.term == status.term,
                reports[status.decision]?[status] == nil,
                isGood({ status.isGood(for: sets, network: network) })
            else { continue }
            add(report)
            guard reports[status.decision]?[status] != nil else { continue }
            news.statuses += 1
        }
        return news
    }

    /// Adds what this node tells others of terms above one.
    package func tell(_ exchange: inout WireExchange, above term: Term) {
        for decision in decisions(above: term).suffix(Self.decisionLimit) {
            let ballots = ballots(for: decision.hash)
            guard !ballots.isEmpty else { continue }
            exchange.decisions.append(data(decision.bytes))
            exchange.ballots += ballots.map { data($0.bytes) }
            exchange.statuses += reports(for: decision.hash).map { data($0.report.encoded()) }
        }
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
