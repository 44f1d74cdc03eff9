import LungNodules
import Testing

/// One row of the raw table with fields replaced by column; the header is in its order.
struct RawRow {
    static let columns = [
        "patient", "study", "nodule", "reader", "diameter_mm", "volume_mm3", "subtlety",
        "internal_structure", "calcification", "sphericity", "margin", "lobulation",
        "spiculation", "texture", "malignancy",
    ]
    static let header = columns.joined(separator: ",")

    var fields = [
        "p1", "12", "1", "1", "7.5", "403.4", "5", "1", "6", "3", "3", "3", "4", "5", "2",
    ]

    init(_ replaced: [String: String] = [:]) {
        for (index, column) in Self.columns.enumerated() {
            fields[index] = replaced[column] ?? fields[index]
        }
    }

    var line: String { fields.joined(separator: ",") }

    static func table(_ rows: [[String: String]]) -> String {
        ([header] + rows.map { Self($0).line }).joined(separator: "\n") + "\n"
    }
}

@Suite("The raw table")
struct TableTests {
    @Test("a row becomes a reading, whatever the order of the columns")
    func columnOrder() throws {
        let straight = try readings(inCSV: RawRow.table([[:]]), file: "raw.csv")
        let reversed =
            RawRow.columns.reversed().joined(separator: ",") + ",note\r\n"
            + RawRow().fields.reversed().joined(separator: ",") + ",\"seen, twice\"\r\n"
        #expect(try readings(inCSV: reversed, file: "raw.csv") == straight)
        let reading = try #require(straight.first)
        #expect(reading.nodule.patient == "p1")
        #expect((reading.nodule.study, reading.nodule.number, reading.reader) == (12, 1, 1))
        #expect(reading.diameterMillimetres == 7.5)
        #expect(reading.volumeCubicMillimetres == 403.4)
        #expect(reading.grades == [5, 1, 6, 3, 3, 3, 4, 5])
        #expect(reading.malignancy == 2)
    }

    @Test("a byte order mark, empty lines and a missing last line end do no harm")
    func tolerance() throws {
        let text = "\u{FEFF}" + RawRow.header + "\n\n" + RawRow().line
        #expect(try readings(inCSV: text, file: "raw.csv").count == 1)
    }

    static let mistakes: [(line: Int, problem: TableMistake.Problem, text: String)] = [
        (2, .notCSV, RawRow.table([["patient": "\"p\"1"]])),
        (1, .repeatedColumn("patient"), RawRow.table([]).replacing("study", with: "patient")),
        (1, .missingColumn("patient"), ""),
        (1, .missingColumn("malignancy"), RawRow.table([[:]]).replacing(",malignancy", with: "")),
        (2, .fieldCount(14, expected: 15), RawRow.header + "\np1" + ",1" * 13 + "\n"),
        (2, .fieldCount(16, expected: 15), RawRow.header + "\np1" + ",1" * 15 + "\n"),
        (2, .unusablePatient(""), RawRow.table([["patient": ""]])),
        (2, .unusablePatient("p 1"), RawRow.table([["patient": "p 1"]])),
        (2, .unusablePatient("p,1"), RawRow.table([["patient": "\"p,1\""]])),
        (2, .unusablePatient("é"), RawRow.table([["patient": "é"]])),
        (2, .notCounted("0", column: "study"), RawRow.table([["study": "0"]])),
        (2, .notCounted("1.5", column: "nodule"), RawRow.table([["nodule": "1.5"]])),
        (2, .offScale("5", column: "reader", scale: 1...4), RawRow.table([["reader": "5"]])),
        (2, .notPositive("0", column: "diameter_mm"), RawRow.table([["diameter_mm": "0"]])),
        (2, .notPositive("-3", column: "diameter_mm"), RawRow.table([["diameter_mm": "-3"]])),
        (2, .notPositive("nan", column: "diameter_mm"), RawRow.table([["diameter_mm": "nan"]])),
        (2, .notPositive("", column: "volume_mm3"), RawRow.table([["volume_mm3": ""]])),
        (
            3, .offScale("6", column: "margin", scale: 1...5),
            RawRow.table([["calcification": "6"], ["reader": "2", "margin": "6"]])
        ),
        (
            2, .offScale("7", column: "calcification", scale: 1...6),
            RawRow.table([["calcification": "7"]])
        ),
        (
            2, .offScale("high", column: "malignancy", scale: 1...5),
            RawRow.table([["malignancy": "high"]])
        ),
        (
            4, .repeatedReading(firstLine: 2),
            RawRow.table([[:], ["reader": "2"], ["malignancy": "5"]])
        ),
        (2, .noReadings, RawRow.header + "\n\n"),
    ]

    @Test("a mistake names file, line and problem", arguments: mistakes.indices)
    func mistake(index: Int) {
        let (line, problem, text) = Self.mistakes[index]
        let mistake = #expect(throws: TableMistake.self) {
            try readings(inCSV: text, file: "raw.csv")
        }
        #expect(mistake?.problem == problem)
        #expect(mistake?.line == line)
        #expect(mistake?.description.hasPrefix("raw.csv, line \(line): ") == true)
        #expect(mistake?.description.hasSuffix(".") == true)
    }

    @Test("a field that swallowed the rest of the table is not printed whole")
    func longField() {
        let swallowed = RawRow.table([["malignancy": String(repeating: "9", count: 500)]])
        let mistake = #expect(throws: TableMistake.self) {
            try readings(inCSV: swallowed, file: "raw.csv")
        }
        #expect((mistake?.description.count ?? .max) < 160)
    }
}

/// The text `count` times.
private func * (text: String, count: Int) -> String { String(repeating: text, count: count) }
