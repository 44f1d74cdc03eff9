import Contracts
import Cryptography
import Deployments
import Federation
import Foundation
import Ledger
import Logging
import Messaging
import Node
import Storage
import TestSupport
import Wire

/// A coordinator at the address and with the keys of the real one, which shows the first site one
/// block, the second another of the same slot, and the third an invalid one.
final class LyingCoordinator: Sendable {
    private let context: MessagingContext
    private let server: RequestServer

    init(for deployment: Deployment) throws {
        let home = Home(deployment.home(Deployment.coordinator))
        let keys = try home.keyRing(passphrase: nil)
        var allowed: [[UInt8]: String] = [:]
        var voters: [KeyRing] = []
        for site in Deployment.sites {
            let ring = try Home(deployment.home(site)).keyRing(passphrase: nil)
            allowed[ring.transport.publicKey] = ring.account.text
            voters.append(ring)
        }
        let lie = try Lie(home, keys, voters)
        context = try MessagingContext(
            logger: Logger(label: "liar") { _ in SwiftLogNoOpLogHandler() })
        context.setAllowed(allowed)
        server = try RequestServer(
            context: context, endpoints: [home.member().endpoint], key: keys.transport
        ) { peer, body in lie.answer(peer, body) }
    }

    func close() async {
        await server.close()
        await context.shutdown()
    }
}

/// What the lying coordinator tells whom.
private struct Lie {
    /// Blocks by the hash of their parent, as everybody is shown them.
    private var known: [Digest: Block] = [:]
    private let head: Digest
    /// Children of the head, by the site that is shown them.
    private let children: [String: Block]

    init(_ home: Home, _ keys: KeyRing, _ voters: [KeyRing]) throws {
        let store = try LedgerStore.reading(at: home.ledger)
        var replica = Replica(
            genesis: store.genesis, account: keys.account, voteKeys: keys.voteKeys,
            journal: try store.journal(), settled: try store.tip(), state: SQLiteState(store),
            tree: try store.stateTree())
        for block in try store.pendingBlocks() { try replica.restore(block) }
        for executed in replica.unsettled {
            known[executed.block.header.previous] = executed.block
        }
        let newest = try replica.unsettled.last.orThrow("a block above the settled one")
        head = newest.tip.hash
        var coordinator = Coordinator(
            genesis: store.genesis, account: keys.account, key: keys.signing)
        coordinator.resume(newest.block, needing: newest.tip.terms.certifying)
        for ring in voters {
            guard let key = ring.voteKeys.first else { continue }
            _ = try coordinator.count(
                Vote(
                    voter: ring.account, slot: newest.tip.slot, block: head,
                    network: store.genesis.network, key: key))
        }
        coordinator.contribute([.closeItem("north/none")])
        let now = UInt64(Date().timeIntervalSince1970 * 1_000)
        var children: [String: Block] = [:]
        for (index, site) in Deployment.sites.enumerated() {
            var (coordinator, replica) = (coordinator, replica)
            children["site/\(site)"] = try coordinator.propose(
                above: &replica, now: now + UInt64(index)
            ).orThrow("a proposal")
        }
        let third = "site/\(Deployment.sites[2])"
        let valid = try children[third].orThrow("a third proposal")
        var header = valid.header
        header.effectsRoot = .zero
        children[third] = try Block(
            header: header, envelopes: valid.envelopes, parentCertificate: valid.parentCertificate,
            opening: nil, network: store.genesis.network, key: keys.signing)
        self.children = children
    }

    func answer(_ peer: Peer, _ body: [UInt8]) -> [UInt8] {
        var response = WireResponse()
        switch (try? WireRequest(strictly: body))?.body {
        case .nextBlock(let request):
            let parent = Digest(request.hash)
            let block = parent == head ? children[peer.description] : parent.flatMap { known[$0] }
            response.block.block = data(block?.bytes ?? [])
        case .exchange: response.exchange = WireExchange()
        case .vote: response.done = WireDone()
        default:
            response.failure.code = "refused"
            response.failure.message = "the office is closed"
        }
        return response.encoded()
    }
}
