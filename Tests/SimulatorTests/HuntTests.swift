import Foundation
import Simulator
import TestSupport
import Testing

@Suite("many seeds")
struct HuntTests {
    /// Seeds that always run, over all scenarios.
    private static let leastRuns = 200

    /// Further ones begin within this time.
    private static let budget = Duration.seconds(
        60 * (ProcessInfo.processInfo.environment["TALLY_HUNT_MINUTES"].flatMap(Double.init) ?? 1))

    @Test("no invariant breaks in any scenario")
    func nothingBreaks() async throws {
        let clock = ContinuousClock()
        let end = clock.now + Self.budget
        let cases = (UInt64(0)...).lazy.flatMap { seed in
            Scenario.allCases.lazy.map { SimulatedCase($0, seed: seed) }
        }
        var record = try HuntRecord()
        try await hunt(
            cases, workers: ProcessInfo.processInfo.activeProcessorCount,
            while: { $0 < Self.leastRuns || clock.now < end }
        ) { record.add($0, $1) }
        for finding in record.findings {
            Issue.record(
                """
                tally simulate \(finding.scenario) --seed \(finding.seed): \
                \(finding.invariant): \(finding.detail)
                """)
        }
        #expect(record.runs >= Self.leastRuns)
        // A hunt in which nothing happens would find nothing.
        #expect(record.transactions > record.blocks && record.blocks > 10 * record.runs)
        #expect(record.withNewTerm > record.runs / 10)
        #expect(record.withConvicts > 0 && record.withFork > 0)
        #expect(record.rounds > record.runs / 10 && record.answers > record.rounds)
        print(
            "\(record.runs) seeds simulated, \(record.blocks) blocks settled, "
                + "\(record.withNewTerm) with a new term, \(record.findings.count) failed")
    }

    @Test("a planted bug is found within 200 seeds", arguments: Fault.allCases)
    func findsPlantedBugs(fault: Fault) throws {
        let search = try search(for: fault, limit: 200)
        let found = try #require(search.found, "\(fault.rawValue) was not found")
        print(
            "\(fault.rawValue): found after \(search.runs) seeds, in \(found.case.scenario.rawValue) "
                + "by \(found.finding.invariant)")
        // The bug was found, not something that is there without it.
        #expect(try simulate(found.case.scenario, seed: found.case.seed).finding == nil)
    }

    @Test("seeds that failed once fail no more", arguments: Scenario.allCases)
    func keptSeedsPass(scenario: Scenario) throws {
        let file = repositoryFile("Simulations/Seeds/\(scenario.rawValue).txt")
        for kept in try keptSeeds(in: String(contentsOf: file, encoding: .utf8)) {
            let finding = try simulate(scenario, seed: kept.seed).finding
            #expect(finding == nil, "\(scenario.rawValue) --seed \(kept.seed): \(kept.showed)")
        }
    }

    @Test("beyond the bound a fork names as many liars as made it, and nobody else")
    func forksNameLiars() throws {
        var forks = 0
        for seed in UInt64(0)..<10 {
            let outcome = try simulate(.beyond, seed: seed)
            #expect(outcome.finding == nil, "replay with seed \(seed)")
            #expect(Set(outcome.convicted).isSubset(of: outcome.liars))
            guard outcome.hasForked else { continue }
            forks += 1
            #expect(outcome.convicted.count >= 2, "replay with seed \(seed)")
        }
        #expect(forks > 0)
    }
}
