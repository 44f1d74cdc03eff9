import Commands
import Ledger
import Testing
import Wire

/// A file that must be refused, where, and a piece of the reason.
private struct BadFile: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let line: Int?
    let reason: String

    var testDescription: String { name }

    init(_ name: String, _ text: String, line: Int?, _ reason: String) {
        self.name = name
        self.text = text
        self.line = line
        self.reason = reason
    }

    /// The refusal's file and line are as stated, and its sentence names the reason.
    func matches(_ fault: InputFault?) -> Bool {
        fault?.file == "t.csv" && fault?.line == line && fault?.reason.contains(reason) == true
    }
}

private func refusal(_ body: () throws -> Void) -> InputFault? {
    do {
        try body()
        return nil
    } catch { return error as? InputFault }
}

private func table(_ text: String, _ columns: [String]) throws -> CSVTable {
    try CSVTable(bytes: Array(text.utf8), file: "t.csv", columns: columns)
}

@Suite("Tables that people hand in")
struct CSVRefusalTests {
    private static let tables = [
        BadFile("empty file", "", line: nil, "is empty"),
        BadFile("header alone", "a,b\n", line: nil, "no rows"),
        BadFile("missing column", "a\n1\n", line: 1, "\"b\" is missing"),
        BadFile("wrong column", "a,c\n1,2\n", line: 1, "\"b\" is missing"),
        BadFile("extra column", "a,b,c\n1,2,3\n", line: 1, "\"c\" is not known"),
        BadFile("column twice", "a,b,b\n1,2,3\n", line: 1, "\"b\" stands twice"),
        BadFile("too few fields", "a,b\n1,2\n3\n", line: 3, "1 fields instead of 2"),
        BadFile("too many fields", "a,b\n1,2\n3,4,5\n", line: 3, "3 fields instead of 2"),
        BadFile("cut in the last field", "a,b\n1,2\n3,4", line: 3, "truncated"),
        BadFile("cut in a quotation", "a,b\n1,2\n3,\"4\n", line: 3, "quotation"),
        BadFile("stray quotation mark", "a,b\n1,2\n\"3\"x\",4\"\n", line: 3, "quotation mark"),
        BadFile("blank line", "a,b\n\n1,2\n", line: 2, "is empty"),
        BadFile("binary", "a,b\n1,\u{0}\n", line: 2, "control character"),
        BadFile("lone carriage return", "a,b\n1\r,2\n", line: 2, "carriage return"),
        BadFile(
            "endless line", "a,b\n1,\(String(repeating: "2", count: 1 << 20))\n", line: 2,
            "is longer than 1048576 bytes"),
        BadFile(
            "endless last line", "a,b\n1,\(String(repeating: ",", count: 1 << 20))", line: 2,
            "is longer than 1048576 bytes"),
        BadFile("line separator", "a,b\n1,2\u{2028}3,4\n", line: 2, "control character"),
    ]

    @Test("is refused with its line", arguments: tables)
    fileprivate func refused(file: BadFile) {
        let fault = refusal { _ = try table(file.text, ["a", "b"]) }
        #expect(file.matches(fault), "\(String(describing: fault))")
    }

    @Test("a byte that is not UTF-8 is named by its line")
    func notUTF8() {
        let bytes = Array("a,b\n1,2\n3,".utf8) + [0xFF] + Array("\n".utf8)
        let fault = refusal {
            _ = try CSVTable(bytes: bytes, file: "t.csv", columns: ["a", "b"])
        }
        #expect(fault?.line == 3)
        #expect(fault?.reason.contains("UTF-8") == true)
    }

    @Test(
        "reads what spreadsheets write",
        arguments: [
            "a,b\n1,\"x, y\"\n", "b,a\n\"x, y\",1\n", "\u{FEFF}a,b\n1,\"x, y\"\n",
            "a,b\r\n1,\"x, y\"\r\n",
        ])
    func accepted(text: String) throws {
        let row = try #require(try table(text, ["a", "b"]).rows.first)
        #expect(row["a"] == "1")
        #expect(row["b"] == "x, y")
        #expect(row.line == 2)
    }

    @Test("an empty last field is a field")
    func emptyField() throws {
        #expect(try table("a,b\n1,\n", ["a", "b"]).rows.map { $0["b"] } == [""])
    }
}

