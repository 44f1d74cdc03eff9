import Replay
import Storage

/// Compares the rows of a table with those that must be there, both ascending by a whole number.
struct RowCheck {
    private let rows: StoredRows
    private var waiting: [StoredValue]?
    private var isReadable = true

    init(_ rows: StoredRows) { self.rows = rows }

    private var table: LedgerTable { rows.table }

    private mutating func peek(_ findings: inout Findings) -> [StoredValue]? {
        if waiting == nil, isReadable {
            do {
                waiting = try rows.next()
            } catch {
                findings.add("table \(table.rawValue)", "\(error)")
            }
            isReadable = waiting != nil
        }
        return waiting
    }

    /// Takes the row of a key and reports rows before it, which belong to nothing.
    ///
    /// - Returns: nil when there is no such row.
    mutating func take(_ key: Int64, _ findings: inout Findings) -> [StoredValue]? {
        while let row = peek(&findings) {
            guard let found = row.first?.integer, found >= key else {
                report(row, &findings)
                continue
            }
            guard found == key else { return nil }
            waiting = nil
            return row
        }
        return nil
    }

    /// Requires a row; its first column is the key.
    ///
    /// - Parameters:
    ///   - expected: a value for each column.
    ///   - detail: what the row is about, for the finding's place.
    ///   - findings: where a difference goes.
    mutating func expect(
        _ expected: [StoredValue], _ detail: @autoclosure () -> String,
        _ findings: inout Findings
    ) {
        guard let key = expected.first?.integer else { return }
        func place() -> String { "table \(table.rawValue), row \(key)\(detail())" }
        guard let row = take(key, &findings) else {
            return findings.add(place(), "the row is missing")
        }
        for (column, (found, wanted)) in zip(table.columns, zip(row, expected))
        where found != wanted {
            findings.add(place(), "column \(column): \(difference(found, wanted))")
        }
    }

    private func difference(_ found: StoredValue, _ wanted: StoredValue) -> String {
        if case .integer(let number) = wanted {
            return "it says \(found.shown) instead of \(number)"
        }
        return "it is not what re-execution gives"
    }

    /// Reports the rows that are left, which belong to nothing.
    mutating func finish(_ findings: inout Findings) {
        while let row = peek(&findings) { report(row, &findings) }
    }

    private mutating func report(_ row: [StoredValue], _ findings: inout Findings) {
        waiting = nil
        let key = row.first?.shown ?? "?"
        findings.add("table \(table.rawValue), row \(key)", "it belongs to nothing on the chain")
    }
}
