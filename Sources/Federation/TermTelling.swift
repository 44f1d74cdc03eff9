package import Cryptography
package import Ledger
package import Wire

/// What nodes tell each other of terms to come, bounded so that no voter can crowd out another.
extension TermDesk {
    /// Decisions that are kept because one voter is for them: the newest, so that who proposes too
    /// many loses its own earlier ones and nobody else's.
    package static let decisionsPerVoter = 4
    /// Decisions taken from one message.
    package static let decisionLimit = 16
    /// Ballots, or statuses, taken from one message.
    package static let signatureLimit = 256
    /// Signatures in one message that nobody gave: after so many no more of it are looked at.
    package static let badLimit = 64
    /// Statuses of one voter for one decision; it signs one under each of its keys.
    static let reportsPerVoter = 4
    /// A status with a certificate of thousands of votes.
    static let reportBytes = 256 << 10
    /// Decisions with their ballots in one message, and statuses with their certificates.
    package static let toldBytes = 1 << 20

    /// What was new in what another node told.
    package struct News: Sendable {
        package var decisions: [Decision] = []
        package var ballots: [Ballot] = []
        package var statuses = 0
        /// Decisions that gave way to newer ones of the same voters.
        package var forgotten: [Digest] = []

        package var isEmpty: Bool { decisions.isEmpty && ballots.isEmpty && statuses == 0 }
    }

    // MARK: taking

    /// Takes what another node tells.
    ///
    /// A decision counts once a voter in force is for it, so that nobody else can fill a disk, and
    /// each voter can have a few of them kept.
    ///
    /// - Parameters:
    ///   - exchange: as it came; what proves nothing is left out.
    ///   - account: of this organisation; what its people are for is never forgotten.
    ///   - sets: the voter sets in force.
    ///   - term: the newest that is open.
    ///   - network: of the chain.
    ///   - isPossible: whether a decision could be carried out; asked last.
    /// - Returns: what is to be kept durably, decisions and ballots, and what is to be forgotten.
    package mutating func learn(
        from exchange: WireExchange, for account: AccountID, sets: [VoterSet], above term: Term,
        network: NetworkID, isPossible: (Decision) -> Bool
    ) -> News {
        var news = News()
        var bad = 0
        func isGood(_ check: () -> Bool) -> Bool {
            guard bad < Self.badLimit else { return false }
            if check() { return true }
            bad += 1
            return false
        }
        let good = exchange.ballots.prefix(Self.signatureLimit)
            .compactMap { try? Ballot(strictly: [UInt8]($0)) }
            .filter { ballot in
                ballots(for: ballot.decision).contains(ballot)
                    || isGood { ballot.isGood(for: sets, network: network) }
            }
        let supporting = Dictionary(grouping: good, by: \.decision)
        for bytes in exchange.decisions.prefix(Self.decisionLimit) {
            guard let decision = try? Decision(strictly: [UInt8](bytes), network: network),
                decision.follows(term), self[decision.hash] == nil,
                let ballots = supporting[decision.hash],
                ballots.contains(where: { hasRoom(for: decision, of: $0.voter) }),
                isPossible(decision)
            else { continue }
            add(decision)
            news.decisions.append(decision)
            // At once, since they count against the next one.
            news.ballots += ballots.filter { addIfNew($0) }
        }
        news.ballots += good.filter { self[$0.decision] != nil && addIfNew($0) }
        for bytes in exchange.statuses.prefix(Self.signatureLimit)
        where learn(
            report: [UInt8](bytes),
            isSigned: { status in isGood { status.isGood(for: sets, network: network) } })
        { news.statuses += 1 }
        guard !news.isEmpty else { return news }
        let supported = supported(by: sets, above: term, network: network).map(\.hash)
        news.forgotten = forgetSuperseded(keeping: Set(supported), for: account)
        news.decisions.removeAll { self[$0.hash] == nil }
        news.ballots.removeAll { self[$0.decision] == nil }
        return news
    }

    /// Whether a voter that is for a decision can have it kept.
    private func hasRoom(for decision: Decision, of voter: AccountID) -> Bool {
        let backed = decisions(of: voter)
        guard backed.count >= Self.decisionsPerVoter, let lowest = backed.first else { return true }
        return lowest.term < decision.term
    }

    private mutating func learn(
        report bytes: [UInt8], isSigned: (Status) -> Bool
    ) -> Bool {
        guard bytes.count <= Self.reportBytes,
            let report = try? WireStatusReport(strictly: bytes),
            let status = try? Status(strictly: [UInt8](report.status)),
            self[status.decision]?.term == status.term
        else { return false }
        let known = reports(for: status.decision).map(\.status)
        guard !known.contains(status),
            known.count(where: { $0.voter == status.voter }) < Self.reportsPerVoter,
            isSigned(status)
        else { return false }
        add(report)
        return true
    }

    /// Forgets what no voter counts among its newest any more.
    private mutating func forgetSuperseded(
        keeping supported: Set<Digest>, for account: AccountID
    ) -> [Digest] {
        let all = decisions(above: .genesis)
        let voters = Set(all.flatMap { ballots(for: $0.hash) }.map(\.voter))
        let newest = Set(
            voters.flatMap { decisions(of: $0).suffix(Self.decisionsPerVoter) }.map(\.hash))
        let gone = all.map(\.hash).filter { hash in
            let ballots = ballots(for: hash)
            return !ballots.isEmpty && !newest.contains(hash) && !supported.contains(hash)
                && !ballots.contains { $0.voter == account }
        }
        for hash in gone { forget(hash) }
        return gone
    }

    // MARK: telling

    /// Adds what this node tells others of terms above one.
    ///
    /// First what its own people are for, then what most are for; of equals the smaller one. What
    /// does not fit into the message is left to others, whose own word it is.
    ///
    /// - Parameters:
    ///   - exchange: to add to.
    ///   - account: of this organisation.
    ///   - term: the newest that is open.
    package func tell(_ exchange: inout WireExchange, for account: AccountID, above term: Term) {
        let ranked = decisions(above: term)
            .map { (decision: $0, ballots: ballots(for: $0.hash)) }
            .filter { !$0.ballots.isEmpty }
            .map { (entry: $0, isOwn: $0.ballots.contains { $0.voter == account }) }
            .sorted { one, other in
                if one.isOwn != other.isOwn { return one.isOwn }
                let counts = (one.entry.ballots.count, other.entry.ballots.count)
                if counts.0 != counts.1 { return counts.0 > counts.1 }
                return one.entry.decision.bytes.count < other.entry.decision.bytes.count
            }.map(\.entry)
        var told: [Digest] = []
        var room = Self.toldBytes
        for (decision, ballots) in ranked where told.count < Self.decisionLimit {
            let bytes = ballots.reduce(decision.bytes.count) { $0 + $1.bytes.count }
            guard bytes <= room else { continue }
            room -= bytes
            told.append(decision.hash)
            exchange.decisions.append(data(decision.bytes))
            exchange.ballots += ballots.map { data($0.bytes) }
        }
        room = Self.toldBytes
        let known = told.flatMap { self.reports(for: $0) }
        let own = known.filter { $0.status.voter == account }
        for (_, report) in own + known.filter({ $0.status.voter != account }) {
            let bytes = report.encoded()
            guard bytes.count <= room else { continue }
            room -= bytes.count
            exchange.statuses.append(data(bytes))
        }
    }
}
