import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("A study of drawn panels")
    struct PanelStudy {
        private static let seniors = Deployment.sites.map { "\($0)-senior" }

        private static let agreement = Study.agreement
            .replacing(
                "panel: own-site",
                with: """
                    panel: consortium
                      waves: [3, 5, 7]
                      credential: reader
                      seniorCredential: senior
                      secretWindow: 6000
                      laterFee: "0.5"
                      goldOrganisation: coordinator/hub
                      goldWindow: 6000
                    """
            )
            .replacing("appealWindow: 20", with: "appealWindow: 6000")

        /// Of each item the answers of wave after wave; whoever is asked later gives the last one.
        private static let grades: [String: [[Int]]] = [
            "north/plain": [[4, 4, 4]],
            "north/torn": [[1, 3, 5], [1, 5], [1, 5], [4, 5]],
            "north/wrong": [[2, 2, 2], [5, 5]],
        ]

        private func withStudy(
            _ body: @Sendable (Deployment) async throws -> Void
        ) async throws {
            try await withDeployment(under: Self.agreement) { deployment in
                _ = try await together(Deployment.sites) { site in
                    let readers = (1...Study.readers).map { Study.reader($0, of: site) }
                    let documents = readers.map { "\(deployment.home($0))/\($0).member" }
                    try await deployment.done(
                        ["member", "add"] + documents + ["--credential", "reader"], in: site)
                    let senior = "\(site)-senior"
                    try await deployment.newMember(senior, asking: "site/\(site)")
                    try await deployment.done(
                        [
                            "member", "add", "\(deployment.home(senior))/\(senior).member",
                            "--credential", "senior",
                        ], in: site)
                }
                // Sites may be a block behind each other: everybody must be on the chain before a draw.
                try await eventually("north knows all members") {
                    try await deployment.report(MembersReport.self, "member", "list", in: "north")
                        .members.count >= 17
                }
                let gold = try deployment.file("gold.csv", "item,answer\nnorth/plain,5\n")
                try await deployment.done(
                    ["gold", "commit", gold, "--anyway"], in: Deployment.coordinator)
                let patients = try deployment.file(
                    "patients.csv", "patient,purposes,reward\np,training,earn\n")
                try await deployment.done(["consent", "grant", patients], in: "north")
                let records = try deployment.file(
                    "records.csv",
                    """
                    patient,record,use,readers,width,height,noise
                    p,plain,training,,0.5,0.25,0.125
                    p,torn,training,,0.25,0.5,0.125
                    p,wrong,training,,0.125,0.25,0.5

                    """)
                try await deployment.done(["data", "add", records], in: "north")
                try await body(deployment)
            }
        }

        private func explain(_ item: String, _ deployment: Deployment) async throws -> ExplainReport
        {
            try await deployment.report(ExplainReport.self, "explain", item, in: "north")
        }

        /// Whoever is asked now answers; all of them commit and reveal side by side.
        private func answerOnce(_ deployment: Deployment) async throws {
            var files: [String: String] = [:]
            for (item, waves) in Self.grades.sorted(by: { $0.key < $1.key }) {
                let readers = try await explain(item, deployment).readers
                guard let wave = readers.map(\.wave).max() else { continue }
                let present = readers.filter { $0.wave == wave }.map(\.annotator).sorted()
                for (place, reader) in present.enumerated() {
                    let grades = waves[min(wave, waves.count) - 1]
                    files[reader, default: ""] +=
                        "\(item),\(grades[min(place, grades.count - 1)])\n"
                }
            }
            let answers = files
            _ = try await together(files.keys.sorted()) { reader in
                let name = String(reader.drop { $0 != "/" }.dropFirst())
                let work = try await deployment.report(
                    WorklistReport.self, "worklist", reader, in: "north")
                let owed = Set(work.items.filter { $0.state == "commit" }.map(\.item))
                let rows = (answers[reader] ?? "").split(separator: "\n").filter { row in
                    owed.contains(String(row.prefix { $0 != "," }))
                }
                guard !rows.isEmpty else { return }
                let table = try deployment.file(
                    "answers-\(name)-\(UUID().uuidString).csv",
                    "item,answer\n" + rows.joined(separator: "\n") + "\n")
                try await deployment.done(["annotate", table], in: name)
            }
        }

        @Test(
            "3, 5, 7 readers, then seniors; gold and a dispute that is reversed, with real processes",
            .timeLimit(.minutes(5)))
        func panels() async throws {
            try await withStudy { deployment in
                try await eventually("the panels are drawn") {
                    for item in Self.grades.keys {
                        let readers = try await self.explain(item, deployment).readers
                        guard readers.count == 3 else { return false }
                        #expect(readers.allSatisfy { !$0.annotator.contains("north-") })
                    }
                    return true
                }
                try await eventually("all items have a label", within: .seconds(150)) {
                    try await self.answerOnce(deployment)
                    return try await deployment.status(of: "north").items.approved == 3
                }
                let torn = try await self.explain("north/torn", deployment)
                #expect(torn.value == "4" && torn.reason.contains("seniors agree"))
                // Six readers of two sites are left: 3, 2, and 1 of the last wave.
                #expect(torn.readers.map(\.wave) == [1, 1, 1, 2, 2, 3, 4, 4])
                #expect(
                    torn.readers.map(\.senior) == [Bool](repeating: false, count: 6) + [true, true])

                let wrong = try await self.explain("north/wrong", deployment)
                #expect(wrong.value == "2" && wrong.readers.count == 3)
                let reader = String(wrong.readers[0].annotator.dropFirst("annotator/".count))
                let foreign = try await deployment.tally(
                    "dispute", "north/wrong", in: Study.reader(1, of: "north"))
                #expect(foreign.status == 1)
                #expect(foreign.output.contains("not assigned to the signer"), "\(foreign)")
                try await deployment.done(
                    ["dispute", "north/wrong", "--reason", "a vessel"], in: reader)
                try await eventually("seniors are asked") {
                    try await self.explain("north/wrong", deployment).readers.count == 5
                }
                // A senior is shown the answers without names.
                let shown = try await deployment.report(
                    ExplainReport.self, "explain", "north/wrong", in: "east-senior")
                #expect(shown.readers.allSatisfy { $0.annotator.hasPrefix("reader ") })
                #expect(shown.dispute?.by == "somebody")
                try await self.answerOnce(deployment)
                try await eventually("the outcome is reversed") {
                    try await self.explain("north/wrong", deployment).dispute?.outcome == "reversed"
                }
                let reversed = try await self.explain("north/wrong", deployment)
                #expect(reversed.value == "5" && reversed.dispute?.earlier == "2")

                try await deployment.done(
                    ["gold", "reveal", "\(deployment.folder)/gold.csv"], in: Deployment.coordinator)
                try await deployment.done(["run", "start"], in: Deployment.coordinator)
                try await eventually("the period is closed") {
                    try await deployment.report(
                        ScoreReport.self, "score", "annotator/\(reader)", in: "north"
                    ).periods.count == 1
                }
                let plain = try await self.explain("north/plain", deployment)
                #expect(plain.gold == "5" && plain.value == "4")
                try await deployment.checkAll()
                try await deployment.stopAll()
            }
        }
    }
}
