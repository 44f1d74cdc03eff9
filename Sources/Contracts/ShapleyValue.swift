package import Ledger

/// Why contribution values cannot be computed.
package enum ShapleyError: Error, Hashable, Sendable {
    /// Exact values are for 1 to 12 players.
    case playerCount(Int)
    /// Not one utility for each of the 2ⁿ coalitions.
    case utilityCount(Int, needed: Int)
    /// A value left the range of 64 bits.
    case overflow
}

/// Exact Shapley values with one denominator, n!.
package struct ShapleyValues: Hashable, Sendable {
    /// One per player; they add up to (v(all) − v(∅)) · `denominator`.
    package let numerators: [Int64]
    package let denominator: Int64
}

/// What each player adds on average over all orders of joining, exactly.
///
/// - Parameters:
///   - players: n, 1 to 12.
///   - utilities: 2ⁿ; at index m the utility of the coalition of the players whose bit is set.
/// - Returns: each player's value as a fraction of n!.
/// - Throws: ``ShapleyError``.
/// - SeeAlso: Shapley, A value for n-person games, 1953.
package func shapleyValues(
    players: Int, utilities: [Int64]
) throws(ShapleyError) -> ShapleyValues {
    guard (1...12).contains(players) else { throw .playerCount(players) }
    guard utilities.count == 1 << players else {
        throw .utilityCount(utilities.count, needed: 1 << players)
    }
    let factorials = (0...players).map { (1...max(1, $0)).reduce(Int128(1)) { $0 * Int128($1) } }
    var numerators: [Int64] = []
    for player in 0..<players {
        let bit = 1 << player
        var value = Int128(0)  // below 2⁶⁴ · 12! < 2⁹³
        for coalition in 0..<1 << players where coalition & bit == 0 {
            let size = coalition.nonzeroBitCount
            let gain = Int128(utilities[coalition | bit]) - Int128(utilities[coalition])
            value += factorials[size] * factorials[players - size - 1] * gain
        }
        guard let numerator = Int64(exactly: value) else { throw .overflow }
        numerators.append(numerator)
    }
    return ShapleyValues(numerators: numerators, denominator: Int64(factorials[players]))
}

/// A round's site share, divided.
package struct SiteShares<Account: Hashable & Sendable>: Hashable, Sendable {
    /// What contribution values earned; empty when counts alone decide.
    package let byValue: [Account: TokenAmount]
    /// What verified counts earned.
    package let byCount: [Account: TokenAmount]

    /// Both parts of one site; the parts add up to the pool, so this fits whenever the pool does.
    package func share(of account: Account) -> TokenAmount {
        let value = byValue[account, default: .zero].microtokens
        return TokenAmount(microtokens: value + byCount[account, default: .zero].microtokens)
    }

    /// Everybody who is paid or was considered.
    package var accounts: Set<Account> { Set(byValue.keys).union(byCount.keys) }
}

/// What rounding owes to sites, apart for the two halves: each sums to 0 for itself.
package struct SiteResiduals<Account: Hashable & Sendable>: Hashable, Sendable {
    package var byValue: [Account: Int64]
    package var byCount: [Account: Int64]

    package init(byValue: [Account: Int64] = [:], byCount: [Account: Int64] = [:]) {
        self.byValue = byValue
        self.byCount = byCount
    }
}

/// Divides a round's site share: one half by contribution value, the other by verified counts.
///
/// The odd microtoken goes to the counts. While the run warms up, or when nobody's value is above
/// zero, counts alone decide.
///
/// - Parameters:
///   - pool: the sites' part of the round's pool.
///   - values: Shapley numerators over one denominator; negative ones weigh nothing.
///   - counts: verified records.
///   - isWarmUp: whether the round is one of the agreement's first `warmUpRounds`.
///   - residuals: carried from round to round, unchanged unless something is paid.
/// - Returns: nil when all counts are zero: the pool waits.
/// - Throws: ``ResidualOverflow``, with nothing changed.
package func siteShares<Account: Hashable & Comparable & Sendable>(
    pool: TokenAmount, values: [Account: Int64], counts: [Account: UInt64], isWarmUp: Bool,
    residuals: inout SiteResiduals<Account>
) throws(ResidualOverflow) -> SiteShares<Account>? {
    let worth = values.mapValues { UInt64(max(0, $0)) }
    let byCountsAlone = isWarmUp || worth.values.allSatisfy { $0 == 0 }
    let half = byCountsAlone ? 0 : pool.microtokens / 2
    var changed = residuals
    let rest = TokenAmount(microtokens: pool.microtokens - half)
    guard let byCount = try apportion(pool: rest, weights: counts, residuals: &changed.byCount)
    else { return nil }
    var byValue: [Account: TokenAmount] = [:]
    if !byCountsAlone {
        byValue =
            try apportion(
                pool: TokenAmount(microtokens: half), weights: worth,
                residuals: &changed.byValue) ?? [:]
    }
    residuals = changed
    return SiteShares(byValue: byValue, byCount: byCount)
}
