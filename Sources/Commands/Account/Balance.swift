import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Balance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what an account has available, pending and in escrow.",
            discussion: """
                In a member's home the site is asked. Amounts are tokens.

                Example: tally balance annotator/north-1 --home north
                """)

        @Argument(help: "The account, role/name; without it, the home's own.")
        var account: AccountID?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let account = try options.account(account)
            try await options.show(BalanceReport.self, .balance, [account.text]) { report in
                fields([
                    ("account", report.account), ("available", report.available),
                    ("pending", report.pending), ("escrow", report.escrow),
                    ("settled height", "\(report.settledHeight)"),
                ])
            }
        }
    }
}
