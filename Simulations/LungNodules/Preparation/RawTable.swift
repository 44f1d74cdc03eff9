import SwiftCSV

/// A grade that a reader gives a nodule besides malignancy, by its column; in the order of features.
package enum Grade: String, CaseIterable, Hashable, Sendable {
    case subtlety
    case internalStructure = "internal_structure"
    case calcification, sphericity, margin, lobulation, spiculation, texture

    var scale: ClosedRange<Int> { self == .calcification ? 1...6 : 1...5 }
}

/// A nodule of the raw table; nodules are ordered by patient, study and number within the study.
package struct NoduleID: Hashable, Comparable, Sendable {
    package let patient: String
    package let study: Int
    package let number: Int

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.patient, lhs.study, lhs.number) < (rhs.patient, rhs.study, rhs.number)
    }
}

/// One radiologist's reading of one nodule, as the raw table gives it.
package struct Reading: Hashable, Sendable {
    package let nodule: NoduleID
    /// 1 to 4; it numbers the readers within a study, so it names a seat and not a person.
    package let reader: Int
    package let diameterMillimetres: Double
    package let volumeCubicMillimetres: Double
    /// The eight grades besides malignancy, in the order of ``Grade``.
    package let grades: [Int]
    package let malignancy: Int
}

/// A mistake in the raw table: where it is, what is wrong and what to do.
package struct TableMistake: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong; cases in check order, so that one table always gives one answer.
    package enum Problem: Hashable, Sendable {
        case notCSV
        case missingColumn(String)
        case repeatedColumn(String)
        case fieldCount(Int, expected: Int)
        case unusablePatient(String)
        case notCounted(String, column: String)
        case offScale(String, column: String, scale: ClosedRange<Int>)
        case notPositive(String, column: String)
        case repeatedReading(firstLine: Int)
        case noReadings
    }

    package let file: String
    /// Counted from 1, the header being line 1.
    package let line: Int
    package let problem: Problem

    package var description: String { "\(file), line \(line): \(sentence)" }

    private var sentence: String {
        switch problem {
        case .notCSV:
            "the quotation marks do not match; close them, or export the table again as CSV."
        case .missingColumn(let column):
            "the column \(column) is missing; add it to the header and to every row."
        case .repeatedColumn(let column):
            "the column \(column) stands there twice; remove or rename one of them."
        case .fieldCount(let count, let expected):
            "\(count) fields where the header names \(expected); complete or shorten the row."
        case .unusablePatient(let text):
            "\(quoted(text)) is no patient id; use printable ASCII without spaces, commas or quotes."
        case .notCounted(let text, let column):
            "\(column) is \(quoted(text)); write a whole number from 1 to 999999999."
        case .offScale(let text, let column, let scale):
            "\(column) is \(quoted(text)); write a whole number from \(scale.lowerBound) to "
                + "\(scale.upperBound)."
        case .notPositive(let text, let column):
            "\(column) is \(quoted(text)); write a number above 0, such as 12.5."
        case .repeatedReading(let firstLine):
            "this reader has read this nodule in line \(firstLine) already; keep one of the two."
        case .noReadings:
            "no readings below the header; choose a table that has some."
        }
    }

    /// The text in quotes, shortened: an unclosed quotation mark can swallow the rest of a table.
    private func quoted(_ text: String) -> String {
        text.count > 40 ? "“\(text.prefix(40))…”" : "“\(text)”"
    }
}

/// The readings of a raw table, checked field by field, in the order of its rows.
///
/// Other columns than the known ones are ignored, and so are empty lines.
///
/// - Parameters:
///   - text: CSV with a header line.
///   - file: the table's name for mistakes.
/// - Returns: at least one reading; no reader has two of one nodule.
/// - Throws: ``TableMistake`` for the first mistake from the top.
package func readings(inCSV text: String, file: String) throws(TableMistake) -> [Reading] {
    let rows = try tableRows(inCSV: text, file: file)
    var columns: [String: Int] = [:]
    for (index, name) in (rows.first ?? []).enumerated() {
        guard columns.updateValue(index, forKey: name) == nil else {
            throw TableMistake(file: file, line: 1, problem: .repeatedColumn(name))
        }
    }
    let positions = try TableRow.Columns(columns, file: file)
    var readings: [Reading] = []
    var lines: [SeatReading: Int] = [:]
    for (index, fields) in rows.enumerated().dropFirst() where fields != [""] {
        let reading = try TableRow(file: file, line: index + 1, fields: fields, columns: positions)
            .reading()
        let seat = SeatReading(nodule: reading.nodule, reader: reading.reader)
        if let firstLine = lines.updateValue(index + 1, forKey: seat) {
            throw TableMistake(
                file: file, line: index + 1, problem: .repeatedReading(firstLine: firstLine))
        }
        readings.append(reading)
    }
    guard !readings.isEmpty else {
        throw TableMistake(file: file, line: rows.count, problem: .noReadings)
    }
    return readings
}

/// What may stand in the table only once.
private struct SeatReading: Hashable {
    let nodule: NoduleID
    let reader: Int
}

/// The table's lines as fields, the header first.
///
/// The parser is asked row by row because its own list of rows pads short ones silently.
private func tableRows(inCSV text: String, file: String) throws(TableMistake) -> [[String]] {
    var rows: [[String]] = []
    do {
        let table = try EnumeratedCSV(
            string: text, delimiter: .comma, loadColumns: false, rowLimit: 0)
        try table.enumerateAsArray(rowLimit: nil) { rows.append($0) }
    } catch {
        throw TableMistake(file: file, line: rows.count + 1, problem: .notCSV)
    }
    return rows
}
