import ArgumentParser
import Cryptography
import Foundation
import Simulator

extension Tally.Simulate {
    struct One: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "one",
            abstract: "Run one seed of a scenario (the default).",
            discussion: """
                Prints seed and drawn options first, then what became of them and a digest that \
                the same seed gives again. Exits with 2 when an invariant broke.

                Example: tally simulate crashes --seed 12
                Example: tally simulate crashes --seed 12 --trace 2> trace.txt
                Example: tally simulate calm --seed 3 --fault credit-lost
                """)

        @Argument(help: "What the consortium goes through.") var scenario: Scenario
        @Option(parsing: .unconditional, help: "From which everything is drawn.") var seed: UInt64
        @Option(help: "A bug to plant: \(Fault.allCases.map(\.rawValue).joined(separator: ", ")).")
        var fault: Fault?
        @Flag(help: "Say on stderr what happens, a line each.") var trace = false
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let drawn =
                Options(scenario, seed: seed).lines + (fault.map { ["fault \($0.rawValue)"] } ?? [])
            if output.format == .table { print(drawn.joined(separator: "\n") + "\n") }
            // Whoever waits for a long run, or for one that stops, sees what was drawn.
            fflush(nil)
            let outcome = try simulate(
                scenario, seed: seed, fault: fault, tracer: trace ? { printError($0) } : nil)
            try output.show(SimulationReport(drawn, outcome), simulationText)
            guard outcome.finding == nil else { throw findingExit }
        }
    }
}

private struct SimulationReport: Codable {
    let options: [String]
    let digest: String
    let events: Int
    let simulatedMilliseconds: UInt64
    let blocks: Int
    let transactions: Int
    let acknowledged: Int
    let rounds: Int
    let answers: Int
    let refusals: Int
    let term: UInt64
    let convicted: [String]
    let evidence: [String]
    let forked: Bool
    let invariant: String?
    let detail: String?

    init(_ options: [String], _ outcome: Outcome) {
        self.options = options
        digest = outcome.digest.hex
        events = outcome.events
        simulatedMilliseconds = outcome.duration
        blocks = outcome.blocks
        transactions = outcome.transactions
        acknowledged = outcome.acknowledged
        rounds = outcome.rounds
        answers = outcome.answers
        refusals = outcome.refusals
        term = outcome.term
        convicted = outcome.convicted
        evidence = outcome.evidence.map(\.offence)
        forked = outcome.hasForked
        invariant = outcome.finding?.invariant
        detail = outcome.finding?.detail
    }
}

private func simulationText(_ report: SimulationReport) -> String {
    let verdict = report.invariant.map { "BROKEN: \($0): \(report.detail ?? "")" }
    let evidence = report.evidence.map { ("evidence", $0) }
    return fields(
        [
            ("simulated", "\(report.simulatedMilliseconds) ms, \(report.events) events"),
            (
                "settled",
                "\(report.blocks) blocks, \(report.transactions) transactions, term \(report.term)"
            ),
            ("receipts", "\(report.acknowledged)"),
            (
                "rounds",
                "\(report.rounds), \(report.answers) updates counted, \(report.refusals) refused"
            ),
            ("forked", report.forked ? "yes" : "no"),
            (
                "convicted",
                report.convicted.isEmpty ? "nobody" : report.convicted.joined(separator: ", ")
            ),
        ] + evidence + [
            ("invariants", verdict ?? "all hold"),
            ("digest", report.digest),
        ])
}
