import Foundation

/// What a model sees of a nodule: the centred lower medians of its readings, malignancy left out.
package struct Features: Hashable, Sendable {
    /// The names of the values, as the columns of `records.csv`.
    package static let names = Grade.allCases.map(\.rawValue) + ["diameter", "volume"]

    /// Eight of (grade − 3), then (ln mm − 2) / 0.5, then (ln mm³ − 6) / 1.5.
    package let values: [Double]

    /// The features of one nodule from all its readings; nil when there are none.
    package init?(of readings: [Reading]) {
        guard let diameter = lowerMedian(readings.map(\.diameterMillimetres)),
            let volume = lowerMedian(readings.map(\.volumeCubicMillimetres))
        else { return nil }
        let grades = Grade.allCases.indices.compactMap { grade in
            lowerMedian(readings.map { $0.grades[grade] })
        }
        values =
            grades.map { Double($0 - 3) }
            + [(log(diameter) - 2) / 0.5, (log(volume) - 6) / 1.5]
    }
}

/// The middle value, of two middle values the lower; nil when there are none.
package func lowerMedian<Value: Comparable>(_ values: [Value]) -> Value? {
    values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2]
}

/// A finite number with seven significant digits: no exponent, no trailing zeros, no locale.
///
/// Seven digits are what a 32-bit float keeps.
package func decimal(_ value: Double) -> String {
    let scientific = String(format: "%.6e", value).split(separator: "e")
    guard scientific.count == 2, let exponent = Int(scientific[1]), value != 0 else { return "0" }
    let digits = String(scientific[0].filter(\.isNumber))
    let point = exponent + 1
    let padded =
        String(repeating: "0", count: max(0, 1 - point)) + digits
        + String(repeating: "0", count: max(0, point - digits.count))
    let whole = padded.prefix(max(1, point))
    var fraction = padded.dropFirst(whole.count)
    while fraction.last == "0" { fraction.removeLast() }
    return (value < 0 ? "-" : "") + whole + (fraction.isEmpty ? "" : "." + fraction)
}
