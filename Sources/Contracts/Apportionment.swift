package import Ledger

/// A residual left the range of 64 bits; nothing was paid and no residual changed.
package struct ResidualOverflow: Error, Hashable, Sendable {}

/// Residuals are kept in 2⁻³² of a microtoken.
private let residualBits = 32

/// Divides a pool by weight with the largest remainder, so that the shares add up to it.
///
/// Ties: the larger remainder first, then the lower account. An account of weight zero gets
/// nothing.
///
/// - Returns: nil when all weights are zero: the pool waits.
package func largestRemainder<Account: Hashable & Comparable>(
    pool: TokenAmount, weights: [Account: UInt64]
) -> [Account: TokenAmount]? {
    let accounts = weights.keys.sorted()
    guard let dues = dues(pool: pool, weights: accounts.map { weights[$0, default: 0] }, bits: 0)
    else { return nil }
    var shares: [Account: TokenAmount] = [:]
    for (account, due) in zip(accounts, dues) {
        shares[account] = TokenAmount(microtokens: UInt64(due))
    }
    return shares
}

/// Divides a pool by weight (rule split/1); what rounding took from an account is owed to it.
///
/// Plain largest remainder starves small accounts for ever: a thousand equal accounts and a pool
/// of 100 would pay the same hundred every round.
///
/// All sums are in 128 bits: a due is below 2⁹⁶ and a residual below 2⁶³, so no sum of 2³²
/// accounts overflows. What a call leaves is a few units for each account, as the payments are
/// whole numbers next to what is owed, so 64 bits hold it (2³¹ microtokens either way); a value
/// that does not fit is refused instead of wrapped.
///
/// - Parameters:
///   - pool: the amount that is handed out to the last microtoken.
///   - weights: one per account; an account of weight zero is paid nothing and keeps its residual.
///   - residuals: of one role, in 2⁻³² microtokens; their sum stays as it was, which is 0.
/// - Returns: a share for every account in `weights`; nil, with nothing changed, when all weights
///   are zero.
/// - Throws: ``ResidualOverflow``, with nothing changed.
package func apportion<Account: Hashable & Comparable>(
    pool: TokenAmount, weights: [Account: UInt64], residuals: inout [Account: Int64]
) throws(ResidualOverflow) -> [Account: TokenAmount]? {
    let accounts = weights.keys.sorted()
    let heavy = accounts.map { weights[$0, default: 0] > 0 }
    guard
        let dues = dues(
            pool: pool, weights: accounts.map { weights[$0, default: 0] }, bits: residualBits)
    else { return nil }
    let owed = zip(accounts, dues).map { Int128(residuals[$0, default: 0]) + Int128($1) }
    var paid = owed.indices.map { heavy[$0] ? UInt128(max(0, owed[$0] >> residualBits)) : 0 }
    let ranked = owed.indices.filter { heavy[$0] }
        .map { (place: $0, rest: owed[$0] - Int128(paid[$0]) << residualBits) }
        .sorted { ($1.rest, $0.place) < ($0.rest, $1.place) }
        .map(\.place)
    let sum = paid.reduce(0, +)
    if sum <= UInt128(pool.microtokens) {
        raise(&paid, by: UInt128(pool.microtokens) - sum, ranked: ranked)
    } else {
        lower(&paid, by: sum - UInt128(pool.microtokens), ranked: ranked.reversed())
    }
    var (shares, changed) = ([Account: TokenAmount](), residuals)
    for (place, account) in accounts.enumerated() {
        let left = owed[place] - Int128(paid[place]) << residualBits
        guard let residual = Int64(exactly: left) else { throw ResidualOverflow() }
        changed[account] = residual
        shares[account] = TokenAmount(microtokens: UInt64(paid[place]))
    }
    residuals = changed
    return shares
}

/// One more each, the first in rank first, again and again until `units` are handed out.
private func raise(_ paid: inout [UInt128], by units: UInt128, ranked: [Int]) {
    let (each, extra) = units.quotientAndRemainder(dividingBy: UInt128(ranked.count))
    for (rank, place) in ranked.enumerated() { paid[place] += each + (rank < extra ? 1 : 0) }
}

/// One less each, the first in rank first, again and again, from those who are still paid.
///
/// - Precondition: `units` is at most what all are paid together.
private func lower(_ paid: inout [UInt128], by units: UInt128, ranked: [Int]) {
    func taken(_ rounds: UInt128) -> UInt128 {
        ranked.reduce(0) { $0 + min(paid[$1], rounds) }
    }
    var (rounds, tooMany) = (UInt128(0), units + 1)  // whole rounds that fit: search by halves
    while tooMany - rounds > 1 {
        let middle = rounds + (tooMany - rounds) / 2
        if taken(middle) <= units { rounds = middle } else { tooMany = middle }
    }
    var left = units - taken(rounds)
    for place in ranked {
        let more: UInt128 = paid[place] > rounds && left > 0 ? 1 : 0
        left -= more
        paid[place] -= min(paid[place], rounds) + more
    }
}

/// Largest remainder of pool · 2^bits over weights in account order.
///
/// The product of 160 bits is never formed: with pool · w = q · total + r the due is
/// q · 2^bits + ⌊r · 2^bits / total⌋, and r is below 2⁹⁶ for fewer than 2³² accounts.
///
/// - Returns: nil when all weights are zero.
private func dues(pool: TokenAmount, weights: [UInt64], bits: Int) -> [UInt128]? {
    let total = weights.reduce(UInt128(0)) { $0 + UInt128($1) }
    guard total > 0 else { return nil }
    var dues: [UInt128] = []
    var rests: [(place: Int, rest: UInt128)] = []
    dues.reserveCapacity(weights.count)
    for (place, weight) in weights.enumerated() {
        let product = UInt128(pool.microtokens) * UInt128(weight)
        let (whole, rest) = product.quotientAndRemainder(dividingBy: total)
        let (part, left) = (rest << bits).quotientAndRemainder(dividingBy: total)
        dues.append(whole << bits + part)
        if weight > 0 { rests.append((place, left)) }
    }
    let missing = UInt128(pool.microtokens) << bits - dues.reduce(0, +)
    rests.sort { ($1.rest, $0.place) < ($0.rest, $1.place) }
    for entry in rests.prefix(Int(missing)) { dues[entry.place] += 1 }
    return dues
}
