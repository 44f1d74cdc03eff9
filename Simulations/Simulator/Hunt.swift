/// One seed of one scenario.
package struct SimulatedCase: Hashable, Sendable {
    package let scenario: Scenario
    package let seed: UInt64

    package init(_ scenario: Scenario, seed: UInt64) {
        self.scenario = scenario
        self.seed = seed
    }
}

/// Runs many seeds, several at a time.
///
/// - Parameters:
///   - cases: in the order in which they are begun.
///   - workers: how many run at once.
///   - goesOn: asked before each case with the number of those begun; false begins no more.
///   - report: told what became of each one, in the order in which they end.
/// - Throws: what keeps a simulation from starting, or what the report throws.
package func hunt(
    _ cases: some Sequence<SimulatedCase>, workers: Int, while goesOn: (_ begun: Int) -> Bool,
    report: (SimulatedCase, Outcome) throws -> Void
) async throws {
    let cabinet = KeyCabinet()
    try await withThrowingTaskGroup(of: (SimulatedCase, Outcome).self) { group in
        var rest = cases.makeIterator()
        var begun = 0
        func begin() {
            guard goesOn(begun), let next = rest.next() else { return }
            begun += 1
            group.addTask {
                (next, try simulate(next.scenario, seed: next.seed, cabinet: cabinet))
            }
        }
        for _ in 0..<workers { begin() }
        while let (next, outcome) = try await group.next() {
            try report(next, outcome)
            begin()
        }
    }
}

/// How a planted bug was found.
package struct FaultSearch: Sendable {
    package let fault: Fault
    /// Seeds that were run, the one that found it last.
    package let runs: Int
    /// Nil when none of them found it.
    package let found: (case: SimulatedCase, finding: Violation)?
}

/// Plants a bug and looks for it, seed after seed, in the scenarios that should show it.
///
/// - Parameters:
///   - fault: the bug.
///   - limit: how many runs to try.
///   - cabinet: of keys.
/// - Returns: the first run that found it, if any did.
/// - Throws: what keeps a simulation from starting.
package func search(
    for fault: Fault, limit: Int, cabinet: KeyCabinet = KeyCabinet()
) throws -> FaultSearch {
    for run in 0..<limit {
        let next = SimulatedCase(
            fault.scenarios[run % fault.scenarios.count],
            seed: UInt64(run / fault.scenarios.count))
        let outcome = try simulate(
            next.scenario, seed: next.seed, fault: fault, cabinet: cabinet)
        guard let finding = outcome.finding else { continue }
        return FaultSearch(fault: fault, runs: run + 1, found: (next, finding))
    }
    return FaultSearch(fault: fault, runs: limit, found: nil)
}
