import ArgumentParser
import Cryptography
import Ledger
import Node
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
                The posting is looked up in this node's own ledger first.

                Example: tally correct 5f…c2/0 --posting 3 --reason "counted twice" --home north
                """)

        @Argument(help: "The transaction that posted, <64 hex digits>/<number>.")
        var transaction: TransactionID
        @Option(help: "The place of the posting among the transaction's, from 0.")
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
            try output.finish(
                try await send(
                    word, named: "correction", from: home, wait: !settlement.noWait),
                "\(original.amount) from \(original.debit) to \(original.credit), "
                    + "\(original.rule)")
        }
    }
}
