import ArgumentParser
import Commands
import Foundation
import Ledger
import SiteGames
import Wire

/// One attack, measured.
private struct AttackRow: Codable {
    let attack: String
    let what: String
    /// Tokens of the attacker's sites, and what west earns honestly with the same records.
    let earned: String
    let honest: String
    /// earned ÷ honest.
    let ratio: Double
    /// Of the last model on the reference set.
    let auc: Double
    let contributionValue: Double
    /// Tokens of patients whom the attacker invented.
    let invented: String
    /// Why its update was refused; empty when it was not.
    let refusal: String
}

@main
struct Attacks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attacks",
        abstract: "Measure the sites' share on the lung nodules.",
        subcommands: [Play.self, Values.self], defaultSubcommand: Play.self)
}

struct Play: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what attacks on the sites' share earn, on the lung nodules.",
        discussion: """
            The smallest hospital, west, cheats in one way after the other; the contracts, the \
            check of each round and the settlement are the real ones. Run in the repository's top \
            folder.

            Example: attacks --format json
            """)

    @Option(help: "Rounds of each run.")
    var rounds: UInt32 = 20
    @Option(help: "The agreement.")
    var agreement = "Protocols/agreements/lung-nodules.yaml"
    @Option(help: "table or json.")
    var format = "table"

    func validate() throws {
        guard (1...1_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000") }
        guard ["table", "json"].contains(format) else {
            throw ValidationError("--format is table or json")
        }
    }

    func run() throws {
        let text = try String(contentsOfFile: agreement, encoding: .utf8)
        let study = try Study(readAgreement(text: text, file: agreement))
        var honest = TokenAmount.zero
        var rows: [AttackRow] = []
        for attack in Attack.allCases {
            var game = try Game(
                study.agreement, entities: study.entities(attack), reference: study.reference)
            let result = try game.play(rounds: rounds)
            let attackers = study.attackers(attack)
            let earned = result.earned(attackers)
            if attack == .honest { honest = earned }
            let value = result.values.sites.filter { attackers.contains($0.site) }
                .reduce(0.0) {
                    $0 + Double($1.shapley) / Double(max(1, result.values.shapleyDenominator))
                }
            rows.append(
                AttackRow(
                    attack: attack.rawValue, what: attack.sentence, earned: earned.description,
                    honest: honest.description,
                    ratio: Double(earned.microtokens) / Double(max(1, honest.microtokens)),
                    auc: result.auc, contributionValue: value,
                    invented: result.earned(study.inventedPatients).description,
                    refusal: attackers.compactMap { result.refusals[$0] }.first ?? ""))
        }
        try show(rows, study)
    }

    private func show(_ rows: [AttackRow], _ study: Study) throws {
        if format == "json" {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        }
        let count = study.records.values.reduce(0) { $0 + $1.count }
        let held = study.reference.values.reduce(0) { $0 + $1.count }
        print(
            "\(count) records to train on, \(study.records[Study.west]?.count ?? 0) of them west's; "
                + "\(held) held out; \(rounds) rounds\n")
        print(line("what west does", "earns", "ratio", "AUC", "value", "to invented patients"))
        for row in rows {
            print(
                line(
                    row.attack, row.earned, String(format: "%.2f", row.ratio),
                    String(format: "%.4f", row.auc), String(format: "%.1f", row.contributionValue),
                    row.invented))
            if !row.refusal.isEmpty { print("    refused: \(row.refusal)") }
        }
    }

    private func line(_ texts: String...) -> String {
        let widths = [28, 12, 6, 7, 8, 21]
        return zip(texts, widths).enumerated().map { place, pair in
            let space = String(repeating: " ", count: max(0, pair.1 - pair.0.count))
            return place == 0 ? pair.0 + space : space + pair.0
        }.joined(separator: " ")
    }
}

struct Values: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Value so many honest sites: exactly up to 12, by drawn orders above.",
        discussion: """
            All records are dealt out in turn, so that sites are much alike. Prints each value with \
            its 95 % interval, what all lose without the site, and what the rounds cost.

            Example: attacks values --sites 100 --rounds 2
            """)

    @Option(help: "How many legal entities.")
    var sites = 16
    @Option(help: "Rounds.")
    var rounds: UInt32 = 3
    @Option(help: "The agreement.")
    var agreement = "Protocols/agreements/lung-nodules.yaml"

    func validate() throws {
        guard (1...400).contains(sites), (1...1_000).contains(rounds) else {
            throw ValidationError("--sites is 1 to 400, --rounds 1 to 1000")
        }
    }

    func run() throws {
        let text = try String(contentsOfFile: agreement, encoding: .utf8)
        let study = try Study(readAgreement(text: text, file: agreement))
        let (entities, reference) = study.dealt(to: sites)
        var game = try Game(study.agreement, entities: entities, reference: reference)
        let clock = ContinuousClock()
        let start = clock.now
        let values = try game.play(rounds: rounds).values
        let time = clock.now - start
        let unit = Double(max(1, values.shapleyDenominator))
        for site in values.sites {
            print(
                site.site, String(format: "%8.2f", Double(site.shapley) / unit), "±",
                String(format: "%.2f", Double(site.shapleyHalfWidth) / unit), " without it",
                String(site.leaveOneOut))
        }
        let sum = values.sites.reduce(0.0) { $0 + Double($1.shapley) / unit }
        print("sum         \(String(format: "%.2f", sum))")
        print("utility     \(values.utility) of \(values.utilityMaximum)")
        print("orders      \(values.permutations == 0 ? "exact" : "\(values.permutations)")")
        print("time        \(time) for \(rounds) rounds")
    }
}
