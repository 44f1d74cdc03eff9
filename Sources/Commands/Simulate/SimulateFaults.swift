import ArgumentParser
import Simulator

extension Tally.Simulate {
    struct Faults: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Plant known bugs, and count the seeds until each is found.",
            discussion: """
                The hunter is tested too: each bug is planted in the services that drive the \
                machines, or in the disk, and must break an invariant. Exits with 2 when one was \
                not found.

                Example: tally simulate faults --seeds 200
                Example: tally simulate faults vote-not-durable small-quorum
                """)

        @Argument(
            help:
                "Bugs, of \(Fault.allCases.map(\.rawValue).joined(separator: ", ")); without any, all."
        )
        var faults: [Fault] = []
        @Option(parsing: .unconditional, help: "How many seeds to try.") var seeds: Int = 200
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard seeds > 0 else { throw ValidationError("--seeds must be at least 1") }
        }

        func run() async throws {
            let cabinet = KeyCabinet()
            let limit = seeds
            let line = ProgressLine()
            var found: [FaultReport] = []
            for fault in faults.isEmpty ? Fault.allCases : faults {
                line.show(fault.rawValue)
                found.append(FaultReport(try search(for: fault, limit: limit, cabinet: cabinet)))
            }
            line.clear()
            try output.show(found, faultsText)
            guard found.allSatisfy({ $0.seed != nil }) else { throw findingExit }
        }
    }
}

private struct FaultReport: Codable {
    let fault: String
    /// Seeds that were run, the one that found it included.
    let seedsNeeded: Int
    let scenario: String?
    let seed: UInt64?
    let invariant: String?
    let detail: String?

    init(_ search: FaultSearch) {
        fault = search.fault.rawValue
        seedsNeeded = search.runs
        scenario = search.found?.case.scenario.rawValue
        seed = search.found?.case.seed
        invariant = search.found?.finding.invariant
        detail = search.found?.finding.detail
    }
}

private func faultsText(_ reports: [FaultReport]) -> String {
    var table = Table("fault", "seeds", "found in", "by the invariant")
    for report in reports {
        table.add(
            report.fault, "\(report.seedsNeeded)",
            report.scenario.map { "\($0) --seed \(report.seed ?? 0)" } ?? "NOT FOUND",
            report.invariant ?? "-")
    }
    return table.text
}
