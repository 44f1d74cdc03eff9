import Foundation
import Testing

extension EndToEnd {
    @Suite("Bad input")
    struct BadInput {
        /// A file that is refused whole.
        struct Refusal: Sendable, CustomTestStringConvertible {
            let command: [String]
            let home: String
            let content: [UInt8]
            /// Nil where the whole file is meant.
            let line: Int?
            let words: String

            init(
                _ command: String..., in home: String = "north", _ content: [UInt8], line: Int?,
                _ words: String
            ) {
                self.command = command
                self.home = home
                self.content = content
                self.line = line
                self.words = words
            }

            init(
                _ command: String..., in home: String = "north", _ content: String, line: Int?,
                _ words: String
            ) {
                self.command = command
                self.home = home
                self.content = Array(content.utf8)
                self.line = line
                self.words = words
            }

            var testDescription: String { command.joined(separator: " ") + ": " + words }
        }

        private static let notUTF8: [UInt8] = [0x70, 0xFF, 0xFE]

        private static let consents: [Refusal] = {
            let head = "patient,purposes,reward\n"
            return [
                Refusal("consent", "grant", head + "p,training,earn", line: 2, "truncated"),
                Refusal(
                    "consent", "grant", head + "p,training\n", line: 2,
                    "has 2 fields instead of 3"),
                Refusal(
                    "consent", "grant", "patient,purpose,reward\np,training,earn\n", line: 1,
                    "the column \"purposes\" is missing"),
                Refusal(
                    "consent", "grant", head + "p,training,earn\nq,training,gift\n", line: 3,
                    "reward must be earn or waive"),
                Refusal(
                    "consent", "grant", head + "p,training,earn\np,training,earn\n", line: 3,
                    "the patient of line 2 stands here again"),
                Refusal(
                    "consent", "grant", head + "p,everything,earn\n", line: 2, "is no purpose"),
                Refusal(
                    "consent", "grant",
                    Array((head + "p,training,earn\n").utf8) + notUTF8
                        + Array(",training,earn\n".utf8), line: 3, "is not UTF-8"),
                Refusal("consent", "grant", "", line: nil, "is empty"),
                Refusal("consent", "grant", head, line: nil, "has a header and no rows"),
                Refusal(
                    "consent", "withdraw", "patient,purposes\np,training", line: 2, "truncated"),
            ]
        }()

        private static let records: [Refusal] = {
            let head = "patient,record,use,readers,\(Study.features.joined(separator: ","))\n"
            let good = "patient-1,new,training,north-1 north-2,0.1,0.2,0.3\n"
            return [
                Refusal("data", "add", head + good.dropLast(3), line: 2, "truncated"),
                Refusal(
                    "data", "add", head.replacing("noise", with: "sound") + good, line: 1,
                    "the column \"noise\" is missing"),
                Refusal(
                    "data", "add", head + good + good, line: 3,
                    "the record new of line 2 stands here again"),
                Refusal(
                    "data", "add", head + good.replacing("0.2", with: "wide"), line: 2,
                    "height must be a decimal number"),
                Refusal(
                    "data", "add", head + good.replacing("0.2", with: "1e99"), line: 2, "range"),
                Refusal(
                    "data", "add", head + good.replacing("training", with: "testing"), line: 2,
                    "use must be training or evaluation"),
                Refusal(
                    "data", "add", head + good.replacing("north-2", with: "east-1"), line: 2,
                    "annotator/east-1 is not enrolled by site/north"),
                Refusal(
                    "data", "add", head + good.replacing("patient-1", with: "nobody"), line: 2,
                    "tally consent grant"),
                Refusal(
                    "data", "add", head + good.replacing("new", with: "r1"), line: 2,
                    "registered with other content"),
                Refusal(
                    "data", "add", Array((head + good).utf8) + notUTF8 + [0x0A], line: 3,
                    "is not UTF-8"),
            ]
        }()

        private static let answers: [Refusal] = {
            let head = "item,answer\n"
            let row = "north/r0,3\n"
            func refusal(_ content: String, line: Int?, _ words: String) -> Refusal {
                Refusal("annotate", in: "north-2", content, line: line, words)
            }
            return [
                refusal(head + row + "north/r1,6\n", line: 3, "from 1 to 5"),
                refusal(head + row + "north/r1,0\n", line: 3, "from 1 to 5"),
                refusal(head + row + "north/r1,x\n", line: 3, "from 1 to 5"),
                refusal(head + row + row, line: 3, "north/r0 of line 2 stands here again"),
                refusal(head + row + "north/r1,", line: 3, "truncated"),
                refusal(head + row + "east/r0,3\n", line: 3, "is not on the worklist"),
                refusal(head + row + "north,3\n", line: 3, "item must be site/record"),
                refusal("item,grade\n" + row, line: 1, "the column \"answer\" is missing"),
                Refusal(
                    "annotate", in: "north-2", Array((head + row).utf8) + notUTF8 + [0x0A],
                    line: 3, "is not UTF-8"),
                // What north-1 has committed before is a 4.
                Refusal(
                    "annotate", in: "north-1", head + "north/r1,2\n" + row, line: 3,
                    "was committed with another answer than this"),
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
