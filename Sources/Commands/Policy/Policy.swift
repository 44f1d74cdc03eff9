import ArgumentParser
import Ledger
import Node
import Storage
import Wire

extension Tally {
    struct Policy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the parameters of money, and try others on the chain.",
            discussion: """
                They stand in the agreement; changing one is a decision of the voters: edit the \
                agreement, then `tally governance propose --agreement FILE --reason WHY`.
                """,
            subcommands: [PolicyShow.self, PolicyWhatIf.self])
    }

    struct PolicyShow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Show the split, the fees and the windows in force at a height.",
            discussion: "Example: tally policy show --height 120 --home north")

        @Option(help: "The height; without it, that of the next block.")
        var height: UInt64?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "showing the policy")
            let store = try LedgerStore.reading(at: home.ledger)
            try output.show(try policyReport(of: store, at: height), policyText)
        }
    }

    struct PolicyWhatIf: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "what-if",
            abstract: "Re-run all settlements of the chain under another policy.",
            discussion: """
                POLICY.yaml has a section `rewards` as in an agreement; a whole agreement will do, \
                its other sections are passed over. Every transaction is executed again in memory \
                with these parameters from the first block on; nothing is written.

                Example: tally policy what-if policy.yaml --home north
                """)

        @Argument(help: "The other policy.", completion: .file(extensions: ["yaml"]))
        var file: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "re-running settlements")
            let policy = try readPolicy(
                text: try utf8Text(readFile(file), file: file), file: file)
            let report = try await offThePool { _ in
                try whatIf(policy, on: LedgerStore.reading(at: home.ledger))
            }
            try output.show(report, whatIfText)
        }
    }
}

private func policyText(_ report: PolicyReport) -> String {
    let split = report.split.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let developers = report.developers.map { "\($0.account) \($0.weight)" }
    return fields([
        ("height", "\(report.height)"),
        ("in force from", "\(report.firstHeight), term \(report.term)"),
        ("supply", report.supply), ("round pool", report.roundPool),
        ("split", split.joined(separator: ", ")),
        ("developers", developers.joined(separator: ", ")),
        ("warm-up rounds", "\(report.warmUpRounds)"),
        ("appeal window", "\(report.appealWindow) blocks"), ("stake", report.stake),
        ("treasurer", report.treasurer.isEmpty ? "none" : report.treasurer),
        ("parent share", "\(report.parentShare)"),
        ("commit window", "\(report.commitWindow) blocks"),
        ("reveal window", "\(report.revealWindow) blocks"),
        ("round deadline", "\(report.roundDeadline) blocks"),
    ])
}

private func whatIfText(_ report: WhatIfReport) -> String {
    func table(_ name: String, _ rows: [PolicyDifference]) -> String {
        Table(
            [name, "now", "then", "difference"],
            rows.map { [$0.name, $0.now, $0.then, $0.difference] }
        )
        .text
    }
    return [
        table("role", report.roles), table("account", report.accounts),
        fields([
            ("changed outcomes", "\(report.changedOutcomes)"),
            ("settled height", "\(report.settledHeight)"),
        ]),
    ].joined(separator: "\n\n")
}
