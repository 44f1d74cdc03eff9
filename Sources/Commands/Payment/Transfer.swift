import ArgumentParser
import Ledger
import Node
import Wire

extension Tally {
    struct TransferCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "transfer",
            abstract: "Move this member's money to another member.",
            discussion: """
                What is moved is available to the receiver when its block is settled. With a \
                reference the command may be given again: the second transfer under it is refused.

                Example: tally transfer site/west --amount 12.5 --reference invoice-7 --home lab
                """)

        @Argument(help: "Who receives it.")
        var to: AccountID
        @Option(parsing: .unconditional, help: "Tokens, with at most six decimals.")
        var amount: String
        @Option(help: "A name for this payment, once for all of this member's transfers.")
        var reference: String?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            _ = try Commands.amount(amount, option: "--amount")
            if let reference { try checkReference(reference) }
        }

        func run() async throws {
            let home = try homeOptions.open()
            let amount = try Commands.amount(amount, option: "--amount")
            var transaction = WireTransaction()
            transaction.transfer.to = to.text
            transaction.transfer.microtokens = amount.microtokens
            transaction.transfer.reference = reference ?? ""
            try output.finish(
                try await send(
                    transaction, named: "transfer to \(to)", from: home,
                    wait: !settlement.noWait,
                    spending: Spending(of: home.member().account, amount)))
        }
    }
}
