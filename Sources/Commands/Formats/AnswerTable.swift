import Contracts
import Ledger
import Node

/// Reads a table of answers: of boxes and masks as the consensus is written, else `item,answer`, or
/// wide with a column for each reader.
func readAnswerTable(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    try source.refuse("--control", source.control, "a table")
    if source.rule.kind.isImage {
        try source.refuse("--annotator", source.annotator, "a table of one reader")
    }
    switch source.rule.kind {
    case .boxes: return try readBoxTable(bytes, source)
    case .masks: return try readMaskTable(bytes, source)
    case .class, .ordinal, .measurement: break
    }
    var header = try FlatCSV(bytes: bytes, file: source.file)
    _ = try header.next()
    let columns = (0..<header.fieldCount).map(header.text)
    guard columns.contains("item"), !columns.contains("answer") else {
        let table = try CSVTable(bytes: bytes, file: source.file, columns: ["item", "answer"])
        try source.refuse("--annotator", source.annotator, "a table of one reader")
        return try answers(table, column: "answer", source)
    }
    let table = try CSVTable(bytes: bytes, file: source.file, columns: columns)
    let reader = source.annotator ?? source.reader
    let names = [reader, reader.map { "annotator/\($0)" }].compactMap(\.self)
    guard let column = columns.first(where: { $0 != "item" && names.contains($0) }) else {
        throw InputFault(
            file: source.file, line: 1,
            reason: "it has no column \"answer\" and none of "
                + (reader.map { "\($0)'s own name" } ?? "a reader named with --annotator")
        )
    }
    return try answers(table, column: column, source, isWide: true)
}

private func answers(
    _ table: CSVTable, column: String, _ source: AnswerSource, isWide: Bool = false
) throws -> [AnswerRow] {
    var lines: [ItemID: Int] = [:]
    return try table.rows.compactMap { row in
        let item = try row.item(unlessIn: &lines)
        let text = row[column]
        guard !isWide || !text.isEmpty else { return nil }
        return AnswerRow(
            place: row.place, name: item.text, isItem: true,
            answer: try answer(text, row, source))
    }
}

private func answer(_ text: String, _ row: CSVRow, _ source: AnswerSource) throws -> Answer {
    guard source.rule.kind == .measurement else {
        guard let grade = source.grade(text) else {
            throw row.fault("answer must be \(source.classes), not \"\(text)\"")
        }
        return .grade(grade)
    }
    guard let value = decimalThousandths(text) else {
        throw row.fault(
            "answer must be a decimal number with at most three decimals, not \"\(text)\"")
    }
    return .measurement(value)
}
