/// A comma-separated file read row by row over its own bytes.
///
/// For tables of a million rows: ``CSVTable`` makes a dictionary of strings of every row, which
/// takes gigabytes there. What it refuses is refused here with the same words.
package struct FlatCSV {
    package let file: String
    /// Of the row read last; the header is line 1.
    package private(set) var line = 0
    private var bytes: [UInt8]
    private var position: Int
    /// Where the fields of the row read last stand.
    private var fields: [Range<Int>] = []

    /// - Parameters:
    ///   - bytes: of the file.
    ///   - file: its name, for refusals.
    /// - Throws: ``InputFault`` when the bytes are not text or not whole.
    package init(bytes: [UInt8], file: String) throws {
        if !bytes.allSatisfy({ $0 < 0x80 }) {
            try checkCharacters(utf8Text(bytes, file: file), file: file)
        }
        self.file = file
        self.bytes = bytes
        position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        guard position < bytes.count else {
            throw InputFault(file: file, line: nil, reason: "is empty; it needs a header line")
        }
    }

    package var fieldCount: Int { fields.count }

    /// Reads one row.
    ///
    /// - Returns: false at the end of the file.
    /// - Throws: ``InputFault`` with the line.
    package mutating func next() throws -> Bool {
        guard position < bytes.count else { return false }
        line += 1
        fields.removeAll(keepingCapacity: true)
        let start = position
        while true {
            let end = try readField()
            guard position - start <= longestLine else { throw tooLongLine(line, file: file) }
            guard end == UInt8(ascii: ",") else { break }
        }
        guard fields.count > 1 || fields[0].upperBound > start else {
            throw fault("is empty; delete it")
        }
        return true
    }

    /// Lends the bytes of a field of the row read last.
    package func withField<Result>(
        _ column: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeBufferPointer { bytes in
            try body(UnsafeBufferPointer(rebasing: bytes[fields[column]]))
        }
    }

    package func text(_ column: Int) -> String {
        String(decoding: bytes[fields[column]], as: UTF8.self)
    }

    package func fault(_ reason: String) -> InputFault {
        InputFault(file: file, line: line, reason: reason)
    }

    /// Reads a field and what ends it.
    ///
    /// - Returns: the comma or the line feed behind the field.
    private mutating func readField() throws -> UInt8 {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\"") { return try readQuoted() }
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\n")
                || byte == UInt8(ascii: "\r")
            {
                break
            }
            guard byte != UInt8(ascii: "\"") else { throw strayQuotation }
            try checkControl(byte)
            position += 1
        }
        fields.append(start..<position)
        return try readEnd()
    }

    /// A quoted field; a doubled quotation mark becomes one, in place.
    private mutating func readQuoted() throws -> UInt8 {
        position += 1
        let start = position
        var end = start
        while true {
            guard position < bytes.count, bytes[position] != UInt8(ascii: "\n") else {
                throw fault("opens a quotation that does not end in it")
            }
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") {
                guard position < bytes.count, bytes[position] == byte else { break }
                position += 1
            } else {
                try checkControl(byte)
            }
            bytes[end] = byte
            end += 1
        }
        fields.append(start..<end)
        if position < bytes.count, !",\r\n".utf8.contains(bytes[position]) { throw strayQuotation }
        return try readEnd()
    }

    private mutating func readEnd() throws -> UInt8 {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\r") {
            position += 1
            guard position >= bytes.count || bytes[position] == UInt8(ascii: "\n") else {
                throw fault("has a carriage return inside; end lines with a line feed")
            }
        }
        guard position < bytes.count else {
            throw fault(
                "does not end with a line break, so the file looks truncated; if it is whole, "
                    + "add one")
        }
        position += 1
        return bytes[position - 1]
    }

    private var strayQuotation: InputFault {
        fault("has a quotation mark where none belongs; double it inside a quotation")
    }

    private func checkControl(_ byte: UInt8) throws {
        guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else {
            throw fault("holds a control character; is it a CSV file?")
        }
    }
}

/// Refuses the control characters beyond ASCII; the others are met when the rows are read.
private func checkCharacters(_ text: String, file: String) throws {
    var line = 1
    for scalar in text.unicodeScalars {
        if scalar == "\n" { line += 1 }
        guard scalar.value >= 0x80 else { continue }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator:
            throw InputFault(
                file: file, line: line, reason: "holds a control character; is it a CSV file?")
        default: continue
        }
    }
}
