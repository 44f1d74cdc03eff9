import Foundation

/// Reads a JSON file into a type; a refusal names the place, such as `annotations[3].bbox[0]`.
func readJSON<Value: Decodable>(
    _ type: Value.Type, _ bytes: [UInt8], file: String
) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
        // A number that fits into no whole one is told apart from what is no JSON at all.
        let isJSON = (try? JSONSerialization.jsonObject(with: Data(bytes))) != nil
        throw InputFault(
            file: file, line: nil,
            reason: isJSON && error.isPlaceless
                ? "holds a number that should be a whole one, or smaller" : reason(error))
    }
}

extension DecodingError {
    fileprivate var isPlaceless: Bool {
        guard case .dataCorrupted(let context) = self else { return false }
        return context.codingPath.isEmpty
    }
}

/// A whole number whose refusal says where it stands, which that of `Int64` does not.
struct WholeNumber: Decodable {
    let value: Int64

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            value = try container.decode(Int64.self)
        } catch {
            guard (try? container.decode(Double.self)) != nil else { throw error }
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not a whole number of 64 bits")
        }
    }
}

private func reason(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String {
        let path = (context.codingPath + [key].compactMap(\.self)).reduce(into: "") { path, key in
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += (path.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return path.isEmpty ? "the file" : path
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context, key)) is missing"
    case .valueNotFound(_, let context): return "\(place(context)) is missing"
    case .typeMismatch(let type, let context):
        return "\(place(context)) is not \(words(for: type))"
    case .dataCorrupted(let context) where context.codingPath.isEmpty:
        return "is not JSON; NaN and Infinity are no numbers of JSON"
    case .dataCorrupted(let context): return "\(place(context)) is no whole number, or too large"
    @unknown default: return "is not understood"
    }
}

private func words(for type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a text"
    case is Bool.Type: "true or false"
    case is any BinaryInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    default: "\(type)".hasPrefix("Array") ? "a list" : "what belongs there"
    }
}

/// A number in thousandths.
///
/// - Returns: nil when it has more decimals than three, is beyond 2⁵³ of them, or so large that it
///   may stand for two numbers of thousandths.
func thousandths(exactly value: Double) -> Int64? {
    let scaled = value * 1000
    guard scaled.isFinite, abs(scaled) < 0x1p53 else { return nil }
    let rounded = scaled.rounded()
    // Of large numbers the product is off by more than the number was.
    let exact = [rounded - 1, rounded, rounded + 1].filter { $0 / 1000 == value }
    guard exact.isEmpty else { return exact.count == 1 ? Int64(exact[0]) : nil }
    return abs(scaled - rounded) < 1e-4 ? Int64(rounded) : nil
}

/// An edge of a box in thousandths of a pixel; what rounding put just outside lies on the border.
///
/// - Parameters:
///   - pixels: from the image's upper left corner.
///   - side: of the image, in pixels.
/// - Returns: nil outside the image.
func edge(_ pixels: Double, side: UInt32) -> UInt32? {
    let scaled = (pixels * 1000).rounded()
    let limit = Double(side) * 1000
    guard scaled.isFinite, scaled > -6, scaled < limit + 6 else { return nil }
    return UInt32(min(max(0, scaled), limit))
}
