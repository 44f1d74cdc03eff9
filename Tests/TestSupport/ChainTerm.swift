import Cryptography
import Federation
import Ledger
import Storage
import Wire

extension StoredChain {
    /// All agree on a new term with the same coordinator and voters, and it is opened.
    package mutating func openTerm() throws {
        let decision = try decision(term: replica.rules.term.value + 1)
        let ballots = try voters.map { voter in
            try Ballot(
                decision: decision.hash, voter: voter.account, network: network,
                key: voteKey(of: voter.account))
        }
        var desk = TermDesk()
        desk.add(decision)
        for index in voters.indices {
            try voters[index].store.keep(decision)
            for ballot in ballots {
                try voters[index].store.keep(ballot)
                desk.add(ballot)
            }
            for report in try voters[index].sign(decision) { desk.add(report) }
        }
        let key = try signingKey(of: Consortium.coordinator).verifyingKey
        let plan = try desk.plan(
            for: Consortium.coordinator, key: key, in: replica, isOpened: { _ in false }
        ).orThrow("a plan to open the term")
        now += UInt64(genesis.agreement.chain.blockIntervalMs)
        let block = try coordinator.open(
            plan.opening, above: plan.parent, certificate: plan.certificate,
            replica: &voters[0].replica, now: now)
        try take(block)
    }

    private func decision(term: UInt64) throws -> Decision {
        var wire = WireDecision()
        wire.term = term
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
        wire.voters = genesis.voters.wire
        wire.reason = "a quorum was out of reach for a day"
        return try Decision(strictly: wire.encoded(), network: network)
    }
}

extension StoredVoter {
    /// Signs the status for a decision durably.
    fileprivate mutating func sign(_ decision: Decision) throws -> [WireStatusReport] {
        let commitment = try replica.status(for: decision)
        try store.commit(commitment)
        replica.advance(by: commitment)
        return try store.statusReports()
    }
}
