import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
import Logging
import Messaging
import ServiceLifecycle
import Storage
import Wire

/// Completes a ledger that began with a snapshot.
///
/// Blocks are fetched downwards, each bound by the hash in the one above, and then executed from
/// genesis into a new file beside this one, as a site does that followed from the beginning. Until
/// that file takes the place of this one the node votes for nothing: the history may show votes
/// that its key gave before.
struct HistoryService: Service {
    private static let poll = Duration.milliseconds(500)
    private static let patience = Duration.seconds(4)
    /// Before a history is fetched again that did not execute.
    private static let retry = Duration.seconds(30)

    let node: RunningNode
    /// Told when the new file is there.
    let swap: Failure

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await complete() }
        } catch is CancellationError {}
        // A service that ends would end the others with it.
        try? await gracefulShutdown()
    }

    private func complete() async throws {
        while !Task.isCancelled {
            let isComplete = try await fetch()
            if isComplete, try await execute() { return }
            try await Task.sleep(for: isComplete ? Self.retry : Self.poll)
        }
    }

    /// Asks one node after the other.
    ///
    /// - Returns: whether every block is here.
    private func fetch() async throws -> Bool {
        for (account, client) in node.links.others {
            do {
                while let (height, hash) = try await node.core.missingHistory() {
                    var request = WireRequest()
                    request.history.height = height.value
                    request.history.hash = data(hash.bytes)
                    guard
                        case .history(let answer) = try await client.ask(
                            request, timeout: Self.patience)
                    else { throw UnexpectedAnswer(request: "history") }
                    guard !answer.blocks.isEmpty else { break }
                    try await node.core.keep(history: answer.blocks.map { [UInt8]($0) })
                }
            } catch {
                if isFatal(error) || error is CancellationError { throw error }
                await node.links.failed(account, client, error)
            }
        }
        return try await node.core.missingHistory() == nil
    }

    /// Executes every settled block again; what settles meanwhile is left to ``completeHistory``.
    ///
    /// - Returns: whether the whole history was executed.
    private func execute() async throws -> Bool {
        let files = RepairFiles(home: node.home)
        try files.begin()
        let old = SalvagedLedger(path: node.home.ledger, network: node.core.genesis.network)
        let rebuild = try LedgerRebuild(
            at: files.new, of: node.core.genesis, account: node.keys.account,
            voteKeys: node.keys.voteKeys, from: old, clock: currentMilliseconds)
        do {
            try await rebuild.takeOwnBlocks(pending: false)
            let head = await rebuild.head.height
            try await rebuild.close()
            guard !Task.isCancelled else { return false }
            let snapshot = try await node.core.snapshot()
            if let snapshot, head < snapshot.height {
                node.logger.error(
                    "a block of the history breaks a rule; fetching it again",
                    metadata: ["height": "\(head.next)"])
                try await node.core.dropHistory(upTo: head.next)
                return false
            }
        } catch {
            try? await rebuild.close()
            throw error
        }
        node.logger.notice("the history is complete, and executed from genesis")
        swap.raise(LedgerSwap.history)
        return true
    }
}

extension NodeCore {
    /// Whether nothing was executed or signed here, so that a snapshot may take this ledger's place.
    func isEmpty() throws -> Bool {
        replica.head.height == .genesis && replica.journal == Journal(term: .genesis)
    }

    func snapshot() throws -> StoredSnapshot? { try store.snapshot() }

    func missingHistory() throws -> (height: Height, hash: Digest)? {
        try store.missingHistory()
    }

    func dropHistory(upTo height: Height) throws { try store.dropHistory(upTo: height) }

    /// Keeps blocks of the history.
    ///
    /// - Parameter blocks: bytes, descending from the one that is missing.
    /// - Throws: ``BlockFault``, or ``SnapshotRefusal`` for a block that no hash binds;
    ///   ``ForgottenVote`` when one shows a vote of this node's own key.
    func keep(history blocks: [[UInt8]]) throws {
        guard var next = try store.missingHistory() else { return }
        var known: [Block] = []
        for bytes in blocks {
            let block = try Block(strictly: bytes, network: genesis.network)
            guard block.height == next.height, block.hash == next.hash else {
                throw SnapshotRefusal(
                    reason: "block \(block.height) is not the one that the block above names")
            }
            try requireOwnVotes(in: block.parentCertificate)
            known.append(block)
            guard block.height.value > 1 else { break }
            next = (Height(block.height.value - 1), block.header.previous)
        }
        try store.keepHistory(known)
    }
}

/// Puts the ledger that was executed from genesis in the place of the partial one; no worker may
/// run.
///
/// - Throws: ``RepairFault`` when it does not come to the same block.
func completeHistory(_ home: Home, passphrase: String?) async throws {
    let lock = try HomeLock(home)
    defer { withExtendedLifetime(lock) {} }
    let files = RepairFiles(home: home)
    let genesis = try home.genesisDocument()
    let partial = try LedgerStore.reading(at: home.ledger)
    let tip = try partial.tip()
    let listed = try partial.listedMember(try home.member().account)
    try partial.close()
    let keys = try home.keyRing(
        passphrase: passphrase, listed: listed.map { [UInt8]($0.signingKey) })
    let old = SalvagedLedger(path: home.ledger, network: genesis.network)
    let rebuild = try LedgerRebuild(
        at: files.new, of: genesis, account: keys.account, voteKeys: keys.voteKeys, from: old,
        clock: currentMilliseconds)
    do {
        try await rebuild.takeOwnBlocks()
        // The snapshot's block is below: the chain of hashes binds it.
        guard try await rebuild.holds(tip.hash, at: tip.height) else {
            throw RepairFault.notSound("it does not come to block \(tip.hash)")
        }
        try await rebuild.takeHeard()
        try await rebuild.close()
    } catch {
        try? await rebuild.close()
        throw error
    }
    try files.swap()
    try home.removeDatabase(files.damaged)
}
