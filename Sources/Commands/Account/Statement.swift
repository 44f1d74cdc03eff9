import ArgumentParser
import Ledger
package import Node

extension Tally {
    struct Statement: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show every posting of an account with its cause and its arithmetic.",
            discussion: """
                Postings stand where they became available, so that the closing is what is \
                available now; what is not yet is listed apart. Each line names its transaction, \
                which `tally receipt` proves to others.

                Example: tally statement annotator/north-1 --home north
                Example: tally statement site/north --format html --home north > north.html
                """)

        @Argument(help: "The account, role/name; without it, the home's own.")
        var account: AccountID?
        @Option(help: "The first height to list; what counted before it is the opening.")
        var from: UInt64?
        @Option(help: "The last height to list; without it, closing is what is available now.")
        var to: UInt64?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: DocumentOptions

        func validate() throws {
            guard (from ?? 0) <= (to ?? .max) else {
                throw ValidationError("--from must not be above --to.")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            let account = try account ?? home.member().account
            let arguments = [account.text, from.map { "\($0)" } ?? "", to.map { "\($0)" } ?? ""]
            let bytes = try await reportBytes(.statement, arguments, home: home)
            let report = try Node.report(StatementReport.self, json: bytes)
            try output.show(report, document(of: report))
        }
    }
}

/// A statement as rows, for whatever format.
package func document(of report: StatementReport) -> Document {
    var lines = DocumentTable(
        "postings",
        "height", "time", "available", "rule", "amount", "balance", "counterparty", "arithmetic",
        "transaction")
    for posting in report.postings {
        lines.add(
            String(posting.height), posting.time, String(posting.availableFrom), posting.rule,
            (posting.direction == "credit" ? "+" : "-") + posting.amount, posting.balance,
            posting.counterparty, posting.arithmetic, posting.cause)
    }
    var pending = DocumentTable(
        "pending",
        "height", "time", "available", "rule", "amount", "balance", "counterparty", "arithmetic",
        "transaction")
    for posting in report.pending {
        pending.add(
            String(posting.height), posting.time, String(posting.availableFrom), posting.rule,
            "+" + posting.amount, "", posting.counterparty, posting.arithmetic, posting.cause)
    }
    return Document(
        title: "Statement of \(report.account)",
        head: [
            ("account", report.account),
            ("heights", "\(report.fromHeight) to \(report.toHeight ?? report.settledHeight)"),
            ("opening", report.opening),
        ],
        tables: report.pending.isEmpty ? [lines] : [lines, pending],
        foot: [
            ("closing", report.closing), ("available now", report.available),
            ("pending", report.pendingAmount), ("in escrow", report.escrow),
            ("settled height", "\(report.settledHeight)"),
        ])
}
