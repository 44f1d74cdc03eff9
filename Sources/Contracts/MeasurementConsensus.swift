/// When measurements make a consensus: enough of them near their lower median.
package struct MeasurementRule: GradedRule, Hashable {
    package let minimumAnswers: UInt64
    /// The share of the answers that must be near, `support` of every `outOf`.
    package let support: UInt64
    package let outOf: UInt64
    /// In thousandths of the unit.
    package let absoluteTolerance: UInt64
    /// Of the reference; at most 1000.
    package let relativePermille: UInt64

    package init(
        absoluteTolerance: UInt64, relativePermille: UInt64, minimumAnswers: UInt64 = 3,
        support: UInt64 = 2, outOf: UInt64 = 3
    ) {
        self.absoluteTolerance = absoluteTolerance
        self.relativePermille = min(relativePermille, 1000)
        self.minimumAnswers = minimumAnswers
        self.support = support
        self.outOf = outOf
    }

    /// How far from a reference an answer is still near: the larger of both tolerances.
    package func tolerance(around reference: Int64) -> UInt64 {
        let part = UInt128(relativePermille) * UInt128(reference.magnitude) / 1000
        return max(absoluteTolerance, UInt64(truncatingIfNeeded: part))
    }

    package func reference(of answers: [(value: Int64, weight: UInt64)]) -> Int64? {
        weightedLowerMedian(answers)
    }

    /// 1000 when equal, 0 from one thousandth beyond twice the tolerance, and a line between.
    package func agreement(_ own: Int64, _ reference: Int64) -> UInt64 {
        let width = 2 * UInt128(tolerance(around: reference)) + 1
        let distance = UInt128(distance(own, reference))
        return distance < width ? UInt64((width - distance) * 1000 / width) : 0
    }

    package func consensus(of answers: [Int64]) -> Consensus<Int64> {
        guard let median = lowerMedian(answers), answers.count >= minimumAnswers else {
            return .indeterminate(.tooFew)
        }
        let near = UInt64(answers.count { supports($0, median) })
        guard near >= minimumAnswers,
            UInt128(near) * UInt128(outOf) >= UInt128(support) * UInt128(answers.count)
        else { return .indeterminate(.disputed) }
        return .approved(median)
    }

    package func supports(_ own: Int64, _ consensus: Int64) -> Bool {
        distance(own, consensus) <= tolerance(around: consensus)
    }
}

/// |a − b|, which may be beyond `Int64`.
private func distance(_ one: Int64, _ other: Int64) -> UInt64 {
    UInt64(bitPattern: max(one, other)) &- UInt64(bitPattern: min(one, other))
}
