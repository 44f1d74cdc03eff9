/// Known labels of items: `item,truth`.
package struct TruthTable: Sendable {
    package struct Row: Sendable {
        package let line: Int
        package let label: String
    }

    package let file: String
    package let labels: [String: Row]

    /// Reads `item,truth`; `task`, and `label` or `gold`, are the same columns by other names.
    ///
    /// - Parameters:
    ///   - bytes: of the file.
    ///   - file: its name, for refusals.
    /// - Throws: ``InputFault`` with line and reason.
    package init(bytes: [UInt8], file: String) throws {
        var table = try FlatCSV(bytes: bytes, file: file)
        _ = try table.next()
        let header = try HeaderColumns(
            table,
            kinds: [("item", ["item", "task"]), ("truth", ["truth", "label", "gold"])])
        var labels: [String: Row] = [:]
        while try table.next() {
            try checkFields(table, count: 2)
            let item = table.text(header[0])
            let row = Row(line: table.line, label: table.text(header[1]))
            if let first = labels.updateValue(row, forKey: item) {
                throw table.fault("\(item) of line \(first.line) stands here again")
            }
        }
        guard !labels.isEmpty else {
            throw InputFault(file: file, line: nil, reason: "has a header and no rows")
        }
        self.file = file
        self.labels = labels
    }

    func fault(_ item: String, _ reason: String) -> InputFault {
        InputFault(file: file, line: labels[item]?.line, reason: reason)
    }

    /// Its items in the order of their lines.
    var itemsByLine: [String] {
        labels.sorted { $0.value.line < $1.value.line }.map(\.key)
    }
}
