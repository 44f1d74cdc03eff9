import Commands
import Contracts
import Foundation
import Ledger
import Testing

@Suite("Plain label files")
struct LabelFileTests {
    private func table(
        _ text: String, scale: [String]? = nil, isOrdinal: Bool = false
    ) throws -> LabelTable {
        try LabelTable(
            bytes: Array(text.utf8), file: "l.csv", scale: scale, isOrdinal: isOrdinal)
    }

    private func fault(_ body: () throws -> Void) -> String {
        do { try body() } catch let fault as InputFault { return fault.description } catch {}
        return "no refusal"
    }

    private static let head = "item,annotator,label\n"

    private static let bad: [(String, String)] = [
        ("", "l.csv: is empty; it needs a header line"),
        (head, "l.csv: has a header and no rows"),
        ("item,label\n1,1\n", "l.csv, line 1: the column \"annotator\" is missing"),
        ("item,task,annotator,label\n1,1,a,1\n", "l.csv, line 1: the column \"task\" stands twice"),
        ("item,annotator,label,x\n1,a,1,1\n", "l.csv, line 1: the column \"x\" is not known here"),
        (head + "1,a,1\n1,b\n", "l.csv, line 3: has 2 fields instead of 3"),
        (head + "1,a,1\n\n", "l.csv, line 3: is empty; delete it"),
        (head + "1,a,1\n1,b,", "l.csv, line 3: does not end with a line break"),
        (head + "1,a,1\n1,b,\n", "l.csv, line 3: field 3 is empty"),
        (head + "1,a, 1\n", "l.csv, line 2: field 3 begins or ends with a space"),
        (head + "1,a,1\n1,b,\u{1}\n", "l.csv, line 3: holds a control character"),
        (head + "1,a,1\n1,b,\u{85}\n", "l.csv, line 3: holds a control character"),
        (head + "1,a\r,1\n", "l.csv, line 2: has a carriage return inside"),
        (head + "1,a,\"1\n", "l.csv, line 2: opens a quotation that does not end in it"),
        (head + "1,a,1\"\n", "l.csv, line 2: has a quotation mark where none belongs"),
        (head + "1,a,\"1\"2\n", "l.csv, line 2: has a quotation mark where none belongs"),
        (
            head + "1,a,1\n2,a,2\n1,b,1\n1,a,2\n",
            "l.csv, line 5: a labelled 1 in line 2 already; delete one"
        ),
        (head + "1,a,1\n1,b,1\n", "l.csv: has 1 classes instead of 2 to 255"),
        (
            "item,annotator,label,replicate\n1,a,1,1\n1,a,2,2\n2,a,2,1\n2,a,2,1\n",
            "l.csv, line 5: a labelled 2 in line 4 already"
        ),
    ]

    @Test("are refused with line and reason", arguments: bad)
    func refusals(text: String, expected: String) {
        let told = fault { _ = try table(text) }
        #expect(told.hasPrefix(expected), "\(told)")
    }

    @Test("a label outside the named classes, or that is no grade, is refused")
    func scales() throws {
        let text = Self.head + "1,a,no\n1,b,yes\n2,a,maybe\n"
        let told = fault { _ = try table(text, scale: ["no", "yes"]) }
        #expect(told == "l.csv, line 4: the label \"maybe\" is none of the classes no,yes")
        #expect(fault { _ = try table(text, isOrdinal: true) }.contains("not grades"))
        let far = Self.head + "1,a,-9223372036854775808\n1,b,9223372036854775807\n"
        #expect(fault { _ = try table(far, isOrdinal: true) }.contains("not grades"))
        let grades = try table(Self.head + "1,a,1\n1,b,4\n", isOrdinal: true)
        #expect(grades.classes == ["1", "2", "3", "4"])
    }

