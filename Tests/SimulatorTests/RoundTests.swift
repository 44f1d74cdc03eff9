import Simulator
import Testing

@Suite("rounds")
struct RoundTests {
    @Test("a site that names a record it may not name is refused, and no honest one ever is")
    func refusesStrays() throws {
        var (rounds, answers, refusals) = (0, 0, 0)
        for seed in UInt64(0)..<60 where Options(.byzantineSite, seed: seed).trains {
            let outcome = try simulate(.byzantineSite, seed: seed)
            #expect(outcome.finding == nil, "replay with seed \(seed)")
            rounds += outcome.rounds
            answers += outcome.answers
            refusals += outcome.refusals
        }
        #expect(rounds > 10 && answers > rounds && refusals > 0)
    }

    @Test("a seed that trains comes to the end of its runs", arguments: [Scenario.calm, .crashes])
    func endsRuns(scenario: Scenario) throws {
        let seeds = (UInt64(0)..<40).filter { Options(scenario, seed: $0).trains }
        for seed in seeds {
            let outcome = try simulate(scenario, seed: seed)
            #expect(outcome.finding == nil, "replay with seed \(seed)")
            #expect(outcome.rounds > 0, "no round was closed in seed \(seed)")
        }
        #expect(seeds.count > 4)
    }
}
