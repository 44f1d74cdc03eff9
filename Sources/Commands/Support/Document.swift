import ArgumentParser
import Node

/// How a report that people keep is printed.
package enum DocumentFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    case table, json, csv, html
}

struct DocumentOptions: ParsableArguments {
    @Option(help: "How to print the result: table, json, csv or html (a page to print).")
    var format: DocumentFormat = .table

    /// Prints a report as JSON, or as the document made of it.
    func show(_ report: some Codable, _ document: @autoclosure () -> Document) throws {
        switch format {
        case .json: print(String(decoding: try reportJSON(report), as: UTF8.self))
        case .table: print(document().text)
        case .csv: print(document().csv, terminator: "")
        case .html: print(document().html)
        }
    }
}

/// Rows under a header, in whatever format they are printed.
package struct DocumentTable: Sendable {
    let name: String
    let header: [String]
    private(set) var rows: [[String]] = []

    init(_ name: String, _ header: String...) {
        self.name = name
        self.header = header
    }

    mutating func add(_ row: String...) { rows.append(row) }
}

/// A report with a head, tables and a foot.
package struct Document: Sendable {
    let title: String
    let head: [(String, String)]
    let tables: [DocumentTable]
    let foot: [(String, String)]

    /// For a terminal.
    package var text: String {
        let parts = tables.enumerated().map { place, table in
            (place == 0 ? "" : table.name + "\n") + Table(table.header, table.rows).text
        }
        return ([fields(head)] + parts + [fields(foot)]).joined(separator: "\n\n")
    }

    /// RFC 4180: one header line, then the head, all rows of all tables, and the foot.
    ///
    /// The first column names the table, or `summary` for a name and a value of head or foot. The
    /// columns of the tables follow, each once; where a row has none of a column it is empty, so
    /// that all rows have as many fields as the header.
    package var csv: String {
        let columns = tables.reduce(into: [String]()) { columns, table in
            columns += table.header.filter { !columns.contains($0) }
        }
        func summary(_ pairs: [(String, String)]) -> [[String]] {
            pairs.map { ["summary", $0, $1] + columns.map { _ in "" } }
        }
        let rows = tables.flatMap { table in
            let places = columns.map { table.header.firstIndex(of: $0) }
            return table.rows.map { row in
                [table.name, "", ""] + places.map { $0.map { row[$0] } ?? "" }
            }
        }
        let lines = [["section", "name", "value"] + columns] + summary(head) + rows + summary(foot)
        return lines.map { $0.map(csvField).joined(separator: ",") + "\r\n" }.joined()
    }

    /// One page without any other file, for a browser's printer.
    package var html: String {
        func list(_ pairs: [(String, String)]) -> String {
            pairs.map { "<dt>\(escaped($0))</dt><dd>\(escaped($1))</dd>" }.joined(separator: "\n")
        }
        let body = tables.map { table in
            let head = table.header.map { "<th>\(escaped($0))</th>" }.joined()
            let rows = table.rows.map { row in
                "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
            }
            return "<h2>\(escaped(table.name))</h2>\n<table>\n<thead><tr>\(head)</tr></thead>\n"
                + "<tbody>\n\(rows.joined(separator: "\n"))\n</tbody>\n</table>"
        }
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <title>\(escaped(title))</title>
            <style>
            body { font: 10pt sans-serif; margin: 2em; }
            table { border-collapse: collapse; width: 100%; }
            th, td { border-bottom: 1px solid #999; padding: .2em .5em; text-align: left;
              overflow-wrap: anywhere; vertical-align: top; }
            thead { display: table-header-group; }
            tr { break-inside: avoid; }
            dl { display: grid; grid-template-columns: max-content auto; gap: .2em 1em; }
            dd { margin: 0; }
            @page { size: A4 landscape; margin: 1.5cm; }
            </style>
            </head>
            <body>
            <h1>\(escaped(title))</h1>
            <dl>
            \(list(head))
            </dl>
            \(body.joined(separator: "\n"))
            <dl>
            \(list(foot))
            </dl>
            </body>
            </html>
            """
    }
}

/// A field as RFC 4180 quotes it.
private func csvField(_ text: String) -> String {
    guard text.utf8.contains(where: { "\",\r\n".utf8.contains($0) }) else { return text }
    return "\""
        + text.split(separator: "\"", omittingEmptySubsequences: false)
        .joined(separator: "\"\"") + "\""
}

private func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
}
