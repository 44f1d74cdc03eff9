import Ledger
import Messaging
import Node
import Wire

/// Signs a member's own transaction, hands it in and waits for settlement.
///
/// A node's worker signs it; in a home without a ledger it is signed here and goes to the site.
func send(
    _ transaction: WireTransaction, named name: String, from home: Home, wait: Bool = true
) async throws -> WriteReport {
    guard !home.isNode else {
        return try await LocalNode.connected(to: home) { node in
            try await writeReport(
                of: node.contribute([transaction]), places: [name], wait: wait, via: node.client)
        }
    }
    return try await SiteLink.connected(from: home) { link in
        let submitter = Submitter(
            keys: link.keys, network: link.genesis.network, sink: link.client)
        return try await writeReport(
            of: submitter.submit([transaction]), places: [name], wait: wait, via: link.client)
    }
}
