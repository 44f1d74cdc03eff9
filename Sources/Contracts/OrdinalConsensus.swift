/// Whether readers agreed on an item, and on what.
package enum Consensus<Label> {
    case approved(Label)
    case indeterminate(IndeterminateReason)

    /// The label; nil without consensus.
    var label: Label? {
        guard case .approved(let label) = self else { return nil }
        return label
    }
}

extension Consensus: Equatable where Label: Equatable {}
extension Consensus: Hashable where Label: Hashable {}
extension Consensus: Sendable where Label: Sendable {}

/// Why an item ends without a label: it is not trained on, not scored, and stakes return.
package enum IndeterminateReason: String, Hashable, Sendable {
    case disputed, tooFew
}

/// When grades make a consensus, as the agreement states it.
package struct OrdinalRule: Hashable, Sendable {
    package let minimumAnswers: Int
    /// How far from the median an answer still supports it.
    package let tolerance: UInt
    /// The share of the answers that must support it, `support` of every `outOf`.
    package let support: UInt64
    package let outOf: UInt64
    /// The largest difference between two answers.
    package let spread: UInt

    package init(
        minimumAnswers: Int = 3, tolerance: UInt = 1, support: UInt64 = 2, outOf: UInt64 = 3,
        spread: UInt = 2
    ) {
        self.minimumAnswers = minimumAnswers
        self.tolerance = tolerance
        self.support = support
        self.outOf = outOf
        self.spread = spread
    }

    /// The lower median, when enough answers lie near it and none lies far from another.
    package func outcome(of grades: [Int]) -> Consensus<Int> {
        guard let median = lowerMedian(grades), grades.count >= minimumAnswers else {
            return .indeterminate(.tooFew)
        }
        let near = grades.count { distance($0, median) <= tolerance }
        let supported =
            UInt128(near) * UInt128(outOf) >= UInt128(support) * UInt128(grades.count)
        guard supported, let low = grades.min(), let high = grades.max(),
            distance(low, high) <= spread
        else { return .indeterminate(.disputed) }
        return .approved(median)
    }
}

/// The middle value, the lower of two; nil for none.
package func lowerMedian<Value: Comparable>(_ values: [Value]) -> Value? {
    values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2]
}

/// |a − b| of any two integers, also those whose difference is beyond `Int`.
private func distance(_ one: Int, _ other: Int) -> UInt {
    UInt(bitPattern: max(one, other)) &- UInt(bitPattern: min(one, other))
}
