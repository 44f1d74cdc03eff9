import ArgumentParser
import Foundation
import Synchronization
import TestSupport

@main
struct Incentives: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incentives",
        abstract: "What readers earn who do not do the work, measured in the contracts.",
        discussion: """
            24 readers at 8 organisations read items of drawn panels (3, 5, 7), in each scenario \
            with some who deviate; one of three readers is right in 75, 85 and 95 of 100 items. \
            Every repetition is one period of `annotation/1`, `score/1` and `pay/1` and one round \
            of `split/1`, with fee, stake and penalty.

            `pay` is what a deviating reader has earned, less what its stake lost, in units of what an \
            honest reader of 85 % earned beside it on average: mean and standard deviation over \
            the repetitions. In the row `honest` it is that of 75 and of 95 %. `right` is the share of \
            approved items with the true label.

            Example: incentives --repetitions 100
            """)

    @Option(help: "Of each row.") var repetitions = 100
    @Option(help: "Items of a period.") var items = 480
    @Option(help: "Only this world: 90/10, 50/50 or four.") var world: World?
    @Option(help: "Only this share of gold, in percent.") var gold: Int?
    @Option(help: "Only scenarios whose name has this in it.") var scenario: String?
    @Option(help: "Of the first repetition.") var seed: UInt64 = 1

    func validate() throws {
        guard (1...10_000).contains(repetitions), (240...2_000).contains(items),
            gold.map((0...50).contains) ?? true
        else { throw ValidationError("1 to 10000 repetitions, 240 to 2000 items, gold to 50 %") }
    }

    func run() throws {
        print("world  gold  " + padded("scenario", 34) + "pay             right   approved")
        for world in world.map({ [$0] }) ?? World.allCases {
            for gold in gold.map({ [$0] }) ?? [0, 4, 6, 10] {
                for scenario in Scenario.all
                where self.scenario.map(scenario.name.contains) ?? true {
                    try report(world, gold, scenario)
                }
            }
        }
    }

    private func report(_ world: World, _ gold: Int, _ scenario: Scenario) throws {
        let outcomes = try repeated(world, gold, scenario)
        let readers = 0..<Scenario.readers
        let peers = readers.filter { scenario.strategy(of: $0) == .honest(85) }
        let groups: [(String, [Int])] =
            scenario.deviators.isEmpty
            ? [75, 95].map { skill in
                (
                    "honest \(skill) %",
                    readers.filter { scenario.strategy(of: $0) == .honest(skill) }
                )
            } : [(scenario.name, scenario.deviators.keys.sorted())]
        let approved = outcomes.reduce(0) { $0 + $1.approved }
        let right = outcomes.reduce(0) { $0 + $1.right }
        let items = outcomes.reduce(0) { $0 + $1.items }
        for (name, group) in groups {
            let unit = average(outcomes.map { mean($0, peers) })
            print(
                padded(world.rawValue, 7) + padded("\(gold) %", 6) + padded(name, 34)
                    + padded(spread(outcomes.map { mean($0, group) }, in: unit), 16)
                    + padded(String(format: "%.3f", Double(right) / Double(max(approved, 1))), 8)
                    + String(format: "%.3f", Double(approved) / Double(items)))
            // A row takes minutes; whoever reads a file that this is written to sees it then.
            fflush(nil)
        }
    }

    /// Mean and standard deviation of pays, in units of what an honest reader earned.
    private func spread(_ pays: [Double], in unit: Double) -> String {
        guard unit > 0 else { return "no honest pay" }
        let shares = pays.map { $0 / unit }
        let mean = average(shares)
        let variance =
            shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(shares.count - 1, 1))
        return String(format: "%6.2f ± %.2f", mean, variance.squareRoot())
    }

    private func average(_ values: [Double]) -> Double {
        values.reduce(0, +) / Double(max(values.count, 1))
    }

    private func mean(_ outcome: Outcome, _ readers: [Int]) -> Double {
        Double(readers.reduce(0) { $0 + outcome.net[$1] }) / Double(max(readers.count, 1))
    }

    /// All repetitions, in order, on as many threads as there are cores.
    private func repeated(_ world: World, _ gold: Int, _ scenario: Scenario) throws -> [Outcome] {
        let results = Mutex<[Int: Result<Outcome, any Error>]>([:])
        DispatchQueue.concurrentPerform(iterations: repetitions) { repetition in
            let result = Result<Outcome, any Error> {
                var study = try Study(
                    scenario, world, goldPercent: gold, items: items,
                    seed: seed &+ UInt64(repetition))
                return try study.run()
            }
            results.withLock { $0[repetition] = result }
        }
        return try results.withLock { results in
            try (0..<repetitions).compactMap { try results[$0]?.get() }
        }
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
    }
}
