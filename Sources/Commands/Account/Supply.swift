import ArgumentParser
package import Node

extension Tally {
    struct Supply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the trial balance: what was issued is what all accounts hold.",
            discussion: """
                Issued is the founding supply, with all income, without all that was redeemed. \
                Exits with 2 when it does not balance.

                csv is RFC 4180 with one header line. Its first column, section, says what a row \
                is: summary (a name and a value: founded, issued, held, …), accounts or by kind; \
                columns that a section does not have are empty.

                Example: tally supply --home north
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: DocumentOptions

        func run() async throws {
            let bytes = try await reportBytes(.supply, [], home: homeOptions.open())
            let report = try Node.report(SupplyReport.self, json: bytes)
            try output.show(report, document(of: report))
            guard report.balanced else { throw findingExit }
        }
    }
}

/// A trial balance as rows, for whatever format.
package func document(of report: SupplyReport) -> Document {
    var accounts = DocumentTable("accounts", "account", "balance", "pending")
    for account in report.accounts {
        accounts.add(account.account, account.balance, account.pending)
    }
    var sections = DocumentTable("by kind", "kind", "accounts", "balance")
    for section in report.sections {
        sections.add(section.kind, String(section.accounts), section.balance)
    }
    return Document(
        title: "Trial balance", head: [("settled height", "\(report.settledHeight)")],
        tables: [accounts, sections],
        foot: [
            ("founded", report.founded), ("revenue", report.revenue),
            ("redeemed", report.redeemed), ("issued", report.issued), ("held", report.held),
            ("unclaimed by patients", report.unclaimed),
            ("balanced", report.balanced ? "yes" : "NO"),
        ])
}
