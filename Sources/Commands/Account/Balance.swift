import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Balance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what an account has available, pending and in escrow.",
            discussion: """
                In a member's home the site is asked, and must prove, against the genesis document \
                there, that its settled height is settled and that the account's newest posting \
                stands at or below it. The sums themselves are the site's word. Amounts are tokens.

                Example: tally balance annotator/north-1 --home north
                """)

        @Argument(help: "The account, role/name; without it, the home's own.")
        var account: AccountID?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let account = try options.account(account)
            try options.output.show(try await report(of: account)) { report in
                fields([
                    ("account", report.account), ("available", report.available),
                    ("pending", report.pending), ("escrow", report.escrow),
                    ("settled height", "\(report.settledHeight)"),
                    ("proof", report.proof),
                ])
            }
        }

        /// From the node's own ledger, or from the site with a proof.
        private func report(of account: AccountID) async throws -> BalanceReport {
            let home = try options.home()
            guard !home.isNode, home.exists(home.siteFile) else {
                return try await options.report(BalanceReport.self, .balance, [account.text])
            }
            return try await SiteLink.connected(from: home) { try await $0.balance(of: account) }
        }
    }
}
