import Cryptography
import Foundation
import Processes
import Simulator
import Testing

@Suite("one seed, one run")
struct DeterminismTests {
    private let processes = ChildProcesses()

    @Test("the same seed twice ends in the same digest", arguments: Scenario.allCases)
    func repeats(scenario: Scenario) throws {
        let first = try simulate(scenario, seed: 1)
        let again = try simulate(scenario, seed: 1)
        #expect(first.digest == again.digest && first.events == again.events)
        #expect(try simulate(scenario, seed: 2).digest != first.digest)
        #expect(Options(scenario, seed: 1).lines == Options(scenario, seed: 1).lines)
    }

    /// Dictionaries and sets have another order in every process.
    @Test("so does another process", arguments: [Scenario.mixed, .votersChange])
    func repeatsElsewhere(scenario: Scenario) async throws {
        let process = try processes.start(
            "tally", ["simulate", scenario.rawValue, "--seed", "5", "--format", "json"])
        let ended = try await process.ended()
        #expect(ended.status == 0, "\(ended)")
        let digest = try simulate(scenario, seed: 5).digest
        #expect(ended.output.contains("\"digest\":\"\(digest.hex)\""), "\(ended)")
    }
}
