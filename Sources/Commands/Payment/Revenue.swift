import ArgumentParser
import Cryptography
import Ledger
import Node
import Wire

extension Tally {
    struct Revenue: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring income from outside to all who contributed to a model.",
            subcommands: [RevenuePost.self])
    }

    struct RevenuePost: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "post",
            abstract: "Post income for a model, as treasurer.",
            discussion: """
                It is divided by the weights of every round that the model descends from, as they \
                were recorded then; a run that began with another run's model passes the \
                agreement's parentShare on to it. One reference is posted once.

                Example: tally revenue post --model 917f…f9c0 --amount 5000 --reference licence-1 \
                --home treasurer
                """)

        @Option(help: "The model, 64 hexadecimal digits; see `tally rounds --format json`.")
        var model: String
        @Option(parsing: .unconditional, help: "Tokens, with at most six decimals.")
        var amount: String
        @Option(help: "Of the payment outside, once for all: 1 to 64 of a-z 0-9 . _ -")
        var reference: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard Digest(hex: model) != nil else {
                throw ValidationError("--model must have 64 lower-case hexadecimal digits.")
            }
            _ = try Commands.amount(amount, option: "--amount")
            try checkReference(reference)
        }

        func run() async throws {
            var transaction = WireTransaction()
            transaction.revenuePost.model = data(Digest(hex: model)?.bytes ?? [])
            transaction.revenuePost.microtokens =
                try Commands.amount(amount, option: "--amount").microtokens
            transaction.revenuePost.reference = reference
            try output.finish(
                try await send(
                    transaction, named: "income \(reference)", from: homeOptions.open(),
                    wait: !settlement.noWait))
        }
    }
}
