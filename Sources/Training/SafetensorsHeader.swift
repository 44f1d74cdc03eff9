/// One tensor as a safetensors header describes it.
struct SafetensorsEntry {
    let name: String
    let shape: [Int]
    let begin: Int
    let end: Int
}

/// What a safetensors header says.
struct SafetensorsHeader {
    var entries: [SafetensorsEntry] = []
    var metadata: [String: String] = [:]
}

/// Reads the JSON of a safetensors header, and nothing that such a header does not need.
///
/// A general JSON reader silently keeps one of two equal keys; here a second one is refused, so
/// that no two readers can see different tensors in one file.
struct SafetensorsHeaderReader {
    private let bytes: ArraySlice<UInt8>
    private var place: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        place = bytes.startIndex
    }

    mutating func read() throws(SafetensorsError) -> SafetensorsHeader {
        var header = SafetensorsHeader()
        var names: Set<String> = []
        guard peek() == UInt8(ascii: "{") else { throw .malformedHeader(at: place) }
        try object { (reader, name) throws(SafetensorsError) in
            guard names.insert(name).inserted else { throw .duplicateName(name) }
            if name == "__metadata__" {
                header.metadata = try reader.metadata()
            } else {
                guard Tensor.isName(name) else { throw .badName(name) }
                header.entries.append(try reader.entry(named: name))
            }
        }
        while place < bytes.endIndex, bytes[place] == UInt8(ascii: " ") { place += 1 }
        guard place == bytes.endIndex else { throw .malformedHeader(at: place) }
        return header
    }

    private mutating func metadata() throws(SafetensorsError) -> [String: String] {
        var metadata: [String: String] = [:]
        try object { (reader, key) throws(SafetensorsError) in
            guard metadata.updateValue(try reader.string(), forKey: key) == nil else {
                throw .duplicateName(key)
            }
        }
        return metadata
    }

    private mutating func entry(named name: String) throws(SafetensorsError) -> SafetensorsEntry {
        var type: String?
        var shape: [Int]?
        var offsets: [Int]?
        try object { (reader, key) throws(SafetensorsError) in
            switch key {
            case "dtype" where type == nil: type = try reader.string()
            case "shape" where shape == nil: shape = try reader.numbers()
            case "data_offsets" where offsets == nil: offsets = try reader.numbers()
            default: throw .unexpectedField(tensor: name, field: key)
            }
        }
        guard let type, let shape, let offsets, offsets.count == 2 else {
            throw .missingField(tensor: name)
        }
        guard type == "F32" else { throw .unsupportedType(tensor: name, type: type) }
        return SafetensorsEntry(name: name, shape: shape, begin: offsets[0], end: offsets[1])
    }

    /// Calls `body` at the value of each key; only `{`, one level, never itself.
    private mutating func object(
        _ body: (inout Self, String) throws(SafetensorsError) -> Void
    ) throws(SafetensorsError) {
        try expect("{")
        if skip("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try body(&self, key)
        } while skip(",")
        try expect("}")
    }

    /// Non-negative whole numbers without fraction, exponent or leading zero.
    private mutating func numbers() throws(SafetensorsError) -> [Int] {
        try expect("[")
        var numbers: [Int] = []
        if skip("]") { return numbers }
        repeat {
            skipSpace()
            let begin = place
            while let byte = peek(), (48...57).contains(byte) { place += 1 }
            let digits = bytes[begin..<place]
            guard let number = Int(String(decoding: digits, as: UTF8.self)),
                digits.count == 1 || digits.first != UInt8(ascii: "0")
            else { throw .malformedHeader(at: begin) }
            numbers.append(number)
        } while skip(",")
        try expect("]")
        return numbers
    }

    private mutating func string() throws(SafetensorsError) -> String {
        try expect("\"")
        let begin = place
        var text: [UInt8] = []
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw .malformedHeader(at: place) }
            place += 1
            if byte == UInt8(ascii: "\\") {
                text.append(contentsOf: String(try escaped()).utf8)
            } else {
                text.append(byte)
            }
        }
        guard peek() != nil, let string = String(validating: text, as: UTF8.self) else {
            throw .malformedHeader(at: begin)
        }
        place += 1
        return string
    }

    private mutating func escaped() throws(SafetensorsError) -> Character {
        let begin = place
        guard let byte = peek() else { throw .malformedHeader(at: begin) }
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Character(Unicode.Scalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw .malformedHeader(at: begin)
        }
        var code = try hexadecimal()
        if (0xD800..<0xDC00).contains(code), peek() == UInt8(ascii: "\\") {
            place += 1
            guard peek() == UInt8(ascii: "u") else { throw .malformedHeader(at: begin) }
            place += 1
            let low = try hexadecimal()
            guard (0xDC00..<0xE000).contains(low) else { throw .malformedHeader(at: begin) }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw .malformedHeader(at: begin) }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws(SafetensorsError) -> UInt32 {
        let digits = bytes[place...].prefix(4)
        guard digits.count == 4,
            digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw .malformedHeader(at: place) }
        place += 4
        return code
    }

    private func peek() -> UInt8? { place < bytes.endIndex ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek() == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(SafetensorsError) {
        guard skip(character) else { throw .malformedHeader(at: place) }
    }
}
