import ArgumentParser
import Simulator

extension Tally {
    struct Simulate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a seeded consortium in one process, and check every invariant.",
            discussion: """
                The services' own machines for a coordinator and four to seven sites, over a drawn \
                network with drifting clocks, crashes, torn writes and liars, as many as the \
                quorum bears; an auditor re-executes the chain and asserts the invariants after \
                every step. In the end the network is healed and all must agree. No home is \
                needed, and nothing is written. The scenarios:

                \(scenarioList)

                Example: tally simulate mixed --seed 7
                Example: tally simulate hunt --seeds 1000 --state hunt.json
                Example: tally simulate faults
                """,
            subcommands: [One.self, Hunt.self, Faults.self],
            defaultSubcommand: One.self)

        private static var scenarioList: String {
            Scenario.allCases.map { scenario in
                let name = scenario.rawValue
                let space = String(repeating: " ", count: max(0, 22 - name.count))
                return name + space + scenario.summary
            }.joined(separator: "\n")
        }
    }
}

extension Scenario: ExpressibleByArgument {}

extension Fault: ExpressibleByArgument {}
