import ArgumentParser
import Ledger
package import Node

extension Tally {
    struct Statement: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show every posting of an account with its cause and its arithmetic.",
            discussion: """
                Postings stand where they became available, so that the closing is what is \
                available now; what is not yet is listed apart, and so is what is held back: \
                stake, penalties and payouts asked for, each in its escrow account. Each line \
                names its transaction, which `tally receipt` proves to others.

                csv is RFC 4180 with one header line. Its first column, section, says what a row \
                is: summary (a name and a value: account, opening, closing, available, pending, in \
                escrow), postings, pending or escrow; columns that a section does not have are \
                empty.

                Example: tally statement annotator/north-1 --home north
                Example: tally statement site/north --format html --home north > north.html
                """)

        @Argument(help: "The account, role/name; without it, the home's own.")
        var account: AccountID?
        @Option(
            parsing: .unconditional,
            help: "The first height to list; what counted before it is the opening.")
        var from: UInt64?
        @Option(
            parsing: .unconditional,
            help: "The last height to list; without it, or above the newest, all up to now.")
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
            signed(posting.amount, isCredit: posting.direction == "credit"), posting.balance,
            posting.counterparty, posting.arithmetic, posting.cause)
    }
    var pending = DocumentTable(
        "pending",
        "height", "time", "available", "rule", "amount", "counterparty", "arithmetic",
        "transaction")
    for posting in report.pending {
        pending.add(
            String(posting.height), posting.time, String(posting.availableFrom), posting.rule,
            signed(posting.amount, isCredit: true), posting.counterparty, posting.arithmetic,
            posting.cause)
    }
    var escrow = DocumentTable(
        "escrow",
        "account", "height", "time", "rule", "amount", "balance", "counterparty", "arithmetic",
        "transaction")
    for posting in report.escrowPostings {
        escrow.add(
            posting.account, String(posting.height), posting.time, posting.rule,
            signed(posting.amount, isCredit: posting.direction == "credit"), posting.balance,
            posting.counterparty, posting.arithmetic, posting.cause)
    }
    return Document(
        title: "Statement of \(report.account)",
        head: [
            ("account", report.account),
            ("heights", "\(report.fromHeight) to \(report.toHeight ?? report.settledHeight)"),
            ("opening", report.opening),
        ],
        tables: [lines] + [pending, escrow].filter { !$0.rows.isEmpty },
        foot: [
            ("closing", report.closing), ("available now", report.available),
            ("pending", report.pendingAmount), ("in escrow", report.escrow),
            ("settled height", "\(report.settledHeight)"),
        ])
}

/// An amount with its sign; one that is below zero, as what is taken back of pending pay, has it.
private func signed(_ amount: String, isCredit: Bool) -> String {
    amount.hasPrefix("-") ? amount : (isCredit ? "+" : "-") + amount
}
