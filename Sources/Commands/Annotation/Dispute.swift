import ArgumentParser
import Ledger
import Node
import Wire

extension Tally {
    struct Dispute: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask two seniors about an item's outcome, inside its appeal window.",
            discussion: """
                From the home of a reader who was asked about the item, or of the site that \
                registered it. When both seniors agree on another label the outcome is reversed, \
                and pay whose appeal window is open is corrected; else it stands.

                Example: tally dispute north/n0001 --reason "the nodule is a vessel" --home readers/west-1
                """)

        @Argument(help: "The item, site/record.")
        var item: ItemID
        @Option(help: "Why, for the other members to read.")
        var reason: String = ""
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            var transaction = WireTransaction()
            transaction.itemDispute.item = item.text
            transaction.itemDispute.reason = reason
            try output.finish(
                try await contribute(
                    [transaction], place: item.text, from: home, wait: !settlement.noWait))
        }
    }
}

/// Puts transactions on the ledger from a node's home, or from a member's through its site.
func contribute(
    _ transactions: [WireTransaction], place: String, from home: Home, wait: Bool
) async throws -> WriteReport {
    let places = transactions.map { _ in place }
    if home.isNode {
        return try await LocalNode.connected(to: home) { node in
            try await writeReport(
                of: try await node.contribute(transactions), places: places, wait: wait,
                via: node.client)
        }
    }
    return try await SiteLink.connected(from: home) { link in
        let submitter = Submitter(
            keys: link.keys, network: link.genesis.network, sink: link.client)
        return try await writeReport(
            of: try await submitter.submit(transactions), places: places, wait: wait,
            via: link.client)
    }
}
