/// Why bytes are not a safetensors file of float32 tensors; places are bytes from the start.
package enum SafetensorsError: Error, Hashable, Sendable {
    /// Fewer than the eight bytes of the header's length, or than that length says.
    case truncated(needed: UInt64, found: Int)
    /// More than 1 MiB of header.
    case headerTooLong(UInt64)
    case malformedHeader(at: Int)
    case badName(String)
    case duplicateName(String)
    case unexpectedField(tensor: String, field: String)
    case missingField(tensor: String)
    /// Anything but F32.
    case unsupportedType(tensor: String, type: String)
    /// The tensor does not begin where the one before it ended, or ends before it begins.
    case notContiguous(tensor: String, at: Int)
    /// The shape needs another number of bytes than the offsets enclose.
    case shapeMismatch(tensor: String, shape: [Int], bytes: Int)
    /// Bytes that belong to no tensor, or a tensor beyond the end.
    case dataLength(needed: Int, found: Int)
}

/// A model file as PyTorch and others read and write it: float32 tensors and a few notes.
///
/// u64 little-endian header length ‖ JSON header padded with spaces to eight bytes ‖ values, little
/// endian and row-major. What this writes is canonical (tensors, fields and notes in ascending
/// order), so equal parameters are equal bytes; what it reads may come in any order.
///
/// - SeeAlso: https://github.com/huggingface/safetensors, "Format".
package struct Safetensors: Hashable, Sendable {
    package let parameters: Parameters
    package let metadata: [String: String]

    package static let headerLimit = 1 << 20

    package init(_ parameters: Parameters, metadata: [String: String] = [:]) {
        self.parameters = parameters
        self.metadata = metadata
    }

    /// The canonical bytes.
    ///
    /// - Throws: ``SafetensorsError/headerTooLong(_:)`` for names and notes that no reader takes.
    package func encoded() throws(SafetensorsError) -> [UInt8] {
        var fields: [(name: String, json: String)] = []
        if !metadata.isEmpty {
            let notes = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
                .map { "\(quoted($0.key)):\(quoted($0.value))" }
            fields.append(("__metadata__", "{\(notes.joined(separator: ","))}"))
        }
        var offset = 0
        for tensor in parameters.tensors {
            let end = offset + 4 * tensor.values.count
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            fields.append(
                (
                    tensor.name,
                    "{\"data_offsets\":[\(offset),\(end)],\"dtype\":\"F32\",\"shape\":[\(shape)]}"
                ))
            offset = end
        }
        fields.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let json = fields.map { "\(quoted($0.name)):\($0.json)" }.joined(separator: ",")
        var header = Array("{\(json)}".utf8)
        header.append(contentsOf: repeatElement(0x20, count: (8 - header.count % 8) % 8))
        guard header.count <= Self.headerLimit else {
            throw .headerTooLong(UInt64(header.count))
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + header.count + offset)
        withUnsafeBytes(of: UInt64(header.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: header)
        for tensor in parameters.tensors { append(tensor.values, to: &bytes) }
        return bytes
    }

    /// Reads bytes that anybody may have written; nothing is allocated by what they claim.
    package init(decoding bytes: [UInt8]) throws(SafetensorsError) {
        guard bytes.count >= 8 else { throw .truncated(needed: 8, found: bytes.count) }
        let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(Self.headerLimit) else { throw .headerTooLong(length) }
        guard length <= UInt64(bytes.count - 8) else {
            throw .truncated(needed: 8 + length, found: bytes.count)
        }
        let begin = 8 + Int(length)
        var reader = SafetensorsHeaderReader(bytes[8..<begin])
        let header = try reader.read()
        let entries = header.entries.sorted {
            ($0.begin, $0.end, $0.name) < ($1.begin, $1.end, $1.name)
        }
        var offset = 0
        for entry in entries {
            guard entry.begin == offset, entry.end >= entry.begin else {
                throw .notContiguous(tensor: entry.name, at: entry.begin)
            }
            let (needed, overflow) = (elementCount(of: entry.shape) ?? .max)
                .multipliedReportingOverflow(by: 4)
            guard !overflow, needed == entry.end - entry.begin else {
                throw .shapeMismatch(
                    tensor: entry.name, shape: entry.shape, bytes: entry.end - entry.begin)
            }
            offset = entry.end
        }
        guard offset == bytes.count - begin else {
            throw .dataLength(needed: offset, found: bytes.count - begin)
        }
        let tensors = entries.map { entry in
            Tensor(
                known: entry.name, shape: entry.shape,
                values: floats(in: bytes, from: begin + entry.begin, to: begin + entry.end))
        }
        parameters = Parameters(
            sorted: tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
        metadata = header.metadata
    }
}

private func append(_ values: [Float], to bytes: inout [UInt8]) {
    #if _endian(little)
        values.withUnsafeBytes { bytes.append(contentsOf: $0) }
    #else
        for value in values {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
    #endif
}

/// - Precondition: the range lies in `bytes` and is a multiple of four long.
private func floats(in bytes: [UInt8], from begin: Int, to end: Int) -> [Float] {
    bytes.withUnsafeBytes { bytes in
        let count = (end - begin) / 4
        return [Float](unsafeUninitializedCapacity: count) { values, initialized in
            for index in 0..<count {
                let bits = bytes.loadUnaligned(fromByteOffset: begin + 4 * index, as: UInt32.self)
                values.initializeElement(
                    at: index, to: Float(bitPattern: UInt32(littleEndian: bits)))
            }
            initialized = count
        }
    }
}

/// A JSON string.
private func quoted(_ text: String) -> String {
    var json = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\":
            json.append("\\")
            json.unicodeScalars.append(scalar)
        case "\u{0}"..<" ":
            let digits = String(scalar.value, radix: 16)
            json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: json.unicodeScalars.append(scalar)
        }
    }
    return json + "\""
}
