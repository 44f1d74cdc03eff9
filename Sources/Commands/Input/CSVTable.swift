import Foundation
import SwiftCSV

/// One row of a table, by the names of its columns.
package struct CSVRow {
    package let file: String
    package let line: Int
    private let values: [String: String]

    fileprivate init(file: String, line: Int, values: [String: String]) {
        self.file = file
        self.line = line
        self.values = values
    }

    package subscript(column: String) -> String { values[column] ?? "" }

    var place: String { "\(file), line \(line)" }

    func fault(_ reason: String) -> InputFault {
        InputFault(file: file, line: line, reason: reason)
    }
}

/// A table as people hand it in: comma separated, a header, one record a line.
///
/// All is checked before anything is sent: encoding, columns, the number of fields of every row,
/// and that the last line ends, since a cut file otherwise looks like a shorter number.
package struct CSVTable {
    package let file: String
    package let rows: [CSVRow]

    init(file: String, columns: [String]) throws {
        try self.init(bytes: readFile(file), file: file, columns: columns)
    }

    /// - Parameters:
    ///   - bytes: of the file.
    ///   - file: its name, for refusals.
    ///   - columns: all that it must have, in any order, and no others.
    /// - Throws: ``InputFault`` with the line.
    package init(bytes: [UInt8], file: String, columns: [String]) throws {
        try checkLineLengths(bytes, file: file)
        let text = try utf8Text(bytes, file: file)
        try Self.checkLines(text, file: file)
        let table = try Self.parse(text, file: file)
        guard let header = table.first else {
            throw InputFault(file: file, line: nil, reason: "is empty; it needs a header line")
        }
        try Self.checkHeader(header, columns, file: file)
        var rows: [CSVRow] = []
        rows.reserveCapacity(table.count)
        for (index, fields) in table.enumerated().dropFirst() {
            let line = index + 1
            guard fields.count == header.count else {
                throw InputFault(
                    file: file, line: line,
                    reason: "has \(fields.count) fields instead of \(header.count)")
            }
            let values = Dictionary(
                zip(header, fields), uniquingKeysWith: { first, _ in first })
            rows.append(CSVRow(file: file, line: line, values: values))
        }
        guard !rows.isEmpty else {
            throw InputFault(file: file, line: nil, reason: "has a header and no rows")
        }
        self.file = file
        self.rows = rows
    }

    /// Refuses what would make lines and rows two different things.
    private static func checkLines(_ text: String, file: String) throws {
        guard !text.isEmpty else {
            throw InputFault(file: file, line: nil, reason: "is empty; it needs a header line")
        }
        var (line, quotes, isBlank) = (1, 0, true)
        var last: Unicode.Scalar = "\n"
        for scalar in text.unicodeScalars {
            defer { last = scalar }
            if scalar == "\n" {
                guard quotes.isMultiple(of: 2) else {
                    throw InputFault(
                        file: file, line: line, reason: "opens a quotation that does not end in it")
                }
                guard !isBlank else {
                    throw InputFault(file: file, line: line, reason: "is empty; delete it")
                }
                (line, quotes, isBlank) = (line + 1, 0, true)
                continue
            }
            guard last != "\r" else {
                throw InputFault(
                    file: file, line: line,
                    reason: "has a carriage return inside; end lines with "
                        + "a line feed")
            }
            if scalar == "\r" { continue }
            if scalar == "\"" { quotes += 1 }
            isBlank = false
            guard !isControl(scalar) else {
                throw InputFault(
                    file: file, line: line, reason: "holds a control character; is it a CSV file?")
            }
        }
        guard last == "\n" else {
            throw InputFault(
                file: file, line: line,
                reason: "does not end with a line break, so the file looks truncated; if it is "
                    + "whole, add one")
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control: scalar != "\t"
        case .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    private static func parse(_ text: String, file: String) throws -> [[String]] {
        var rows: [[String]] = []
        do {
            let csv = try EnumeratedCSV(
                string: text, delimiter: .comma, loadColumns: false, rowLimit: 0)
            try csv.enumerateAsArray(startAt: 0, rowLimit: nil) { rows.append($0) }
        } catch is CSVParseError {
            throw InputFault(
                file: file, line: rows.count + 1,
                reason: "has a quotation mark where none belongs; double it inside a quotation")
        }
        return rows
    }

    private static func checkHeader(
        _ header: [String], _ columns: [String], file: String
    ) throws {
        func fault(_ reason: String) -> InputFault {
            InputFault(
                file: file, line: 1,
                reason: reason + "; it must have " + columns.joined(separator: ","))
        }
        if let twice = header.first(where: { name in header.count { $0 == name } > 1 }) {
            throw fault("the column \"\(twice)\" stands twice")
        }
        if let missing = columns.first(where: { !header.contains($0) }) {
            throw fault("the column \"\(missing)\" is missing")
        }
        if let unknown = header.first(where: { !columns.contains($0) }) {
            throw fault("the column \"\(unknown)\" is not known here")
        }
    }
}
