import Contracts
import Ledger
import Wire

/// Checks that money is neither made nor lost in a contract state.
///
/// Debits equal credits in every posting by its form; what is checked is what they come to: all
/// accounts together hold what was issued, the residuals of a role cancel out, and the pool of a
/// closed round holds nothing but what waits in it, that of a posted income nothing at all.
///
/// - Returns: findings; none in a state that the contracts made.
package func brokenInvariants(of state: ReplayedState) -> Findings {
    var findings = Findings()
    var held = UInt128(0)
    var pools: [String: UInt128] = [:]
    for entry in state.entries(in: .balances) {
        let account = String(decoding: entry.key.key, as: UTF8.self)
        guard let balance = decoded(WireBalanceState.self, entry, account, &findings) else {
            continue
        }
        let sum = balance.pending.reduce(UInt128(balance.available)) {
            $0 + UInt128($1.microtokens)
        }
        held += sum
        if account.hasPrefix("pool/") || account.hasPrefix("revenue/") { pools[account] = sum }
    }
    let issued = state.entries(in: .supply).first.flatMap {
        decoded(WireSupplyState.self, $0, "supply", &findings)?.issued
    }
    if UInt128(issued ?? 0) != held {
        findings.add(
            "supply",
            "all accounts together hold \(held) microtokens, issued are \(issued ?? 0)")
    }
    checkResiduals(of: state, &findings)
    checkPools(of: state, pools, &findings)
    return findings
}

private func checkResiduals(of state: ReplayedState, _ findings: inout Findings) {
    var sums: [String: Int128] = [:]
    for entry in state.entries(in: .residuals) {
        let role = String(decoding: entry.key.key.prefix { $0 != 0 }, as: UTF8.self)
        guard let residual = decoded(WireResidualState.self, entry, role, &findings) else {
            continue
        }
        sums[role, default: 0] += Int128(residual.units)
    }
    for (role, sum) in sums.sorted(by: { $0.key < $1.key }) where sum != 0 {
        findings.add("residuals of \(role)", "they sum to \(sum) instead of 0")
    }
}

private func checkPools(
    of state: ReplayedState, _ pools: [String: UInt128], _ findings: inout Findings
) {
    var waiting: [String: UInt128] = [:]
    for entry in state.entries(in: .waiting) {
        let role = String(decoding: entry.key.key, as: UTF8.self)
        guard let amount = decoded(WireWaitingState.self, entry, role, &findings) else { continue }
        waiting[amount.pool, default: 0] += UInt128(amount.microtokens)
    }
    for account in Set(pools.keys).union(waiting.keys).sorted() {
        let (held, stated) = (pools[account] ?? 0, waiting[account] ?? 0)
        if held != stated {
            findings.add(
                account, "it holds \(held) microtokens, of which \(stated) wait for a later round")
        }
    }
}

private func decoded<Value: WireValue>(
    _ type: Value.Type, _ entry: StateEntry, _ name: String, _ findings: inout Findings
) -> Value? {
    do {
        return try Value(strictly: entry.value)
    } catch {
        findings.add("state of \(name)", "\(error)")
        return nil
    }
}
