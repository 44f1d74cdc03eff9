/// A consensus rule for answers that agree by degrees.
package protocol GradedRule: Sendable {
    associatedtype Value: Hashable, Sendable

    /// What answers say together, each with the weight that its reader has.
    ///
    /// - Returns: nil without any weight.
    func reference(of answers: [(value: Value, weight: UInt64)]) -> Value?

    /// How well an answer agrees with a reference, 0 to 1000 per mille, rounded down.
    ///
    /// The reference may be of another item, as pay/1's chance term asks.
    func agreement(_ own: Value, _ reference: Value) -> UInt64

    /// What the readers of one item agree on.
    func consensus(of answers: [Value]) -> Consensus<Value>

    /// Whether one of the item's answers supports its consensus.
    func supports(_ own: Value, _ consensus: Value) -> Bool
}

/// The first value, ascending, at which twice the weight so far reaches the whole.
///
/// - Returns: nil without any weight.
package func weightedLowerMedian<Value: Comparable>(
    _ values: [(value: Value, weight: UInt64)]
) -> Value? {
    let total = values.reduce(UInt128(0)) { $0 + UInt128($1.weight) }
    guard total > 0 else { return nil }
    var below = UInt128(0)
    return values.sorted { $0.value < $1.value }.first { _, weight in
        below += UInt128(weight)
        return 2 * below >= total
    }?.value
}
