package import Cryptography
import Ledger

/// Shapley values estimated from orders of joining that were drawn by a seed.
package struct SampledShapleyValues: Hashable, Sendable {
    /// One per player; they add up to (v(all) − v(∅)) · `permutations`, as exact ones would.
    package let numerators: [Int64]
    /// How many orders were drawn: the numerators' denominator.
    package let permutations: Int
    /// Half the width of each player's 95 % interval, over the same denominator, rounded up.
    ///
    /// 1.96 times the standard error of the mean over the orders, as if it were normal.
    package let halfWidths: [Int64]
    /// Coalitions that were valued: the cost.
    package let evaluations: Int
}

/// Orders in which players join, drawn without bias from a seed.
///
/// - Parameters:
///   - players: n.
///   - count: how many orders.
///   - seed: the same one gives the same orders on every machine.
/// - Returns: `count` permutations of 0..<n.
package func joiningOrders(players: Int, count: Int, seed: Digest) -> [[Int]] {
    var stream = SeedStream(seed: seed)
    return (0..<max(0, count)).map { _ in
        var order = Array(0..<max(0, players))
        for place in order.indices.dropFirst().reversed() {
            order.swapAt(place, Int(stream.number(below: UInt64(place) + 1)))
        }
        return order
    }
}

/// What each player adds on average over the orders of joining that a seed draws.
///
/// For more players than exact values are for; n · m coalitions are valued instead of 2ⁿ. Every
/// voter draws the same orders, so that they agree to the unit.
///
/// - Parameters:
///   - players: n, 1 to 10,000.
///   - orders: m, 2 to 4,096, as ``joiningOrders(players:count:seed:)`` draws them.
///   - floor: v(∅).
///   - utility: of the first k players of an order; it is told the order's place, k, and who joined
///     last.
/// - Returns: the estimates with their intervals.
/// - Throws: ``ShapleyError``, or what `utility` throws.
/// - SeeAlso: Castro, Gómez, Tejada, Polynomial calculation of the Shapley value based on sampling,
///   2009.
package func sampledShapleyValues(
    players: Int, orders: [[Int]], floor: Int64,
    utility: (_ order: Int, _ size: Int, _ last: Int) throws -> Int64
) throws -> SampledShapleyValues {
    guard (1...10_000).contains(players), (2...4_096).contains(orders.count),
        orders.allSatisfy({ $0.count == players && $0.allSatisfy((0..<players).contains) })
    else { throw ShapleyError.playerCount(players) }
    var sums = [Int128](repeating: 0, count: players)
    var squares = [UInt128](repeating: 0, count: players)
    for (place, order) in orders.enumerated() {
        var before = floor
        for (index, player) in order.enumerated() {
            let after = try utility(place, index + 1, player)
            let gain = Int128(after) - Int128(before)  // below 2⁶⁴
            guard gain.magnitude < 1 << 56 else { throw ShapleyError.overflow }
            sums[player] += gain
            squares[player] += gain.magnitude * gain.magnitude
            before = after
        }
    }
    let count = UInt128(orders.count)
    var numerators: [Int64] = []
    var halfWidths: [Int64] = []
    for player in 0..<players {
        guard let numerator = Int64(exactly: sums[player]) else { throw ShapleyError.overflow }
        numerators.append(numerator)
        // m · Σx² − (Σx)² = m² · variance, of which (m / (m − 1)) corrects the bias.
        let mean = sums[player].magnitude
        let (whole, tooLarge) = squares[player].multipliedReportingOverflow(by: count)
        let (square, alsoTooLarge) = mean.multipliedReportingOverflow(by: mean)
        guard !tooLarge, !alsoTooLarge, whole >= square else { throw ShapleyError.overflow }
        // Of the sum over m orders: m · (standard error) = √((m Σx² − (Σx)²) / (m − 1)).
        let spread = (whole - square) / (count - 1)
        let (scaled, overflow) = spread.multipliedReportingOverflow(by: 38_416)  // 1.96² · 10⁴
        guard !overflow, let half = Int64(exactly: squareRoot(scaled / 10_000) + 1) else {
            throw ShapleyError.overflow
        }
        halfWidths.append(spread == 0 ? 0 : half)
    }
    return SampledShapleyValues(
        numerators: numerators, permutations: orders.count, halfWidths: halfWidths,
        evaluations: orders.count * players)
}

/// ⌊√value⌋, by halving.
private func squareRoot(_ value: UInt128) -> UInt128 {
    var (low, high) = (UInt128(0), UInt128(1) << 64)
    while high - low > 1 {
        let middle = low + (high - low) / 2
        if middle * middle <= value { low = middle } else { high = middle }
    }
    return low
}

/// Numbers from SHA-256 over a seed and a counter.
private struct SeedStream {
    let seed: Digest
    private var counter: UInt64 = 0

    init(seed: Digest) { self.seed = seed }

    private mutating func next() -> UInt64 {
        let bytes = Digest.sha256(seed.bytes + bigEndian(counter)).bytes
        counter &+= 1
        return bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Unbiased: what lies in the last, incomplete stretch is drawn again.
    mutating func number(below bound: UInt64) -> UInt64 {
        let limit = UInt64.max - UInt64.max % bound
        while true {
            let number = next()
            if number < limit { return number % bound }
        }
    }
}
