import ArgumentParser
import Cryptography
import Ledger
package import Node
import Storage
import Wire

extension Tally {
    struct Correct: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give this voter's word that a posting is wrong and is to be taken back.",
            discussion: """
                Nothing is ever edited: once a quorum of voters has given the same word, a new \
                posting returns the amount, and names what it corrects. What a pool paid returns \
                to the reserve; an income leaves by the reserve, and a payout returns to its owner. \
                Words are the same when transaction, posting, amount and reason are; \
                `tally correct list` shows those that await more, and how to give the same.

                Example: tally correct 5f…c2/0 --posting 3 --reason "counted twice" --home north
                Example: tally correct list --home east
                """,
            subcommands: [CorrectGive.self, CorrectList.self],
            defaultSubcommand: CorrectGive.self)
    }

    struct CorrectList: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the words that await more voters, and how to give the same.",
            discussion: """
                From this node's own settled ledger.

                Example: tally correct list --home east
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "listing corrections")
            let report = try await offThePool { _ in try reporter(home).corrections() }
            try output.show(report, correctionsText)
        }
    }

    struct CorrectGive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "give",
            abstract: "Give the word; this is what `tally correct` does without a verb.",
            discussion: """
                The posting is looked up in this node's own ledger first.

                Example: tally correct 5f…c2/0 --posting 3 --reason "counted twice" --home north
                """)

        @Argument(help: "The transaction that posted, <64 hex digits>/<number>.")
        var transaction: TransactionID
        @Option(
            parsing: .unconditional,
            help: "The place of the posting among the transaction's, from 0.")
        var posting: UInt32 = 0
        @Option(parsing: .unconditional, help: "How much is taken back; without it, all of it.")
        var amount: String?
        @Option(help: "Why; the word is the same only when this is.")
        var reason: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            if let amount { _ = try Commands.amount(amount, option: "--amount") }
            guard (1...200).contains(reason.utf8.count) else {
                throw ValidationError("--reason must have 1 to 200 bytes.")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "correcting")
            let store = try LedgerStore.reading(at: home.ledger)
            let postings = try store.postings(by: transaction)
            guard postings.indices.contains(Int(posting)) else {
                throw CommandFault(
                    "transaction \(transaction) has \(postings.count) postings on this node's "
                        + "settled ledger, so none in place \(posting)")
            }
            let original = postings[Int(posting)]
            let returned = try amount.map { try Commands.amount($0, option: "--amount") }
            guard (returned ?? .zero) <= original.amount else {
                throw CommandFault(
                    "the posting is of \(original.amount); no more than that can be taken back")
            }
            var word = WireTransaction()
            word.correction.envelope = data(transaction.envelope.bytes)
            word.correction.index = transaction.index
            word.correction.posting = posting
            word.correction.debit = original.debit.text
            word.correction.credit = original.credit.text
            word.correction.microtokens = original.amount.microtokens
            word.correction.returned = (returned ?? original.amount).microtokens
            word.correction.reason = reason
            let report = try await send(
                word, named: "correction", from: home, wait: !settlement.noWait,
                spending: Spending(
                    of: original.credit, TokenAmount(microtokens: word.correction.returned)))
            let note =
                "\(original.amount) from \(original.debit) to \(original.credit), \(original.rule)"
            let progress =
                report.settled && report.applied == 1
                ? try reporter(home).progress(of: word.correction) : nil
            try output.finish(
                report,
                ([note] + (progress.map { [progressText($0)] } ?? []))
                    .joined(separator: "\n"))
        }
    }
}

/// What is still needed after a word was given.
package func progressText(_ progress: CorrectionProgress) -> String {
    switch progress {
    case .done: return "a quorum has given this word: the amount is taken back"
    case .words(let given, let quorum):
        let missing = max(0, quorum - given)
        return "\(given) of \(quorum) equal words given, \(missing) more "
            + "\(missing == 1 ? "is" : "are") needed; other voters see it with `tally correct list`"
    }
}

/// Each word with the command that gives the same.
package func correctionsText(_ report: CorrectionsReport) -> String {
    guard !report.corrections.isEmpty else { return "no correction awaits a word" }
    return report.corrections.map { entry in
        fields([
            ("posting", "\(entry.transaction), place \(entry.posting)"),
            ("posted", "\(entry.amount) from \(entry.debit) to \(entry.credit)"),
            ("to take back", entry.returned), ("reason", entry.reason),
            ("given by", entry.given.joined(separator: ", ")),
            ("needed", "\(entry.missing) more, \(report.quorum) in all"),
            (
                "the same word",
                "tally correct \(entry.transaction) --posting \(entry.posting) --amount "
                    + "\(entry.returned) --reason \(shellQuoted(entry.reason))"
            ),
        ])
    }.joined(separator: "\n\n")
}

/// A text as one word of a shell, whatever it holds.
private func shellQuoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        + "'"
}
