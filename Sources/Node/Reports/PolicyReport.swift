import Contracts
import Cryptography
import Ledger
import Replay
package import Storage
package import Wire

/// The parameters of money that are in force at a height.
package struct PolicyReport: Codable, Sendable {
    package struct Share: Codable, Sendable {
        package let account: String
        package let weight: UInt32
    }

    package let height: UInt64
    /// The term whose opening brought them, and the height of its first block.
    package let term: UInt64
    package let firstHeight: UInt64
    package let supply: String
    package let roundPool: String
    /// Basis points by role.
    package let split: [String: UInt32]
    package let developers: [Share]
    package let warmUpRounds: UInt32
    package let appealWindow: UInt32
    package let stake: String
    package let treasurer: String
    package let parentShare: UInt32
    /// Of an answer after others had revealed.
    package let laterFee: String
    /// Items after which a period may close and be paid.
    package let periodItems: UInt32
    package let commitWindow: UInt32
    package let revealWindow: UInt32
    package let secretWindow: UInt32
    package let goldWindow: UInt32
    package let roundDeadline: UInt32

    /// What an agreement says of money and of the windows in which it is earned.
    package init(of agreement: WireAgreement, height: UInt64, term: UInt64, firstHeight: UInt64) {
        func text(_ microtokens: UInt64) -> String {
            TokenAmount(microtokens: microtokens).description
        }
        let (rewards, annotation) = (agreement.rewards, agreement.annotation)
        self.height = height
        self.term = term
        self.firstHeight = firstHeight
        supply = text(rewards.supplyMicrotokens)
        roundPool = text(rewards.roundPoolMicrotokens)
        split = [
            "annotators": rewards.annotatorsBasisPoints,
            "developers": rewards.developersBasisPoints,
            "patients": rewards.patientsBasisPoints, "sites": rewards.sitesBasisPoints,
        ]
        developers = rewards.developers.map { Share(account: $0.account, weight: $0.weight) }
        warmUpRounds = rewards.warmUpRounds
        appealWindow = rewards.appealWindow
        stake = text(rewards.stakeMicrotokens)
        treasurer = rewards.treasurer
        parentShare = rewards.parentBasisPoints
        laterFee = text(annotation.laterFeeMicrotokens)
        periodItems = annotation.periodItems
        commitWindow = annotation.commitWindow
        revealWindow = annotation.revealWindow
        secretWindow = annotation.secretWindow
        goldWindow = annotation.goldWindow
        roundDeadline = agreement.training.roundDeadline
    }
}

/// The policy in force at a height, the next block's when none is named.
package func policyReport(of store: LedgerStore, at height: UInt64?) throws -> PolicyReport {
    let tip = try store.tip()
    let height = height ?? tip.height.next.value
    guard (1...tip.height.next.value).contains(height) else {
        throw ReportError.notFound(
            "no policy of height \(height) is settled; there are 1 to \(tip.height.next)")
    }
    let rules = tip.terms.rules(at: Height(height))
    return PolicyReport(
        of: rules.agreement, height: height, term: rules.term.value,
        firstHeight: rules.firstHeight.value)
}

/// What an account, or the accounts of a kind together, would hold under another policy.
package struct PolicyDifference: Codable, Sendable {
    package let name: String
    package let now: String
    package let then: String
    /// With its sign.
    package let difference: String

    init(_ name: String, _ now: UInt64, _ then: UInt64) {
        self.name = name
        self.now = TokenAmount(microtokens: now).description
        self.then = TokenAmount(microtokens: then).description
        let size = TokenAmount(microtokens: then > now ? then - now : now - then)
        difference = (then == now ? "" : then > now ? "+" : "-") + size.description
    }
}

/// A chain's settlements under other parameters, beside what they were.
package struct WhatIfReport: Codable, Sendable {
    package let roles: [PolicyDifference]
    /// Those that would hold another amount.
    package let accounts: [PolicyDifference]
    /// Transactions that would have ended otherwise, such as a transfer of what was not earned.
    package let changedOutcomes: Int
    /// What the given file says otherwise than the agreement in force, and was not tried.
    package var ignored: [String] = []
    package let settledHeight: UInt64
}