    @Test(
        "among numbers, what is no number is refused; among names it is one",
        arguments: ["NaN", "nan", "inf", "-Infinity"])
    func noNumber(label: String) throws {
        let numbers = Self.head + "1,a,0.5\n1,b,2\n2,a,\(label)\n2,b,\(label)\n"
        for isOrdinal in [false, true] {
            #expect(
                fault { _ = try table(numbers, isOrdinal: isOrdinal) }
                    == "l.csv, line 4: the label \"\(label)\" is no number, and all other labels "
                    + "are; delete the row, or name it as a class with --classes")
        }
        #expect(try table(numbers, scale: ["0.5", "2", label]).classes.count == 3)
        #expect(try table(Self.head + "1,a,x\n1,b,\(label)\n2,a,2\n").classes.count == 3)
    }

    @Test("a line without end is refused before all its fields are taken apart")
    func endlessLine() {
        let commas = Self.head + "1,a,x\n" + String(repeating: ",", count: 2 << 20) + "\n"
        #expect(
            fault { _ = try table(commas) }
                == "l.csv, line 3: is longer than 1048576 bytes; is it a CSV file?")
    }

    @Test("whole numbers stand in their order, other names by their bytes")
    func order() throws {
        let numbers = try table("label,worker,task\r\n10,b,10\r\n9,\"a\"\"x\",9\r\n10,ä,10\r\n")
        #expect(numbers.items == ["9", "10"] && numbers.classes == ["9", "10"])
        #expect(numbers.annotators == ["a\"x", "b", "ä"])
        let words = try table(Self.head + "i10,a,x10\ni9,a,x9\n")
        #expect(words.items == ["i10", "i9"] && words.classes == ["x10", "x9"])
        let padded = try table(Self.head + "09,a,1\n10,a,2\n9,a,2\n")
        #expect(padded.items == ["09", "10", "9"])
    }

    /// Dawid & Skene 1979, table 1, the first 10 patients of 45, in reverse order.
    private static let fitness = """
        111.1.1.1.1 333.4.3.3.4 112.2.1.2.2 222.3.1.2.1 222.3.2.2.2 222.3.3.2.2 112.2.1.1.1
        333.3.4.3.3 222.2.2.2.3 223.2.2.2.3
        """

    private var fitnessFile: String {
        var lines: [String] = []
        for (patient, row) in Self.fitness.split(whereSeparator: \.isWhitespace).enumerated() {
            for (reader, grades) in row.split(separator: ".").enumerated() {
                for (replicate, grade) in grades.enumerated() {
                    lines.append("\(patient + 1),r\(reader + 1),\(grade),\(replicate)")
                }
            }
        }
        return "item,annotator,label,replicate\n" + lines.reversed().joined(separator: "\n") + "\n"
    }

    @Test("labels, posteriors and scores are those of score/1, whatever the order of the rows")
    func agreesWithBatch() throws {
        let consensus = try LabelConsensus(table(fitnessFile), rule: .classes(ClassRule()))
        let items = Self.fitness.split(whereSeparator: \.isWhitespace).enumerated().map {
            (
                item: $0,
                answers: $1.split(separator: ".").enumerated().flatMap { reader, grades in
                    grades.compactMap(\.wholeNumberValue).map {
                        ClassAnswer(
                            annotator: AccountID(.annotator, "r\(reader + 1)"), answer: $0 - 1)
                    }
                }
            )
        }
        let batch = try scoreBatch(items: items, classes: 4)
        #expect(consensus.table.items == (1...10).map(String.init))
        for (item, posterior) in zip(consensus.items, batch.posteriors) {
            #expect(item.label == posterior.likeliest && item.answers == 7)
            #expect(item.posteriorPermille == posterior.permille(of: item.label))
        }
        for annotator in consensus.annotators {
            let account = AccountID(.annotator, annotator.name)
            #expect(annotator.accuracyPermille == batch.counts.accuracyPermille(account))
            #expect(annotator.agreementPermille == batch.counts.kappaPermille(account))
        }
        #expect(consensus.annotators.map(\.answers) == [30, 10, 10, 10, 10])
        #expect(consensus.annotators.map(\.isRated) == [true, false, false, false, false])
        #expect(consensus.posteriorHash.count == 64)
    }

    @Test("a label's outcome, gold and truth come out as counted by hand")
    func goldAndTruth() throws {
        let text =
            Self.head
            + "1,a,x\n1,b,x\n1,c,x\n2,a,y\n2,b,y\n2,c,x\n3,a,x\n3,b,y\n4,a,x\n4,b,x\n4,c,x\n"
        let gold = try TruthTable(bytes: Array("item,truth\n4,y\n".utf8), file: "g.csv")
        let truth = try TruthTable(
            bytes: Array("task,label\n1,x\n2,x\n3,x\n4,y\n99,x\n".utf8), file: "t.csv")
        let consensus = try LabelConsensus(
            table(text), rule: .ordinal(OrdinalRule(tolerance: 0)), gold: gold, truth: truth)
        let outcomes = consensus.items.map(\.outcome)
        #expect(outcomes == [.approved, .approved, .tooFew, .gold])
        #expect(consensus.items.map { consensus.table.classes[$0.label] } == ["x", "y", "x", "y"])
        #expect(consensus.items[3].posteriorPermille == 1000)
        #expect(consensus.items.map(\.votes) == [3, 2, 1, 0])
        #expect(consensus.accuracy?.judged == 3 && consensus.accuracy?.right == 2)
        let far = try TruthTable(bytes: Array("item,truth\n7,x\n".utf8), file: "t.csv")
        let rule = LabelRule.classes(ClassRule())
        let labels = try table(text)
        #expect(
            fault { _ = try LabelConsensus(labels, rule: rule, truth: far) }
                .hasPrefix("t.csv: names no item of l.csv"))
        #expect(
            fault { _ = try LabelConsensus(labels, rule: rule, gold: far) }
                == "t.csv, line 2: 7 has no label in l.csv")
        let odd = try TruthTable(bytes: Array("item,truth\n1,z\n".utf8), file: "t.csv")
        #expect(
            fault { _ = try LabelConsensus(labels, rule: rule, gold: odd) }
                .hasPrefix("t.csv, line 2: the label \"z\" is none of the classes x,y"))
        #expect(
            fault { _ = try LabelConsensus(labels, rule: rule, truth: odd) }
                .hasPrefix("t.csv, line 2: the label \"z\" is none of the classes x,y"))
        #expect(
            fault { _ = try TruthTable(bytes: Array("item,truth\n1,z\n1,y\n".utf8), file: "t.csv") }
                == "t.csv, line 3: 1 of line 2 stands here again")
    }

    private struct Report: Decodable {
        struct Item: Decodable {
            let item: String
            let label: String
            let posteriorPermille: Int
            let outcome: String
        }
        struct Annotator: Decodable {
            let annotator: String
            let answers: Int
            let rated: Bool
        }
        let items: [Item]
        let annotators: [Annotator]
        let alpha: Double?
        let alphaFraction: String?
        let accuracy: Double
        let classes: [String]
    }

    @Test("JSON has the documented keys, and escapes every name")
    func json() throws {
        let text = Self.head + "\"q\"\"\\\",ä/\t1,x\n\"q\"\"\\\",b,x\np,b,y\np,ä/\t1,x\n"
        let truth = try TruthTable(bytes: Array("item,truth\np,y\n".utf8), file: "t.csv")
        let consensus = try LabelConsensus(
            table(text), rule: .classes(ClassRule()), truth: truth)
        let report = try JSONDecoder().decode(Report.self, from: Data(consensus.json))
        #expect(report.items.map(\.item) == ["p", "q\"\\"])
        #expect(report.items.map(\.outcome) == ["tooFew", "tooFew"])
        #expect(report.annotators.map(\.annotator) == ["b", "ä/\t1"])
        #expect(report.annotators.allSatisfy { $0.answers == 2 && !$0.rated })
        #expect(report.alpha == 0 && report.alphaFraction == "0" && report.classes == ["x", "y"])
        let again = try LabelConsensus(table(text), rule: .classes(ClassRule()), truth: truth)
        #expect(again.json == consensus.json)
        #expect(String(decoding: consensus.text, as: UTF8.self).contains("not yet rated"))
    }
}
