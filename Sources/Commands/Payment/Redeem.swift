import ArgumentParser
import Cryptography
import Ledger
import Node
import Wire

extension Tally {
    struct Redeem: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take tokens out: a member asks, the treasurer accepts and pays.",
            discussion: """
                A request puts the money aside. The treasurer accepts it before it pays outside: \
                from then on its owner cannot give it up. When it has paid, it says so with the \
                reference of that payment, and the tokens are no more.

                Example: tally redeem request --amount 100 --home lab
                Example: tally redeem list --home treasurer
                Example: tally redeem accept 5f…c2/0 --home treasurer
                Example: tally redeem pay 5f…c2/0 --reference bank-2025-17 --home treasurer
                """,
            subcommands: [
                RedeemRequest.self, RedeemAccept.self, RedeemPay.self, RedeemCancel.self,
                RedeemList.self,
            ])
    }

    struct RedeemRequest: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "request",
            abstract: "Ask for a payout of this member's money.",
            discussion: "Example: tally redeem request --amount 100 --home lab")

        @Option(parsing: .unconditional, help: "Tokens, with at most six decimals.")
        var amount: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws { _ = try Commands.amount(amount, option: "--amount") }

        func run() async throws {
            let home = try homeOptions.open()
            let amount = try Commands.amount(amount, option: "--amount")
            var transaction = WireTransaction()
            transaction.redemptionRequest.microtokens = amount.microtokens
            let report = try await send(
                transaction, named: "redemption", from: home, wait: !settlement.noWait,
                spending: Spending(of: home.member().account, amount))
            let request = report.rejected.isEmpty ? report.envelopes.first : nil
            try output.finish(report, request.map { "request \($0)/0" })
        }
    }

    struct RedeemAccept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "accept",
            abstract: "Take a request on, as treasurer, before paying it outside.",
            discussion: """
                Once this is settled, its owner cannot give the request up any more; the \
                treasurer can, and then the money returns.

                Example: tally redeem accept 5f…c2/0 --home treasurer
                """)

        @OptionGroup var options: RedemptionOptions

        func run() async throws {
            var transaction = WireTransaction()
            transaction.redemptionAccept.envelope = data(options.request.envelope.bytes)
            transaction.redemptionAccept.index = options.request.index
            try await options.finish(transaction)
        }
    }

    struct RedeemPay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pay",
            abstract: "State, as treasurer, that an accepted request was paid outside.",
            discussion:
                "Example: tally redeem pay 5f…c2/0 --reference bank-2025-17 --home treasurer"
        )

        @Option(help: "Of the payment outside, once for all: 1 to 64 of a-z 0-9 . _ -")
        var reference: String
        @OptionGroup var options: RedemptionOptions

        func validate() throws { try checkReference(reference) }

        func run() async throws {
            var transaction = WireTransaction()
            transaction.redemptionPay.envelope = data(options.request.envelope.bytes)
            transaction.redemptionPay.index = options.request.index
            transaction.redemptionPay.reference = reference
            try await options.finish(transaction, named: "payout \(reference)")
        }
    }

    struct RedeemCancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cancel",
            abstract: "Give a request up, until it is accepted or as treasurer; the money returns.",
            discussion: "Example: tally redeem cancel 5f…c2/0 --home lab")

        @OptionGroup var options: RedemptionOptions

        func run() async throws {
            var transaction = WireTransaction()
            transaction.redemptionCancel.envelope = data(options.request.envelope.bytes)
            transaction.redemptionCancel.index = options.request.index
            try await options.finish(transaction)
        }
    }

    struct RedeemList: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the requests for a payout and what became of them.",
            discussion: """
                A member sees its own, the treasurer and the nodes see all.

                Example: tally redeem list --home treasurer
                """)

        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(RedemptionsReport.self, .redemptions, []) { report in
                var table = Table("request", "account", "amount", "state", "reference")
                for one in report.redemptions {
                    table.add(one.request, one.account, one.amount, one.state, one.reference)
                }
                return table.text
            }
        }
    }
}

/// A request for a payout, and how a word on it is sent.
struct RedemptionOptions: ParsableArguments {
    @Argument(help: "The request, <64 hex digits>/<number>; see `tally redeem list`.")
    var request: TransactionID
    @OptionGroup var homeOptions: HomeOptions
    @OptionGroup var settlement: SettlementOptions
    @OptionGroup var output: FormatOptions

    /// Hands a transaction in, waits for it unless told not to, and says what became of it.
    ///
    /// - Parameters:
    ///   - transaction: a word on the request.
    ///   - name: what messages call it; the request unless given.
    /// - Throws: what sending throws, and the exit status of a rejection.
    func finish(_ transaction: WireTransaction, named name: String? = nil) async throws {
        try output.finish(
            try await send(
                transaction, named: name ?? "request \(request)", from: homeOptions.open(),
                wait: !settlement.noWait))
    }
}