/// Executes a whole chain again under another reward policy, and touches nothing.
///
/// - Parameters:
///   - policy: in force from the first block on, instead of every one that was agreed.
///   - laterFee: in microtokens, of an answer after others had revealed; nil as agreed.
///   - store: the chain.
///   - progress: told the height reached.
/// - Returns: what accounts would hold at the newest settled height.
/// - Throws: ``ReportError`` for a chain that cannot be executed; an error of the store.
package func whatIf(
    _ policy: WireRewardRule, laterFee: UInt64? = nil, on store: LedgerStore,
    progress: (UInt64) -> Void = { _ in }
) throws -> WhatIfReport {
    let tip = try store.tip()
    var state = ReplayedState()
    state.apply(try foundingState(store.genesis, policy))
    var terms = TermHistory(genesis: store.genesis)
    var changed = 0
    var height = Height(1)
    while height <= tip.height {
        guard let block = try store.block(at: height) else {
            throw ReportError.notFound("block \(height) is missing; run `tally verify`")
        }
        let opened = block.opening.map { terms.rules(opening: $0, firstHeight: height) }
        terms.advance(
            to: opened ?? terms.newest, isFirst: opened != nil || height == Height(1))
        let context = BlockContext(
            network: store.genesis.network, terms: terms, height: height,
            previous: block.header.previous, opening: block.opening, policy: policy,
            laterFee: laterFee)
        // The chain's signatures are the matter of `tally verify`.
        let execution = try execute(block.envelopes, in: context, on: state) { _, _ in true }
        state.apply(execution.changes)
        changed += try changes(of: execution.effects, in: block, store)
        progress(height.value)
        height = height.next
    }
    return report(held(in: SQLiteState(store)), held(in: state), changed, tip.height)
}

private func foundingState(
    _ genesis: Genesis, _ policy: WireRewardRule
) throws -> StateChanges {
    var changes = try genesisState(genesis)
    var reserve = WireBalanceState()
    reserve.available = policy.supplyMicrotokens
    changes[StateKey(.balances, Array(ConsortiumAccount.reserve.text.utf8))] = reserve.encoded()
    var supply = WireSupplyState()
    supply.issued = policy.supplyMicrotokens
    changes[StateKey(.supply, [])] = supply.encoded()
    return changes
}

private func changes(
    of effects: [WireEffect], in block: Block, _ store: LedgerStore
) throws -> Int {
    let recorded = try block.envelopes.flatMap { try store.outcomes(of: $0.id)?.outcomes ?? [] }
    return zip(effects, recorded).count { $0.outcome != $1 }
}

/// Microtokens of every account, pending ones included.
private func held(in state: any StateView) -> [String: UInt64] {
    var view = ChangeSet(above: state)
    var result: [String: UInt64] = [:]
    for entry in view.entries(in: .balances) {
        let balance = view.value(WireBalanceState.self, .balances, entry.key.key)
        result[String(decoding: entry.key.key, as: UTF8.self)] = balance?.available(at: .max)
    }
    return result
}

private func report(
    _ now: [String: UInt64], _ then: [String: UInt64], _ changed: Int, _ height: Height
) -> WhatIfReport {
    var roles: [String: (now: UInt64, then: UInt64)] = [:]
    var accounts: [PolicyDifference] = []
    for name in Set(now.keys).union(then.keys).sorted() {
        let (before, after) = (now[name] ?? 0, then[name] ?? 0)
        let kind = String(name.prefix { $0 != "/" })
        let sums = roles[kind] ?? (0, 0)
        // All that there is fits into 64 bits.
        roles[kind] = (sums.now &+ before, sums.then &+ after)
        if before != after { accounts.append(PolicyDifference(name, before, after)) }
    }
    return WhatIfReport(
        roles: roles.sorted { $0.key < $1.key }.map {
            PolicyDifference($0.key, $0.value.now, $0.value.then)
        },
        accounts: accounts, changedOutcomes: changed, settledHeight: height.value)
}