@Suite("Answers, consents and records")
struct RowRefusalTests {
    private static let answers = [
        BadFile("grade 0", "item,answer\nn/a,0\n", line: 2, "from 1 to 5"),
        BadFile("grade above", "item,answer\nn/a,6\n", line: 2, "from 1 to 5"),
        BadFile("grade empty", "item,answer\nn/a,\n", line: 2, "from 1 to 5"),
        BadFile("grade NaN", "item,answer\nn/a,NaN\n", line: 2, "from 1 to 5"),
        BadFile("grade fraction", "item,answer\nn/a,3.0\n", line: 2, "from 1 to 5"),
        BadFile("grade signed", "item,answer\nn/a,+3\n", line: 2, "from 1 to 5"),
        BadFile("bad item", "item,answer\nn/a,3\nA b,3\n", line: 3, "site/record"),
        BadFile("item twice", "item,answer\nn/a,3\nn/a,3\n", line: 3, "of line 2 stands here"),
    ]

    @Test("an answer is refused with its line", arguments: answers)
    fileprivate func answer(file: BadFile) {
        let fault = refusal {
            var rule = WireAnnotationRule()
            rule.answer = "ordinal"
            rule.classes = 5
            _ = try readAnswers(
                Array(file.text.utf8), AnswerSource(file: "t.csv", rule: rule))
        }
        #expect(file.matches(fault), "\(String(describing: fault))")
    }

    private static let consents = [
        BadFile("no patient", "patient,purposes,reward\n,training,earn\n", line: 2, "1 to 256"),
        BadFile("purpose", "patient,purposes,reward\nP,traning,earn\n", line: 2, "\"traning\""),
        BadFile("no purpose", "patient,purposes,reward\nP,,earn\n", line: 2, "no purpose"),
        BadFile(
            "purpose twice", "patient,purposes,reward\nP,training training,earn\n", line: 2,
            "named twice"),
        BadFile("reward", "patient,purposes,reward\nP,training,yes\n", line: 2, "earn or waive"),
        BadFile(
            "patient twice", "patient,purposes,reward\nP,training,earn\nP,training,waive\n",
            line: 3, "of line 2 stands here"),
    ]

    @Test("a consent is refused with its line", arguments: consents)
    fileprivate func consent(file: BadFile) {
        let fault = refusal {
            _ = try readGrants(table(file.text, ["patient", "purposes", "reward"]))
        }
        #expect(file.matches(fault), "\(String(describing: fault))")
    }

    private static let header = "patient,record,use,readers,x\n"
    private static let records = [
        BadFile("name", header + "P,A 1,training,r,1\n", line: 2, "record must be"),
        BadFile("no patient", header + ",a,training,r,1\n", line: 2, "patient must"),
        BadFile("use", header + "P,a,test,r,1\n", line: 2, "training or evaluation"),
        BadFile("reader's name", header + "P,a,training,R1,1\n", line: 2, "\"R1\""),
        BadFile("reader's account", header + "P,a,training,annotator/r,1\n", line: 2, "reader"),
        BadFile("reader twice", header + "P,a,training,r r,1\n", line: 2, "stands twice"),
        BadFile("number empty", header + "P,a,training,r,\n", line: 2, "x is empty"),
        BadFile("number NaN", header + "P,a,training,r,nan\n", line: 2, "decimal number"),
        BadFile("number infinite", header + "P,a,training,r,inf\n", line: 2, "decimal number"),
        BadFile("number hexadecimal", header + "P,a,training,r,0x1\n", line: 2, "decimal number"),
        BadFile("number too large", header + "P,a,training,r,1e39\n", line: 2, "beyond"),
        BadFile("number cut", header + "P,a,training,r,1e\n", line: 2, "decimal number"),
        BadFile(
            "record twice", header + "P,a,training,r,1\nP,a,training,r,2\n", line: 3,
            "of line 2 stands here"),
    ]

    @Test("a record is refused with its line", arguments: records)
    fileprivate func record(file: BadFile) {
        let fault = refusal {
            _ = try readRecords(
                table(file.text, recordColumns + ["x"]), features: ["x"], site: "north")
        }
        #expect(file.matches(fault), "\(String(describing: fault))")
    }

    @Test("features stand in the study's order, readers ascending, whatever the file's")
    func recordRow() throws {
        let text = "y,record,x,readers,use,patient\n-2.5e-1,a,3,r-2 r-10,evaluation,P\n"
        let rows = try readRecords(
            table(text, recordColumns + ["x", "y"]), features: ["x", "y"], site: "north")
        let row = try #require(rows.first)
        #expect(row.features == [3, -0.25])
        #expect(row.item == ItemID("north/a"))
        #expect(row.name == "a")
        #expect(row.readers.map(\.text) == ["annotator/r-10", "annotator/r-2"])
    }

    @Test("purposes stand in the chain's order")
    func purposes() throws {
        #expect(try readPurposes("commercial, training") == ["training", "commercial"])
    }
}
