import ArgumentParser
import Cryptography
import Node

extension Tally {
    struct Lineage: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a model's ancestors and the updates that made it.",
            discussion: """
                Without a model, the newest one of the newest run.

                Example: tally lineage --round 3 --home north
                """)

        @Argument(help: "The model: the SHA-256 of its blob, 64 hexadecimal digits.")
        var model: String?
        @Option(parsing: .unconditional, help: "The run; without it, the newest.")
        var run: UInt32?
        @Option(parsing: .unconditional, help: "The model after this round; 0 is the initial one.")
        var round: UInt32?
        @OptionGroup var options: ReadOptions

        func validate() throws {
            if let model, Digest(hex: model) == nil {
                throw ValidationError("A model is named by 64 lower-case hexadecimal digits.")
            }
            guard model == nil || (run == nil && round == nil) else {
                throw ValidationError("Name a model, or --run and --round.")
            }
        }

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "asking for a lineage")
            let digest = try model ?? reporter(home).model(run: run, round: round).hex
            try await options.show(LineageReport.self, .lineage, [digest]) { report in
                var updates = Table("site", "examples", "update", "manifest")
                for update in report.updates {
                    updates.add(
                        update.site, String(update.examples), update.update, update.manifest)
                }
                var ancestors = Table("run", "round", "model")
                for step in report.ancestors {
                    ancestors.add(String(step.run), String(step.round), step.model)
                }
                return fields([
                    ("model", report.model), ("run", "\(report.run)"),
                    ("round", "\(report.round)"),
                ]) + "\n\nupdates\n" + updates.text + "\n\nancestors\n" + ancestors.text
            }
        }
    }
}
