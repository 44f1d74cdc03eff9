import Contracts
import Cryptography
package import Ledger
package import Storage

/// A term of the chain.
package struct TermEntry: Codable, Sendable {
    package let term: UInt64
    package let firstHeight: UInt64
    package let coordinator: String
    package let voters: [String]
    package let quorum: Int
    /// Of the decision; empty for the first term, which genesis opens.
    package let reason: String
}

/// A decision that people may vote on.
package struct DecisionEntry: Codable, Sendable {
    package let decision: String
    package let term: UInt64
    package let coordinator: String
    package let voters: [String]
    package let entering: [String]
    package let leaving: [String]
    package let changesAgreement: Bool
    package let reason: String
    /// Who is for it.
    package let ballots: [String]
    /// How many of them it needs, of the voters now in force.
    package let needed: Int
    /// `open`, `supported` (a quorum is for it, statuses are signed), or `passed` (its number was used).
    package let state: String
}

/// Terms and decisions as a node knows them.
package struct GovernanceReport: Codable, Sendable {
    package let account: String
    package let terms: [TermEntry]
    package let decisions: [DecisionEntry]
    /// The highest term that this node's voter has voted in or signed a status for.
    package let promised: UInt64
    package let settledHeight: UInt64
}

/// Reads what a node knows of terms, from its own ledger.
package func governanceReport(
    of store: LedgerStore, account: AccountID
) throws -> GovernanceReport {
    let tip = try store.tip()
    let sets = tip.terms.inForce
    let network = store.genesis.network
    let decisions = try store.decisions(above: .genesis).map { decision in
        let ballots = try store.ballots(for: decision.hash)
            .filter { $0.isGood(for: sets, network: network) }
        let isSupported = sets.allSatisfy { set in
            ballots.count { $0.isGood(for: [set], network: network) } >= set.quorum
        }
        let isPassed = decision.term <= tip.slot.term
        return DecisionEntry(
            decision: decision.hash.hex, term: decision.term.value,
            coordinator: decision.coordinator.text,
            voters: decision.voters.accounts.map(\.text),
            entering: decision.members.map(\.account.text), leaving: decision.leaving.map(\.text),
            changesAgreement: decision.agreement != nil, reason: decision.reason,
            ballots: ballots.map(\.voter.text), needed: sets.map(\.quorum).reduce(0, max),
            state: isPassed ? "passed" : isSupported ? "supported" : "open")
    }
    return GovernanceReport(
        account: account.text,
        terms: tip.terms.terms.map { rules in
            TermEntry(
                term: rules.term.value, firstHeight: rules.firstHeight.value,
                coordinator: rules.coordinator.text, voters: rules.voters.accounts.map(\.text),
                quorum: rules.voters.quorum, reason: rules.opening?.decision.reason ?? "")
        }, decisions: decisions, promised: try store.journal().term.value,
        settledHeight: tip.height.value)
}
