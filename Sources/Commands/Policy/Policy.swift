import ArgumentParser
import Contracts
import Ledger
package import Node
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
            discussion: """
                All that the agreement's rewards say, and of its annotation and training what \
                moves money or sets a window. A window of 0 blocks is not used by this agreement.

                Example: tally policy show --height 120 --home north
                """)

        @Option(parsing: .unconditional, help: "The height; without it, that of the next block.")
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
                POLICY.yaml has a section `rewards` as in an agreement; a whole agreement will do. \
                Of the others only `annotation.laterFee` is taken: with other windows or thresholds \
                people would have answered otherwise, and nobody knows how. What differs there from \
                the agreement in force is named as ignored. Every transaction is executed again in \
                memory with these parameters from the first block on; nothing is written.

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
                let store = try LedgerStore.reading(at: home.ledger)
                var report = try whatIf(policy.rewards, laterFee: policy.laterFee, on: store)
                report.ignored = policy.ignored(beside: try store.tip().terms.newest.agreement)
                return report
            }
            try output.show(report, whatIfText)
        }
    }
}

package func policyText(_ report: PolicyReport) -> String {
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
        ("late answer's fee", report.laterFee), ("period", "\(report.periodItems) items"),
        ("commit window", "\(report.commitWindow) blocks"),
        ("reveal window", "\(report.revealWindow) blocks"),
        ("secret window", "\(report.secretWindow) blocks"),
        ("gold window", "\(report.goldWindow) blocks"),
        ("round deadline", "\(report.roundDeadline) blocks"),
    ])
}

package func whatIfText(_ report: WhatIfReport) -> String {
    func table(_ name: String, _ rows: [PolicyDifference]) -> String {
        Table(
            [name, "now", "then", "difference"],
            rows.map { [$0.name, $0.now, $0.then, $0.difference] }
        )
        .text
    }
    let ignored = report.ignored.joined(separator: "; ")
    let head = ignored.isEmpty ? [] : ["ignored (only rewards and laterFee are tried): \(ignored)"]
    let foot = fields([
        ("changed outcomes", "\(report.changedOutcomes)"),
        ("settled height", "\(report.settledHeight)"),
    ])
    let tables = [table("role", report.roles), table("account", report.accounts)]
    return (head + tables + [foot]).joined(separator: "\n\n")
}
