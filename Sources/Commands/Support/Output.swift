import ArgumentParser
import Foundation
import Ledger
import Node

/// How results are printed: for people, or for scripts with stable keys.
enum ReportFormat: String, CaseIterable, ExpressibleByArgument {
    case table, json
}

struct FormatOptions: ParsableArguments {
    @Option(help: "How to print the result: table or json.")
    var format: ReportFormat = .table

    /// Prints a report as JSON, or as the text made of it.
    func show<Report: Codable>(_ report: Report, _ text: (Report) -> String) throws {
        switch format {
        case .json: print(String(decoding: try reportJSON(report), as: UTF8.self))
        case .table: print(text(report))
        }
    }
}

func printError(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// One line on a terminal that says how far long work is; silent in a pipe.
struct ProgressLine {
    private static let isShown = isatty(STDERR_FILENO) == 1

    func show(_ text: String) {
        guard Self.isShown else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
    }

    func clear() { show("") }
}

/// Rows in columns; columns of numbers stand right. What somebody wrote moves no cursor.
package struct Table {
    private let header: [String]
    private var rows: [[String]] = []

    package init(_ header: String...) { self.header = header }

    init(_ header: [String], _ rows: [[String]]) {
        self.header = header
        for row in rows { add(row) }
    }

    package mutating func add(_ row: String...) { add(row) }

    private mutating func add(_ row: [String]) { rows.append(row.map(printable)) }

    package var text: String {
        guard !rows.isEmpty else { return header.joined(separator: "  ") + "\n(none)" }
        let columns = header.indices
        let widths = columns.map { column in
            rows.reduce(header[column].count) { max($0, $1[column].count) }
        }
        let isNumber = columns.map { column in rows.allSatisfy { looksNumeric($0[column]) } }
        return ([header] + rows).map { row in
            columns.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumber[column] ? space + row[column] : row[column] + space
            }.joined(separator: "  ").trimmedEnd
        }.joined(separator: "\n")
    }

    private func looksNumeric(_ text: String) -> Bool {
        text == "-" || (!text.isEmpty && text.utf8.allSatisfy { "0123456789.+-".utf8.contains($0) })
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

/// Names and values, one a line, values below each other; a value begins no line of its own.
package func fields(_ pairs: [(String, String)]) -> String {
    let width = pairs.reduce(0) { max($0, $1.0.count) }
    return pairs.map { name, value in
        name + String(repeating: " ", count: width - name.count + 2) + printable(value)
    }.joined(separator: "\n")
}

/// Somebody else's words, so that they move no cursor and begin no line of their own.
package func printable(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { shown, scalar in
        if isControlCharacter(scalar) {
            shown += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        } else {
            shown.unicodeScalars.append(scalar)
        }
    }
}

/// A number for people with so many decimals; "-" for none.
func decimals(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "-"
}
