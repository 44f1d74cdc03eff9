/// One line of the raw table on its way to a reading.
struct TableRow {
    /// Where the needed columns stand, and how many columns there are in all.
    struct Columns {
        static let needed =
            ["patient", "study", "nodule", "reader", "diameter_mm", "volume_mm3"]
            + Grade.allCases.map(\.rawValue) + ["malignancy"]

        let position: [String: Int]
        var count: Int { position.count }

        /// - Throws: ``TableMistake`` naming the first needed column that the header lacks.
        init(_ position: [String: Int], file: String) throws(TableMistake) {
            for column in Self.needed where position[column] == nil {
                throw TableMistake(file: file, line: 1, problem: .missingColumn(column))
            }
            self.position = position
        }
    }

    let file: String
    let line: Int
    let fields: [String]
    let columns: Columns

    func reading() throws(TableMistake) -> Reading {
        guard fields.count == columns.count else {
            throw mistake(.fieldCount(fields.count, expected: columns.count))
        }
        let nodule = NoduleID(
            patient: try patient(), study: try counted("study"), number: try counted("nodule"))
        let reader = try onScale("reader", 1...seatsPerHospital)
        let diameter = try positive("diameter_mm")
        let volume = try positive("volume_mm3")
        var grades: [Int] = []
        for grade in Grade.allCases { grades.append(try onScale(grade.rawValue, grade.scale)) }
        return Reading(
            nodule: nodule, reader: reader, diameterMillimetres: diameter,
            volumeCubicMillimetres: volume, grades: grades,
            malignancy: try onScale("malignancy", 1...5))
    }

    private func mistake(_ problem: TableMistake.Problem) -> TableMistake {
        TableMistake(file: file, line: line, problem: problem)
    }

    private func text(_ column: String) throws(TableMistake) -> String {
        guard let index = columns.position[column], fields.indices.contains(index) else {
            throw mistake(.missingColumn(column))
        }
        return fields[index]
    }

    /// An id that can be written into a CSV file as it is.
    private func patient() throws(TableMistake) -> String {
        let text = try text("patient")
        let isPlain = text.utf8.allSatisfy {
            (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "\"")
        }
        guard isPlain, !text.isEmpty else { throw mistake(.unusablePatient(text)) }
        return text
    }

    private func counted(_ column: String) throws(TableMistake) -> Int {
        let text = try text(column)
        guard let value = wholeNumber(text), (1...999_999_999).contains(value) else {
            throw mistake(.notCounted(text, column: column))
        }
        return value
    }

    private func onScale(
        _ column: String, _ scale: ClosedRange<Int>
    ) throws(TableMistake) -> Int {
        let text = try text(column)
        guard let value = wholeNumber(text), scale.contains(value) else {
            throw mistake(.offScale(text, column: column, scale: scale))
        }
        return value
    }

    private func positive(_ column: String) throws(TableMistake) -> Double {
        let text = try text(column)
        let isDecimal = text.utf8.allSatisfy { isDigit($0) || $0 == UInt8(ascii: ".") }
        guard isDecimal, let value = Double(text), value > 0, value.isFinite else {
            throw mistake(.notPositive(text, column: column))
        }
        return value
    }

    private func wholeNumber(_ text: String) -> Int? {
        text.utf8.allSatisfy { isDigit($0) } ? Int(text) : nil
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
