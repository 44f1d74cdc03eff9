import Foundation

/// Reads a JSON file into a type; a refusal names the place, such as `annotations[3].bbox[0]`.
func readJSON<Value: Decodable>(
    _ type: Value.Type, _ bytes: [UInt8], file: String
) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
        guard error.isPlaceless else {
            throw InputFault(file: file, line: nil, reason: reason(error))
        }
        throw syntaxFault(bytes, file: file)
    }
}

/// What is wrong with bytes that are no JSON, and where.
///
/// A decoder says of them no more than that; a number that fits into no whole one it refuses alike.
private func syntaxFault(_ bytes: [UInt8], file: String) -> InputFault {
    do {
        let text = Array(try utf8Text(bytes, file: file).utf8)
        do {
            _ = try JSONSerialization.jsonObject(with: Data(text))
            return InputFault(
                file: file, line: nil,
                reason: "holds a number that should be a whole one, or smaller")
        } catch {
            let told = (error as NSError).userInfo["NSDebugDescription"] as? String
            return syntaxFault(text, told: told ?? "", file: file)
        }
    } catch let fault as InputFault { return fault } catch {
        return InputFault(file: file, line: nil, reason: "is not JSON")
    }
}

/// Puts Foundation's sentence, such as "Invalid value around character 8.", into words with a line.
private func syntaxFault(_ text: [UInt8], told: String, file: String) -> InputFault {
    func fault(at offset: Int?, _ reason: String) -> InputFault {
        guard let offset, offset <= text.count else {
            return InputFault(file: file, line: nil, reason: "is not JSON\(reason)")
        }
        let lines = text[..<offset].split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let column = lines.last.map { String(decoding: $0, as: UTF8.self).count } ?? 0
        return InputFault(
            file: file, line: max(1, lines.count),
            reason: "is not JSON at character \(column + 1)\(reason)")
    }
    guard !told.hasPrefix("Unexpected end of file during JSON parse") else {
        return fault(
            at: text.count, ": it ends in the middle, so the file looks truncated; export it again")
    }
    let words = told.split(separator: " ")
    if told.hasPrefix("Number "), told.contains("not representable"), words.count > 1 {
        let place = text.firstRange(of: Array(words[1].utf8))?.lowerBound
        return fault(at: place, ": the number \(words[1]) is beyond what a number may be")
    }
    let offset = words.firstIndex(of: "character").flatMap { place in
        words.indices.contains(place + 1)
            ? Int(words[place + 1].filter(\.isNumber)) : nil
    }
    // Of "nan" the first letter might have been that of null.
    for start in [offset, offset.map { $0 - 1 }].compactMap(\.self)
    where start >= 0 && isNoNumber(text.dropFirst(start).prefix(9)) {
        return fault(at: start, "; NaN and Infinity are no numbers of JSON")
    }
    let what = words.prefix { $0 != "around" && $0 != "starting" }.joined(separator: " ")
    return fault(
        at: offset, what.isEmpty ? "" : ": \(what.prefix(1).lowercased())\(what.dropFirst())")
}

/// Whether a word stands there with which programs write what is no number.
private func isNoNumber(_ text: ArraySlice<UInt8>) -> Bool {
    let word = String(decoding: text, as: UTF8.self).lowercased().drop { "+-".contains($0) }
    return word.hasPrefix("nan") || word.hasPrefix("inf")
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
