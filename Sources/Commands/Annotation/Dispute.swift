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
        @Option(help: "Why, for the other members to read; at most 1,000 bytes, on one line.")
        var reason: String = ""
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            if let fault = disputeReasonFault(reason) { throw ValidationError(fault) }
        }

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

/// Why a dispute's reason cannot be sent; nil when it can.
///
/// The chain bounds its length alone; what would move a reader's cursor is refused here.
package func disputeReasonFault(_ reason: String) -> String? {
    guard reason.utf8.count <= longestReason else {
        return "--reason has \(reason.utf8.count) bytes in UTF-8, and may have "
            + "\(longestReason); say it shorter"
    }
    guard !reason.unicodeScalars.contains(where: isControlCharacter) else {
        return "--reason has a line break or another control character; write it on one line"
    }
    return nil
}

/// What `item.dispute` takes of a reason, in bytes.
private let longestReason = 1_000

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
