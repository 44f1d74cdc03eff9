package import Ledger

/// A reader's answer to an item.
package struct AnswerRow {
    package let line: Int
    package let place: String
    package let item: ItemID
    package let grade: UInt32
}

/// Reads answers: columns item, answer; grades 1 to `classes`.
package func readAnswers(_ table: CSVTable, classes: UInt32) throws -> [AnswerRow] {
    var lines: [ItemID: Int] = [:]
    return try table.rows.map { row in
        guard let item = ItemID(row["item"]) else {
            throw row.fault(
                "item must be site/record, such as north/n0001, not \"\(row["item"])\"")
        }
        if let first = lines.updateValue(row.line, forKey: item) {
            throw row.fault("\(item) of line \(first) stands here again")
        }
        let text = row["answer"]
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }),
            let grade = UInt32(text), (1...classes).contains(grade)
        else {
            throw row.fault("answer must be a whole number from 1 to \(classes), not \"\(text)\"")
        }
        return AnswerRow(line: row.line, place: row.place, item: item, grade: grade)
    }
}
