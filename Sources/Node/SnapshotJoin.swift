import Contracts
import Cryptography
import Foundation
package import Ledger
package import Logging
package import Messaging
import Storage
import Wire

/// A peer's snapshot is not that of a settled checkpoint; nothing of it was kept.
package struct SnapshotRefusal: Error, CustomStringConvertible {
    package let reason: String

    package var description: String { "its snapshot is refused: \(reason)" }
}

/// The ledger file is to be exchanged for one that was made beside it; the node starts anew.
enum LedgerSwap: Error {
    /// A snapshot is whole.
    case snapshot
    /// The history is complete, and executed again from genesis.
    case history
}

/// Fetches a snapshot from one peer after another into a file beside an empty ledger.
///
/// Nothing of it is believed: the checkpoint is proven from genesis, the roots of the buckets come
/// to its state root, every bucket to its root, and at last the file's own tables to the state root.
/// What was checked stays through a crash and a change of peers.
package actor SnapshotJoin {
    /// For an offer, which a node may have to compute first; it is there when asked for again.
    private static let offerPatience = Duration.seconds(3)
    /// For any other answer.
    private static let patience = Duration.seconds(10)

    private let executor = QueueExecutor(label: "tally.joining")
    private let home: Home
    private let genesis: Genesis
    private let logger: Logger
    /// Whose snapshot was refused; they are not asked again.
    private var refused: Set<AccountID> = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(home: Home, genesis: Genesis, logger: Logger) {
        self.home = home
        self.genesis = genesis
        self.logger = logger
    }

    /// Fetches the peer's snapshot, unless it offers none.
    ///
    /// - Returns: whether a whole snapshot is here now.
    /// - Throws: ``SnapshotRefusal`` once for a peer whose snapshot is not proven, or what came in
    ///   between; then the next peer goes on where this one stopped.
    package func fetch(from account: AccountID, _ client: RequestClient) async throws -> Bool {
        guard !refused.contains(account) else { return false }
        do {
            return try await fetch(from: client)
        } catch let fault as ProofFault {
            throw refuse(account, "\(fault)")
        } catch let fault as SnapshotFault {
            throw refuse(account, "\(fault)")
        }
    }

    private func refuse(_ account: AccountID, _ reason: String) -> SnapshotRefusal {
        refused.insert(account)
        try? home.removeDatabase(home.joining)
        return SnapshotRefusal(reason: reason)
    }

    private func fetch(from client: RequestClient) async throws -> Bool {
        var request = WireRequest()
        request.snapshot = WireSnapshotRequest()
        guard
            case .snapshot(let offer) = try await client.ask(request, timeout: Self.offerPatience)
        else { throw UnexpectedAnswer(request: "snapshot") }
        guard !offer.proof.isEmpty else { return false }
        let checkpoint = try ProvenCheckpoint(
            SettlementProof(strictly: [UInt8](offer.proof)), logPeaks: [UInt8](offer.logPeaks),
            genesis: genesis)
        let store = try await joiningStore(for: checkpoint, from: client)
        guard let store else { return false }
        defer { try? store.close() }
        let roots = try store.snapshotRoots(stateRoot: checkpoint.header.stateRoot)
        guard var next = try store.snapshot()?.nextBucket else { return false }
        while next < BucketRoots.count {
            var request = WireRequest()
            request.stateChunk.height = checkpoint.height.value
            request.stateChunk.first = UInt32(next)
            guard
                case .stateChunk(let chunk) = try await client.ask(request, timeout: Self.patience)
            else { throw UnexpectedAnswer(request: "state chunk") }
            // It has newer checkpoints by now, and no longer holds this one.
            guard chunk.next != 0 else { return false }
            let entries = try roots.entries(of: chunk, from: next)
            next = Int(chunk.next)
            try store.takeSnapshot(entries, upTo: next)
        }
        try store.finishSnapshot(checkpoint)
        logger.notice(
            "a snapshot is here; its history follows",
            metadata: ["height": "\(checkpoint.height)", "block": "\(checkpoint.hash)"])
        return true
    }

    /// The file that is being filled with a checkpoint's state; what it holds of another goes.
    ///
    /// - Returns: nil when the peer no longer has the roots of the buckets.
    private func joiningStore(
        for checkpoint: ProvenCheckpoint, from client: RequestClient
    ) async throws -> LedgerStore? {
        if home.exists(home.joining) {
            if let store = try? LedgerStore.open(at: home.joining) {
                if store.genesis.network == genesis.network,
                    (try? store.snapshot())?.hash == checkpoint.hash
                {
                    return store
                }
                try? store.close()
            }
            try home.removeDatabase(home.joining)
        }
        var bytes: [UInt8] = []
        while bytes.count < BucketRoots.count * 32 {
            var request = WireRequest()
            request.bucketRoots.height = checkpoint.height.value
            request.bucketRoots.first = UInt32(bytes.count / 32)
            guard
                case .bucketRoots(let answer) = try await client.ask(
                    request, timeout: Self.patience)
            else { throw UnexpectedAnswer(request: "bucket roots") }
            guard !answer.roots.isEmpty else { return nil }
            guard answer.roots.count <= BucketRoots.most * 32,
                answer.roots.count.isMultiple(of: 32)
            else { throw SnapshotFault.wrongRoots }
            bytes += answer.roots
        }
        let roots = try BucketRoots(bytes, stateRoot: checkpoint.header.stateRoot)
        let store = try LedgerStore.create(at: home.joining, genesis: genesis)
        try store.beginSnapshot(checkpoint, roots)
        return store
    }
}

/// Puts a ledger that begins with a snapshot in the place of the empty one; no worker may run.
func swapSnapshotIn(_ home: Home) throws {
    let lock = try HomeLock(home)
    defer { withExtendedLifetime(lock) {} }
    let genesis = try home.genesisDocument()
    let old = SalvagedLedger(path: home.ledger, network: genesis.network)
    let store = try LedgerStore.open(at: home.joining)
    do {
        try store.takeHeard(of: old)
        old.close()
        try store.close()
    } catch {
        old.close()
        try? store.close()
        throw error
    }
    for file in [home.ledger + "-wal", home.ledger + "-shm"] where home.exists(file) {
        try FileManager.default.removeItem(atPath: file)
    }
    try renameDurably(home.joining, to: home.ledger)
}

extension Home {
    /// A ledger that is being filled with a snapshot.
    package var joining: String { ledger + ".joining" }

    /// Deletes an SQLite file with its log.
    func removeDatabase(_ path: String) throws {
        for file in [path, path + "-wal", path + "-shm"] where exists(file) {
            try FileManager.default.removeItem(atPath: file)
        }
    }
}
