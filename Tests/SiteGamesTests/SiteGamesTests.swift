import Commands
import Foundation
import Ledger
import SiteGames
import TestSupport
import Testing
import Wire

@Suite("Games of sites on the lung nodules")
struct SiteGamesTests {
    private let study: Study

    init() throws {
        let file = repositoryFile("Protocols/agreements/lung-nodules.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        study = try Study(readAgreement(text: text, file: "lung-nodules.yaml"))
    }

    private func play(_ attack: Attack, rounds: UInt32 = 5) throws -> GameResult {
        var game = try Game(
            study.agreement, entities: study.entities(attack), reference: study.reference)
        return try game.play(rounds: rounds)
    }

    @Test("the honest game is the study: its records, its model, its shares")
    func honest() throws {
        #expect(study.records.values.reduce(0) { $0 + $1.count } == 502)
        #expect(study.reference.values.reduce(0) { $0 + $1.count } == 111)
        let result = try play(.honest)
        #expect(result.auc > 0.98 && result.refusals.isEmpty)
        let sites = ["site/east", "site/north", "site/west"]
        // 15 % of 1,000 tokens in each of five rounds.
        #expect(result.earned(sites).description == "750.000000")
    }

    @Test(
        "an update whose manifest names what is no own, unique, registered record earns nothing",
        arguments: [(Attack.inflatedCount, "is not registered"), (.duplicatedSite, "duplicate")])
    func refused(attack: Attack, reason: String) throws {
        let result = try play(attack)
        let refusal = study.attackers(attack).compactMap { result.refusals[$0] }.first
        #expect(refusal?.contains(reason) == true)
        let honest = try play(.honest).earned(["site/west"])
        #expect(result.earned(study.attackers(attack)) <= honest)
    }

    @Test("what sends nothing of use earns less than honest work, as half follows value")
    func zeros() throws {
        let honest = try play(.honest, rounds: 8).earned(["site/west"])
        let zero = try play(.zeroUpdate, rounds: 8).earned(["site/west"])
        #expect(zero < honest)
    }

    @Test("above twelve sites values come from drawn orders, and add up to all that was reached")
    func manySites() throws {
        let (entities, reference) = study.dealt(to: 13)
        func played() throws -> WireRoundValues {
            var game = try Game(study.agreement, entities: entities, reference: reference)
            return try game.play(rounds: 2).values
        }
        let values = try played()
        #expect(values.permutations == 64 && values.shapleyDenominator == 64)
        let sum = values.sites.reduce(Int64(0)) { $0 + $1.shapley }
        let floor = values.utilityMaximum / 2
        #expect(sum == 64 * (Int64(values.utility) - Int64(floor)))
        #expect(values.sites.contains { $0.shapleyHalfWidth > 0 })
        #expect(try played() == values)
    }

    @Test("up to twelve sites values are exact")
    func fewSites() throws {
        let (entities, reference) = study.dealt(to: 4)
        var game = try Game(study.agreement, entities: entities, reference: reference)
        let values = try game.play(rounds: 1).values
        #expect(values.permutations == 0 && values.shapleyDenominator == 24)
        #expect(values.sites.allSatisfy { $0.shapleyHalfWidth == 0 })
    }
}
