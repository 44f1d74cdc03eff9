import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("What readers meet")
    struct Readers {
        /// Of classes; the windows are long, so that nobody is late who does not mean to be.
        private static func agreement(_ labels: [String], revealWindow: Int) -> String {
            let unwanted = ["nearShare", "nearDistance", "maximumSpread", "classes"]
            return Study.agreement.split(separator: "\n", omittingEmptySubsequences: false)
                .filter { line in !unwanted.contains { line.hasPrefix("  \($0):") } }
                .joined(separator: "\n")
                .replacing(
                    "answer: ordinal",
                    with: """
                        answer: class
                          classes: \(labels.count)
                          labels: [\(labels.joined(separator: ", "))]
                          posterior: 600
                          minimumVotes: 2
                        """
                )
                .replacing("revealWindow: 6000", with: "revealWindow: \(revealWindow)")
                .replacing("positiveAbove: 3", with: "positiveAbove: 1")
                .replacing("negativeBelow: 3", with: "negativeBelow: 2")
        }

        private static let records = """
            patient,record,use,readers,width,height,noise
            p,a,training,north-1 north-2 north-3,0.5,0.25,0.125
            p,b,training,north-1 north-2 north-3,0.25,0.5,0.125
            p,c,training,north-1 north-2 north-3,0.125,0.25,0.5

            """

        private func withStudy(
            _ body: @Sendable (Deployment) async throws -> Void
        ) async throws {
            try await withDeployment(
                under: Self.agreement(["benign", "malignant"], revealWindow: 6000)
            ) { deployment in
                let documents = (1...3).map {
                    "\(deployment.home("north-\($0)"))/north-\($0).member"
                }
                try await deployment.done(["member", "add"] + documents, in: "north")
                let patients = try deployment.file(
                    "patients.csv", "patient,purposes,reward\np,training,earn\n")
                try await deployment.done(["consent", "grant", patients], in: "north")
                try await body(deployment)
            }
        }

        /// A table of answers to north's items.
        private func table(
            _ deployment: Deployment, _ rows: KeyValuePairs<String, String>
        ) throws -> String {
            try deployment.file(
                "answers-\(UUID().uuidString.prefix(8)).csv",
                "item,answer\n" + rows.map { "north/\($0.key),\($0.value)\n" }.joined())
        }

        private func states(
            _ deployment: Deployment, of reader: String
        ) async throws -> [String: String] {
            let report = try await deployment.report(
                WorklistReport.self, "worklist", "--all", in: reader)
            return Dictionary(
                report.items.map { ($0.item, $0.state) }, uniquingKeysWith: { first, _ in first })
        }

        @Test(
            "a rule voted on, an answer changed, a second laptop, a stake lost",
            .timeLimit(.minutes(3)))
        func study() async throws {
            try await withStudy { deployment in
                let changed = try deployment.file(
                    "changed.yaml",
                    Self.agreement(["benign", "malignant", "unclear"], revealWindow: 100))
                try await deployment.decide(
                    ["--agreement", changed], by: "north", with: ["hub", "east"], term: 2)
                let records = try deployment.file("records.csv", Self.records)
                try await deployment.done(["data", "add", records], in: "north")
                try await self.changedAnswer(deployment)
                let laptop = try await self.secondLaptop(deployment)
                try await self.lostStake(deployment, laptop)
                try await deployment.checkAll()
                try await deployment.stopAll()
            }
        }

        /// The reader's home knows the founding agreement alone, where nothing is unclear.
        private func changedAnswer(_ deployment: Deployment) async throws {
            func refused(
                _ rows: KeyValuePairs<String, String>, _ words: String
            ) async throws {
                let file = try self.table(deployment, rows)
                let ended = try await deployment.tally("annotate", file, in: "north-1")
                #expect(ended.status == 1 && ended.output.isEmpty, "\(ended)")
                #expect(ended.errors.hasPrefix("error: \(file), line 3: "), "\(ended)")
                #expect(ended.errors.contains(words), "\(ended)")
                #expect(ended.errors.contains("othing was sent"), "\(ended)")
            }
            try await refused(
                ["a": "unclear", "b": "odd"],
                "answer must be benign, malignant, unclear, not \"odd\"")
            try await refused(["a": "unclear", "b": "NaN"], "not \"NaN\"")
            try await deployment.done(
                ["annotate", self.table(deployment, ["a": "unclear"]), "--no-wait"],
                in: "north-1")
            // The file was changed since; what it says anew of another item does not leave either.
            try await refused(
                ["b": "malignant", "a": "benign"],
                "north/a was committed with another answer than this, or under a key that this "
                    + "home has not; reveal it with the file that was committed")
            #expect(
                try await self.states(deployment, of: "north-1")
                    == ["north/a": "wait", "north/b": "commit", "north/c": "commit"])
        }

        /// Two computers of one reader send different answers at the same time.
        ///
        /// - Returns: the home and the answer that were faster.
        private func secondLaptop(
            _ deployment: Deployment
        ) async throws -> (home: String, answer: String) {
            try FileManager.default.copyItem(
                atPath: deployment.home("north-2"), toPath: deployment.home("laptop"))
            let answers = ["laptop": "malignant", "north-2": "unclear"]
            let ended = try await together(answers.keys.sorted()) { home in
                let rows: KeyValuePairs = ["a": answers[home] ?? "", "b": "benign"]
                return try await deployment.tally(
                    "annotate", self.table(deployment, rows), "--no-wait", in: home)
            }
            #expect(ended.map(\.status).sorted() == [0, 1], "\(ended)")
            let slower = ended[0].status == 1 ? ended[0] : ended[1]
            let words = slower.output + slower.errors
            #expect(words.contains("with another answer than this"), "\(slower)")
            #expect(words.contains("reveal it with the file that was committed"), "\(slower)")
            let home = ended[0].status == 0 ? "laptop" : "north-2"
            return (home, answers[home] ?? "")
        }

        /// North-3 commits to an answer and never shows it.
        private func lostStake(
            _ deployment: Deployment, _ laptop: (home: String, answer: String)
        ) async throws {
            let silent = try self.table(deployment, ["c": "benign"])
            let waits = try await deployment.done(
                ["annotate", silent, "--no-wait"], in: "north-3")
            #expect(
                waits.output.contains("a commitment never revealed costs the stake"), "\(waits)")
            let files = [
                laptop.home: try self.table(
                    deployment, ["a": laptop.answer, "b": "benign", "c": "benign"]),
                "north-1": try self.table(
                    deployment, ["a": "unclear", "b": "benign", "c": "benign"]),
                "north-3": try self.table(deployment, ["a": "unclear", "b": "benign"]),
            ]
            let done = try await together(files.keys.sorted()) { home in
                try await deployment.report(
                    AnnotateReport.self, "annotate", files[home] ?? "", in: home)
            }
            #expect(done.allSatisfy { $0.done == $0.answers && $0.rejected.isEmpty })
            try await eventually("the item ends without north-3") {
                try await deployment.status(of: "north").items.tooFew == 1
            }
            let label = try await deployment.report(
                ExplainReport.self, "explain", "north/a", in: "north-1")
            #expect(label.value == "unclear")
            // What the reader is told afterwards.
            #expect(
                try await self.states(deployment, of: "north-3")
                    == ["north/a": "closed", "north/b": "closed", "north/c": "missed"])
            let again = try await deployment.tally("annotate", silent, in: "north-3")
            #expect(again.status == 1, "\(again)")
            #expect(again.output.contains("0 done, 0 waiting for other readers, 1 missed"))
            #expect(again.output.contains("missed: north/c; their time is over"), "\(again)")
            #expect(again.output.contains("that costs the stake, as `tally statement` shows"))
            let late = try await deployment.tally(
                "annotate", self.table(deployment, ["a": "benign"]), in: "north-1")
            #expect(late.status == 1 && late.output.isEmpty, "\(late)")
            #expect(
                late.errors.contains("north/a was revealed with another answer than this"),
                "\(late)")
            let owed = try await deployment.report(
                WorklistReport.self, "worklist", in: "north-3")
            #expect(owed.items.isEmpty)
            let explained = try await deployment.tally("explain", "north/c", in: "north-3")
            #expect(
                explained.output.contains("committed and never revealed: the stake left was taken"),
                "\(explained)")
            let score = try await deployment.tally("score", in: "north-3")
            #expect(score.output.contains("not yet rated (n = 2, needs 30)"), "\(score)")
            let statement = try await deployment.tally("statement", in: "north-3")
            for words in ["annotation/1", "-10.000000", "stake/north-3", "appeal/north-3"] {
                #expect(statement.output.contains(words), "\(words): \(statement)")
            }
            try await eventually("the appeal window is over") {
                try await deployment.report(BalanceReport.self, "balance", in: "north-3").escrow
                    == "0.000000"
            }
            let kept = try await deployment.report(BalanceReport.self, "balance", in: "north-1")
            #expect(kept.escrow == "10.000000")
        }
    }
}
