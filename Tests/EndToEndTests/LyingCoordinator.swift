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

/// A coordinator at the address and with the keys of the real one.
final class LyingCoordinator: Sendable {
    private let context: MessagingContext
    private let server: RequestServer

    /// Shows the first site one block, the second another of the same slot, and the third an invalid
    /// one.
    static func splitting(_ deployment: Deployment) throws -> LyingCoordinator {
        let home = Home(deployment.home(Deployment.coordinator))
        let voters = try Deployment.sites.map {
            try Home(deployment.home($0)).keyRing(passphrase: nil)
        }
        let lie = try Lie(home, home.keyRing(passphrase: nil), voters)
        return try LyingCoordinator(deployment) { await lie.answer($0, $1) }
    }

    /// Answers everybody, and has never anything new to tell.
    static func withholding(_ deployment: Deployment) throws -> LyingCoordinator {
        try LyingCoordinator(deployment) { _, body in nothingNew(to: body).encoded() }
    }

    private init(
        _ deployment: Deployment, answer: @escaping @Sendable (Peer, [UInt8]) async -> [UInt8]
    ) throws {
        let home = Home(deployment.home(Deployment.coordinator))
        var allowed: [[UInt8]: String] = [:]
        for site in Deployment.sites {
            let ring = try Home(deployment.home(site)).keyRing(passphrase: nil)
            allowed[ring.transport.publicKey] = ring.account.text
        }
        context = try MessagingContext(
            logger: Logger(label: "liar") { _ in SwiftLogNoOpLogHandler() })
        context.setAllowed(allowed)
        server = try RequestServer(
            context: context, endpoints: [home.member().endpoint],
            key: home.keyRing(passphrase: nil).transport
        ) { peer, body in await answer(peer, body) }
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
    private let asked = Asked()

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

    func answer(_ peer: Peer, _ body: [UInt8]) async -> [UInt8] {
        var response = nothingNew(to: body)
        if case .nextBlock(let request) = (try? WireRequest(strictly: body))?.body {
            let parent = Digest(request.hash)
            // A site that has heard of the other blocks would never ask for its own.
            if parent == head { await asked.wait(for: children.count, peer.description) }
            let block = parent == head ? children[peer.description] : parent.flatMap { known[$0] }
            response.block.block = data(block?.bytes ?? [])
        }
        return response.encoded()
    }
}

/// What a coordinator answers that follows the protocol and does no work.
private func nothingNew(to body: [UInt8]) -> WireResponse {
    var response = WireResponse()
    switch (try? WireRequest(strictly: body))?.body {
    case .nextBlock: response.block = WireBlockResponse()
    case .exchange: response.exchange = WireExchange()
    case .vote: response.done = WireDone()
    default:
        response.failure.code = "refused"
        response.failure.message = "the office is closed"
    }
    return response
}

/// Who has asked for a child of the head.
private actor Asked {
    private var peers: Set<String> = []
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Waits until so many have asked.
    func wait(for count: Int, _ peer: String) async {
        peers.insert(peer)
        guard peers.count < count else {
            for waiter in waiting { waiter.resume() }
            waiting = []
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }
}
