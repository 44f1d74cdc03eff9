package import Contracts
package import Ledger
import Wire

/// Something a voter owes to the run under way; performed outside block execution.
package enum Duty: Hashable, Sendable {
    /// Offer the site's held-out records for the reference set.
    case offerReference(run: UInt32)
    /// Say what the reference set is.
    case fixReference(run: UInt32)
    /// End a run that nobody offers reference records to.
    case stopRun(run: UInt32)
    case openRound(run: UInt32, round: UInt32)
    case train(run: UInt32, round: UInt32)
    /// Say what the round's aggregate and values are.
    case checkRound(run: UInt32, round: UInt32)
    case closeRound(run: UInt32, round: UInt32)
    /// Open the site's secrets of the items that were registered at a height.
    case openSeeds(registered: UInt64)
}

/// The duties of an account in the contract state of a height; the same state, the same duties.
///
/// A duty is due when its transaction is valid in the next block.
package func duties(
    of account: AccountID, in state: any StateView, at height: Height, rules: TermRules
) throws(StateFault) -> [Duty] {
    try seedDuties(of: account, in: state, at: height)
        + runDuties(of: account, in: state, at: height, rules: rules)
}

/// The state is a settled one: were the block dropped whose hash decides the panel, another could
/// be made by somebody who knows the secret.
private func seedDuties(
    of account: AccountID, in state: any StateView, at height: Height
) throws(StateFault) -> [Duty] {
    guard account.role == .site else { return [] }
    let prefix = seedKeys(of: account.name)
    let first = try state.entries(in: .seeds, prefix: prefix, limit: 1).first
    guard let first, first.key.key.count > prefix.count + 8 else { return [] }
    let registered = first.key.key[prefix.count..<prefix.count + 8]
        .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard height.value >= registered.addingReportingOverflow(2).partialValue else { return [] }
    return [.openSeeds(registered: registered)]
}

private func runDuties(
    of account: AccountID, in state: any StateView, at height: Height, rules: TermRules
) throws(StateFault) -> [Duty] {
    var changes = ChangeSet(above: state)
    let number = changes.newestRun()
    guard let run = changes.run(number) else { return [] }
    let round = changes.round(number, run.opened)
    if let fault = changes.fault { throw fault }
    let next = height.next.value
    let isVoter = rules.voters.keys[account] != nil
    var duties: [Duty] = []
    if run.referenceRoot.isEmpty {
        guard run.isActive else { return [] }
        let hasOffered = run.offers.contains { $0.site == account.text }
        let isOffering = next <= run.offersUntil(rules.agreement)
        if isOffering, !hasOffered, run.roster.contains(account.text) {
            duties.append(.offerReference(run: number))
        }
        if !isOffering, run.offers.isEmpty, account == rules.coordinator {
            return [.stopRun(run: number)]
        }
        let isComplete = run.offers.count == run.roster.count || !isOffering
        if isComplete, isVoter, !run.offers.isEmpty,
            !run.reference.contains(where: { $0.voter == account.text })
        {
            duties.append(.fixReference(run: number))
        }
        return duties
    }
    let isCoordinator = account == rules.coordinator
    guard run.isActive else { return [] }
    if let round, !round.isClosed {
        let hasAnswered = round.updates.contains { $0.site == account.text }
        if run.roster.contains(account.text), !hasAnswered, next <= round.deadline {
            duties.append(.train(run: number, round: run.opened))
        }
        guard round.isReady(roster: run.roster, at: next) else { return duties }
        if isVoter, !round.checks.contains(where: { $0.voter == account.text }) {
            duties.append(.checkRound(run: number, round: run.opened))
        }
        let isAgreed = hasQuorum(of: rules.voters, in: round.checks)
        if isCoordinator, isAgreed { duties.append(.closeRound(run: number, round: run.opened)) }
    } else if isCoordinator, run.closed < run.rounds {
        duties.append(.openRound(run: number, round: run.closed + 1))
    }
    return duties
}
