/// Krippendorff's alpha as an exact fraction: 1 is perfect agreement, 0 what chance would give.
///
/// α = 1 − D/E: observed over expected disagreement of two answers to the same item. Items with
/// one answer do not count; an item of m answers counts each of its pairs with 1/(m − 1).
///
/// - SeeAlso: Krippendorff, Content Analysis, 2nd edition 2004, chapter 11.
package struct KrippendorffAlpha: Hashable, Sendable {
    package enum Metric: Sendable {
        /// Two classes differ or not.
        case nominal
        /// Two grades differ by the square of the answers that stand between them.
        case ordinal
    }

    private let numerator: Natural
    private let denominator: Natural
    private let isNegative: Bool

    /// In lowest terms, such as `-1/8` or `1`.
    package var fraction: String {
        let sign = isNegative ? "-" : ""
        let below = denominator.text
        return below == "1" ? sign + numerator.text : "\(sign)\(numerator.text)/\(below)"
    }

    /// For people; the fraction is exact.
    package var value: Double {
        (isNegative ? -1 : 1) * numerator.ratio(to: denominator)
    }

    /// - Returns: nil when no item has two answers, or all of these answers are the same.
    package init?(_ grid: AnswerGrid, metric: Metric) {
        var totals = [UInt64](repeating: 0, count: grid.classes)
        var votes = totals
        for item in 0..<grid.itemCount where grid.count(&votes, of: item) >= 2 {
            for answer in 0..<grid.classes { totals[answer] += votes[answer] }
        }
        let distance = Distance(totals: totals, metric: metric)
        let expected = distance.pairs(totals)
        guard expected > 0 else { return nil }
        var observed: [UInt32: UInt128] = [:]
        for item in 0..<grid.itemCount {
            let count = grid.count(&votes, of: item)
            guard count >= 2 else { continue }
            let pairs = distance.pairs(votes)
            if pairs > 0 { observed[UInt32(truncatingIfNeeded: count - 1), default: 0] += pairs }
        }
        self.init(observed, expected: expected, answers: totals.reduce(0, +))
    }

    /// α = 1 − (n − 1) · Σ D(m) / (m − 1) / E, brought to lowest terms.
    private init(_ observed: [UInt32: UInt128], expected: UInt128, answers: UInt64) {
        let weights = observed.sorted { $0.key < $1.key }
        var common = Natural(1)
        for (divisor, _) in weights {
            let shared = greatestCommonDivisor(common.divided(by: divisor).remainder, divisor)
            common = common * Natural(UInt128(divisor / shared))
        }
        var sum = Natural(0)
        for (divisor, pairs) in weights {
            sum = sum + common.divided(by: divisor).quotient * Natural(pairs)
        }
        let whole = common * Natural(expected)
        let (rest, isNegative) = Natural.difference(
            whole, sum * Natural(UInt128(answers - 1)))
        let shared = Natural.gcd(rest, whole)
        numerator = rest.dividedExactly(by: shared)
        denominator = whole.dividedExactly(by: shared)
        self.isNegative = isNegative
    }
}

private func greatestCommonDivisor(_ one: UInt32, _ other: UInt32) -> UInt32 {
    var (left, right) = (one, other)
    while right > 0 { (left, right) = (right, left % right) }
    return left
}

/// How far two answers are apart.
///
/// Fewer than 2³¹ answers: a squared distance stays within 2⁶⁴ and every sum of pairs within 2¹²⁶.
private struct Distance {
    private let metric: KrippendorffAlpha.Metric
    /// Twice the answers below a grade, and those of the grade itself.
    private let middle: [UInt64]

    init(totals: [UInt64], metric: KrippendorffAlpha.Metric) {
        self.metric = metric
        var below: UInt64 = 0
        middle = totals.map { count in
            defer { below += count }
            return 2 * below + count
        }
    }

    /// Σ over ordered pairs of answers of their distance; four times it for grades.
    func pairs(_ votes: [UInt64]) -> UInt128 {
        var sum = UInt128(0)
        for one in votes.indices where votes[one] > 0 {
            for other in votes.indices.dropFirst(one + 1) where votes[other] > 0 {
                let weight = 2 * UInt128(votes[one]) * UInt128(votes[other])
                switch metric {
                case .nominal: sum += weight
                case .ordinal:
                    let apart = UInt128(middle[other] - middle[one])
                    sum += weight * apart * apart
                }
            }
        }
        return sum
    }
}
