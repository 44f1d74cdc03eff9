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
    package enum State: String, Codable, Sendable {
        case open
        /// A quorum is for it, statuses are signed.
        case supported
        /// Its number was used.
        case passed
    }

    package let decision: String
    package let term: UInt64
    package let coordinator: String
    /// Of the newest term that is settled.
    package let presentCoordinator: String
    package let voters: [String]
    /// Accounts of nobody who is a member now.
    package let entering: [String]
    /// Every member whose document it carries, with the keys that change.
    package let members: [MemberChange]
    package let leaving: [String]
    package let changesAgreement: Bool
    package let agreement: [ParameterChange]
    package let reason: String
    /// Who is for it.
    package let ballots: [String]
    /// How many of them it needs, of the voters now in force.
    package let needed: Int
    package let state: State
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
        let isSupported = isAgreed(ballots, by: sets, network: network)
        let isPassed = decision.term <= tip.slot.term
        return try DecisionEntry(
            decision, ballots: ballots, needed: sets.map(\.quorum).reduce(0, max),
            state: isPassed ? .passed : isSupported ? .supported : .open, in: store,
            rules: tip.terms.newest)
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
