import ArgumentParser
import Foundation
import Node
import Simulator

extension Tally.Simulate {
    struct Hunt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run many seeds of all scenarios, or of some, and list those that fail.",
            discussion: """
                Each seed is run in each scenario. With --state the command remembers what is \
                done and what failed, and the next one goes on from there; another program begins \
                another file. Exits with 2 when a seed of the file failed.

                Example: tally simulate hunt --seeds 1000 --state hunt.json
                Example: tally simulate hunt mixed crashes --first 5000 --seeds 100 --minutes 4
                """)

        @Argument(help: "Scenarios; without any, all.") var scenarios: [Scenario] = []
        @Option(parsing: .unconditional, help: "How many seeds to run in each scenario.") var seeds:
            UInt64 = 20
        @Option(parsing: .unconditional, help: "The first of them.") var first: UInt64 = 0
        @Option(parsing: .unconditional, help: "Begin no seed after so many minutes.") var minutes:
            UInt64?
        @Option(
            parsing: .unconditional,
            help: "How many run at once; without it, as many as there are processors.")
        var jobs: Int?
        @Option(help: "A file that remembers what is done.", completion: .file())
        var state: String?
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard !first.addingReportingOverflow(seeds).overflow else {
                throw ValidationError("--first and --seeds go beyond the last seed")
            }
            guard (1...1_024).contains(jobs ?? 1) else {
                throw ValidationError("--jobs must be 1 to 1024")
            }
        }

        func run() async throws {
            var file = try HuntFile(path: state)
            let scenarios = scenarios.isEmpty ? Scenario.allCases : scenarios
            let done = file.record
            let cases = (first..<first + seeds).lazy.flatMap { seed in
                scenarios.lazy.map { SimulatedCase($0, seed: seed) }
            }.filter { !done.isDone($0) }
            let clock = ContinuousClock()
            let start = clock.now
            let end = minutes.map { start + .seconds(Int64(clamping: min($0, 1 << 40)) * 60) }
            let before = file.record.runs
            let line = ProgressLine()
            try await hunt(
                cases, workers: jobs ?? ProcessInfo.processInfo.activeProcessorCount,
                while: { _ in end.map { clock.now < $0 } ?? true }
            ) { one, outcome in
                file.record.add(one, outcome)
                if let finding = outcome.finding {
                    line.clear()
                    printError("\(one.scenario.rawValue) --seed \(one.seed): \(finding)")
                }
                line.show("\(file.record.runs) seeds, \(file.record.findings.count) failed")
                try file.saveNowAndThen()
            }
            line.clear()
            try file.save()
            let seconds = (clock.now - start) / .seconds(1)
            try output.show(
                HuntReport(
                    record: file.record, runsNow: file.record.runs - before, seconds: seconds),
                huntText)
            guard file.record.findings.isEmpty else { throw findingExit }
        }
    }
}

/// A hunt's record and the file that keeps it.
private struct HuntFile {
    var record: HuntRecord
    private let path: String?
    private var saved = ContinuousClock.now

    /// Without a path nothing is kept.
    init(path: String?) throws {
        self.path = path
        record = try HuntRecord()
        guard let path, FileManager.default.fileExists(atPath: path) else { return }
        let known: HuntRecord
        do {
            known = try report(HuntRecord.self, json: try readFile(path))
        } catch is DecodingError {
            throw CommandFault("\(path) is not the state of a hunt; name another file")
        }
        guard known.canary == record.canary else {
            throw CommandFault(
                "\(path) was begun by another program, to which the same seeds mean other "
                    + "things; name another file")
        }
        record = known
    }

    func save() throws {
        guard let path else { return }
        try Data(try reportJSON(record)).write(to: URL(filePath: path), options: .atomic)
    }

    /// What a kill takes back is ten seconds at most.
    mutating func saveNowAndThen() throws {
        guard ContinuousClock.now - saved > .seconds(10) else { return }
        saved = .now
        try save()
    }
}

private struct HuntReport: Codable {
    let record: HuntRecord
    /// Of this command alone.
    let runsNow: Int
    let seconds: Double
}

private func huntText(_ report: HuntReport) -> String {
    let record = report.record
    var table = Table("scenario", "seeds", "failed")
    for (scenario, spans) in record.done.sorted(by: { $0.key < $1.key }) {
        let seeds = spans.reduce(0) { $0 + $1.below - $1.from }
        table.add(
            scenario, "\(seeds)", "\(record.findings.count { $0.scenario == scenario })")
    }
    let failed = record.findings.map { finding in
        "tally simulate \(finding.scenario) --seed \(finding.seed)   \(finding.invariant)"
    }
    let summary = fields([
        (
            "seeds",
            "\(record.runs), of them now \(report.runsNow) in \(decimals(report.seconds, 1)) s"
        ),
        ("failed", "\(record.findings.count)"),
        (
            "simulated",
            "\(record.simulatedSeconds) s, \(record.events) events, \(record.blocks) blocks, "
                + "\(record.transactions) transactions"
        ),
        (
            "rounds",
            "\(record.rounds), with \(record.answers) updates counted and \(record.refusals) refused"
        ),
        ("new terms", "\(record.withNewTerm) seeds"),
        ("convicted", "somebody in \(record.withConvicts) seeds"),
        ("forked", "\(record.withFork) seeds, beyond the bound"),
        ("digest", record.digest),
    ])
    return ([table.text, "", summary] + (failed.isEmpty ? [] : [""] + failed))
        .joined(separator: "\n")
}
