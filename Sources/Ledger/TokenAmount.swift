/// An amount left the range of 64 bits.
package struct AmountOverflow: Error, Hashable, Sendable {}

/// A non-negative whole number of microtokens (1 token = 1,000,000 microtokens).
package struct TokenAmount: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let microtokens: UInt64

    package init(microtokens: UInt64) { self.microtokens = microtokens }

    package static let zero = Self(microtokens: 0)

    package func adding(_ other: Self) throws(AmountOverflow) -> Self {
        let (sum, overflow) = microtokens.addingReportingOverflow(other.microtokens)
        guard !overflow else { throw AmountOverflow() }
        return Self(microtokens: sum)
    }

    /// - Returns: nil when `other` is the larger amount.
    package func subtracting(_ other: Self) -> Self? {
        let (rest, overflow) = microtokens.subtractingReportingOverflow(other.microtokens)
        return overflow ? nil : Self(microtokens: rest)
    }

    /// ⌊amount · numerator / denominator⌋ in full width.
    ///
    /// - Precondition: `numerator` ≤ `denominator`, and `denominator` > 0.
    package func portion(_ numerator: UInt64, of denominator: UInt64) -> Self {
        precondition(denominator > 0 && numerator <= denominator)
        let product = microtokens.multipliedFullWidth(by: numerator)
        guard denominator > numerator else { return self }
        return Self(microtokens: denominator.dividingFullWidth(product).quotient)
    }

    /// Tokens with six decimals, as JSON and tables show them: `12.345678`.
    package var description: String {
        let fraction = String(microtokens % 1_000_000)
        return "\(microtokens / 1_000_000)."
            + String(repeating: "0", count: 6 - fraction.count) + fraction
    }

    /// Reads tokens with at most six decimals.
    ///
    /// - Returns: nil when the text is not a non-negative decimal number of that form, or beyond
    ///   64 bits of microtokens.
    package init?(tokens text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), !parts[0].isEmpty,
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let whole = UInt64(parts[0])
        else { return nil }
        var fraction = parts.count == 2 ? String(parts[1]) : "0"
        guard (1...6).contains(fraction.count) else { return nil }
        fraction += String(repeating: "0", count: 6 - fraction.count)
        guard let micro = UInt64(fraction) else { return nil }
        let (scaled, tooLarge) = whole.multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflow) = scaled.addingReportingOverflow(micro)
        guard !tooLarge, !overflow else { return nil }
        self.init(microtokens: sum)
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.microtokens < rhs.microtokens }
}
