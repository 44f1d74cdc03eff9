import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("Bad input")
    struct BadInput {
        /// A file that is refused whole.
        private struct Refusal: Sendable {
            let command: [String]
            let home: String
            var content: [UInt8]
            /// Nil where the whole file is meant.
            let line: Int?
            let words: String

            /// The same with a byte in the last line that is not UTF-8.
            var notUTF8: Self {
                var copy = self
                copy.content.insert(0xFF, at: content.count - 1)
                return copy
            }
        }

        private static func grant(_ content: String, _ line: Int?, _ words: String) -> Refusal {
            Refusal(
                command: ["consent", "grant"], home: "north", content: Array(content.utf8),
                line: line, words: words)
        }

        private static let consents: [Refusal] = {
            let head: String = "patient,purposes,reward\n"
            let row: String = "p,training,earn\n"
            return [
                grant(head + "p,training,earn", 2, "truncated"),
                grant(head + "p,training\n", 2, "has 2 fields instead of 3"),
                grant("patient,purpose,reward\n" + row, 1, "the column \"purposes\" is missing"),
                grant(head + row + "q,training,gift\n", 3, "reward must be earn or waive"),
                grant(head + row + row, 3, "the patient of line 2 stands here again"),
                grant(head + "p,everything,earn\n", 2, "is no purpose"),
                grant(head + row + "q,training,earn\n", 3, "is not UTF-8").notUTF8,
                grant("", nil, "is empty"),
                grant(head, nil, "has a header and no rows"),
                Refusal(
                    command: ["consent", "withdraw"], home: "north",
                    content: Array("patient,purposes\np,training".utf8), line: 2,
                    words: "truncated"),
            ]
        }()

        private static let recordHead =
            "patient,record,use,readers,\(Study.features.joined(separator: ","))\n"
        private static let record = "patient-1,new,training,north-1 north-2,0.1,0.2,0.3\n"

        private static func add(_ rows: String, _ line: Int?, _ words: String) -> Refusal {
            Refusal(
                command: ["data", "add"], home: "north", content: Array((recordHead + rows).utf8),
                line: line, words: words)
        }

        /// A record in which one word is another.
        private static func add(
            _ word: String, _ other: String, _ words: String, line: Int = 2
        ) -> Refusal {
            let content: String = (recordHead + record).replacing(word, with: other)
            return Refusal(
                command: ["data", "add"], home: "north", content: Array(content.utf8), line: line,
                words: words)
        }

        private static let records: [Refusal] = [
            add(String(record.dropLast(3)), 2, "truncated"),
            add("noise", "sound", "the column \"noise\" is missing", line: 1),
            add(record + record, 3, "the record new of line 2 stands here again"),
            add("0.2", "wide", "height must be a decimal number"),
            add("0.2", "1e99", "beyond the range"),
            add("training", "testing", "use must be training or evaluation"),
            add("north-2", "east-1", "annotator/east-1 is not enrolled by site/north"),
            add("patient-1", "nobody", "tally consent grant"),
            add("new", "r1", "registered with other content"),
            add(record, 2, "is not UTF-8").notUTF8,
        ]

        private static func annotate(
            _ rows: String, _ line: Int?, _ words: String, head: String = "item,answer\n",
            in home: String = "north-2"
        ) -> Refusal {
            Refusal(
                command: ["annotate"], home: home, content: Array((head + rows).utf8), line: line,
                words: words)
        }

        private static let answers: [Refusal] = {
            let row: String = "north/r0,3\n"
            return [
                annotate(row + "north/r1,6\n", 3, "from 1 to 5"),
                annotate(row + "north/r1,0\n", 3, "from 1 to 5"),
                annotate(row + "north/r1,x\n", 3, "from 1 to 5"),
                annotate(row + row, 3, "north/r0 of line 2 stands here again"),
                annotate(row + "north/r1,", 3, "truncated"),
                annotate(row + "east/r0,3\n", 3, "is not on the worklist"),
                annotate(row + "north,3\n", 3, "item must be site/record"),
                annotate(row, 1, "it has no column \"answer\"", head: "item,grade\n"),
                annotate(row + "north/r1,3\n", 3, "is not UTF-8").notUTF8,
                // What north-1 has committed before is a 4.
                annotate(
                    "north/r1,2\n" + row, 3, "was committed with another answer than this",
                    in: "north-1"),
            ]
        }()

        @Test("a bad file is refused whole, with its line and in one sentence")
        func files() async throws {
            try await withDeployment(.registered) { deployment in
                try await deployment.startAll()
                let committed = try deployment.file("committed.csv", "item,answer\nnorth/r0,4\n")
                try await deployment.done(["annotate", committed, "--no-wait"], in: "north-1")
                let before = try await deployment.status(of: "north").transactions
                for (index, refusal) in (Self.consents + Self.records + Self.answers).enumerated() {
                    let file = try deployment.file("bad-\(index).csv", refusal.content)
                    let ended = try await deployment.begin(
                        refusal.command + [file], in: refusal.home
                    ).ended()
                    #expect(ended.status == 1 && ended.output.isEmpty, "\(refusal): \(ended)")
                    let place = refusal.line.map { "\(file), line \($0): " } ?? "\(file): "
                    #expect(ended.sentences.count == 1, "\(refusal): \(ended)")
                    #expect(
                        ended.errors.hasPrefix("error: \(place)")
                            && ended.errors.contains(refusal.words), "\(refusal): \(ended)")
                    #expect(ended.errors.split(whereSeparator: \.isNewline).count == 1)
                    if refusal.command == ["annotate"] {
                        #expect(ended.errors.contains("othing was sent"), "\(ended)")
                    }
                }
                // A good one settles after whatever the bad ones might have sent.
                let good = try await deployment.report(
                    WriteReport.self, "consent", "grant", "--patient", "good", "--purposes",
                    "training", in: "north")
                #expect(good.applied == 1)
                let after = try await deployment.status(of: "north")
                #expect(after.transactions == before + 1)
            }
        }

        @Test("a file that is not there, or is no agreement, is named")
        func otherFiles() async throws {
            try await withDeployment(.annotated) { deployment in
                let missing = "\(deployment.folder)/none.csv"
                for arguments in [["consent", "grant", missing], ["member", "add", missing]] {
                    let ended = try await deployment.begin(arguments, in: "north").ended()
                    #expect(ended.status == 1)
                    #expect(ended.sentences == ["error: \(missing) is not there; check the path"])
                }
                let noMember = try deployment.file("no.member", "hello")
                let ended = try await deployment.tally("member", "add", noMember, in: "north")
                #expect(ended.status == 1)
                #expect(ended.errors.hasPrefix("error: \(noMember): "), "\(ended)")
                try await deployment.done(
                    [
                        "key", "new", "--name", "other", "--role", "coordinator", "--endpoint",
                        "tcp://127.0.0.1:1",
                    ], in: "other")
                let agreement = try deployment.file(
                    "bad.yaml", Study.agreement.replacing("classes: 5", with: "classes: many"))
                let founded = try await deployment.tally(
                    "network", "init", agreement, "--member",
                    "\(deployment.home("north"))/north.member", in: "other")
                #expect(founded.status == 1)
                #expect(
                    founded.errors.hasPrefix("error: \(agreement), line 10: annotation.classes"),
                    "\(founded)")
            }
        }
    }
}
