import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Statement: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show every posting of an account with its cause.",
            discussion: """
                Postings stand where they became available, so that the closing is what is \
                available now; what is not yet is listed apart.

                Example: tally statement annotator/north-1 --home north
                """)

        @Argument(help: "The account, role/name; without it, the home's own.")
        var account: AccountID?
        @Option(help: "The first height to list; what counted before it is the opening.")
        var from: UInt64?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let account = try options.account(account)
            let arguments = [account.text] + (from.map { ["\($0)"] } ?? [])
            try await options.show(
                StatementReport.self, .statement, arguments, statementText)
        }
    }
}

private func statementText(_ report: StatementReport) -> String {
    var table = Table("height", "available", "rule", "amount", "balance", "counterparty", "cause")
    for posting in report.postings {
        table.add(
            String(posting.height), String(posting.availableFrom), posting.rule,
            (posting.direction == "credit" ? "+" : "-") + posting.amount, posting.balance,
            posting.counterparty, shortCause(posting.cause))
    }
    var parts = [
        fields([("account", report.account), ("opening", report.opening)]), table.text,
        fields([("closing", report.closing)]),
    ]
    if !report.pending.isEmpty {
        var pending = Table("height", "available from", "rule", "amount", "counterparty", "cause")
        for posting in report.pending {
            pending.add(
                String(posting.height), String(posting.availableFrom), posting.rule,
                "+" + posting.amount, posting.counterparty, shortCause(posting.cause))
        }
        parts.append("pending\n" + pending.text)
    }
    return parts.joined(separator: "\n\n")
}

/// Enough of a transaction's id to find it; JSON has all of it.
private func shortCause(_ cause: String) -> String {
    "\(cause.prefix(12))…\(cause.drop { $0 != "/" })"
}
