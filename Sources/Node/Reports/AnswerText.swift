package import Contracts
package import Wire

/// An answer in words: a class by its name, a measurement as a decimal number, and of boxes and
/// masks how much there is.
package func answerText(_ answer: Answer, _ rule: WireAnnotationRule) -> String {
    switch answer {
    case .grade(let grade):
        let place = Int(grade) - 1
        return rule.labels.indices.contains(place) ? rule.labels[place] : "\(grade)"
    case .measurement(let value): return decimalText(thousandths: value)
    case .boxes(let set): return set.boxes.count == 1 ? "1 box" : "\(set.boxes.count) boxes"
    case .mask(let mask): return mask.area == 1 ? "1 pixel" : "\(mask.area) pixels"
    }
}

/// A decimal number in thousandths, read digit by digit and never through a float.
///
/// - Returns: nil for more than three decimals, an exponent, or beyond 64 bits.
package func decimalThousandths(_ text: String) -> Int64? {
    let isNegative = text.hasPrefix("-")
    let parts = text.dropFirst(isNegative ? 1 : 0)
        .split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let whole = parts.first, !whole.isEmpty,
        parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
        parts.count == 1 || (1...3).contains(parts[1].count)
    else { return nil }
    let decimals = parts.count == 2 ? String(parts[1]) : ""
    let digits = whole + decimals + String(repeating: "0", count: 3 - decimals.count)
    return Int64((isNegative ? "-" : "") + digits)
}

/// Thousandths as people write them, without needless zeros.
package func decimalText(thousandths value: Int64) -> String {
    let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1000)
    let sign = value < 0 ? "-" : ""
    guard rest > 0 else { return "\(sign)\(whole)" }
    var digits = String(repeating: "0", count: 3 - String(rest).count) + String(rest)
    while digits.last == "0" { digits.removeLast() }
    return "\(sign)\(whole).\(digits)"
}
