import ArgumentParser
import Node

extension Tally {
    struct Supply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the trial balance: what was issued is what all accounts hold.",
            discussion: """
                Exits with 2 when it does not balance.

                Example: tally supply --home north
                """)

        @OptionGroup var options: ReadOptions

        func run() async throws {
            let report = try await options.report(SupplyReport.self, .supply, [])
            try options.output.show(report) { report in
                var table = Table("account", "balance")
                for account in report.accounts { table.add(account.account, account.balance) }
                return table.text + "\n\n"
                    + fields([
                        ("issued", report.issued), ("held", report.held),
                        ("balanced", report.balanced ? "yes" : "NO"),
                    ])
            }
            guard report.balanced else { throw findingExit }
        }
    }
}
