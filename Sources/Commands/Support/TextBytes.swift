import Foundation

/// Text as it goes out, for results of a million lines: no string is made of a number or a row.
extension [UInt8] {
    mutating func append(_ text: String) { append(contentsOf: text.utf8) }

    mutating func append(decimal value: UInt64) {
        guard value > 9 else { return append(UInt8(ascii: "0") + UInt8(value)) }
        let start = count
        var rest = value
        while rest > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        }
        self[start...].reverse()
    }

    /// A string in quotes, escaped as RFC 8259 asks.
    mutating func append(json text: String) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case 0..<0x20:
                append(contentsOf: "\\u00".utf8)
                append(contentsOf: (byte < 16 ? "0" : "").utf8)
                append(contentsOf: String(byte, radix: 16).utf8)
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }

    /// Text and what fills it up to a width in characters.
    mutating func append(padded text: String, to width: Int) {
        append(text)
        let missing = Swift.max(0, width - text.count)
        append(contentsOf: repeatElement(UInt8(ascii: " "), count: missing))
    }

    mutating func append(_ value: UInt64, rightTo width: Int) {
        let start = count
        append(decimal: value)
        let missing = Swift.max(0, width - (count - start))
        insert(contentsOf: repeatElement(UInt8(ascii: " "), count: missing), at: start)
    }
}

/// Writes bytes to stdout; a reader that went away is told as any other failed write.
func printBytes(_ bytes: [UInt8]) throws {
    try FileHandle.standardOutput.write(contentsOf: Data(bytes))
}
