package import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger

/// How a ledger began whose history is not complete: with the state at a settled checkpoint.
package struct StoredSnapshot: Hashable, Sendable {
    package let height: Height
    package let hash: Digest
    package let proof: SettlementProof
    package let logPeaks: [UInt8]
    /// The first bucket of the state that is not here; the number of buckets once all are.
    package let nextBucket: Int

    package var isWhole: Bool { nextBucket == BucketRoots.count }

    /// The openings of the terms up to it.
    func openings(network: NetworkID) throws -> [(height: Height, opening: Opening)] {
        try ProvenCheckpoint.openings(in: proof, upTo: height, network: network)
    }
}

/// A ledger that begins with a snapshot, is filled bucket by bucket, and gets its history later.
///
/// Until its history is complete it is called partial. Then it is built anew from genesis, and the
/// file that takes its place knows of no snapshot.
extension LedgerStore {
    /// The snapshot that this ledger began with; nil when its history is complete.
    package func snapshot() throws -> StoredSnapshot? { try read { try $0.snapshot() } }

    /// - Throws: ``StorageError/partial(path:)`` when blocks below a snapshot are not here.
    package func requireHistory() throws {
        guard try snapshot() == nil else { throw StorageError.partial(path: path) }
    }

    /// Gives a new ledger up to a snapshot: its state goes, roots of all buckets come.
    ///
    /// - Parameters:
    ///   - checkpoint: that was proven.
    ///   - roots: of its buckets, which come to the checkpoint's state root.
    /// - Throws: ``StorageError``.
    package func beginSnapshot(_ checkpoint: ProvenCheckpoint, _ roots: BucketRoots) throws {
        let empty = bucketRoot([])
        try write { db in
            try db.execute(sql: "DELETE FROM state; DELETE FROM buckets; DELETE FROM snapshot")
            try db.execute(
                sql: "INSERT INTO snapshot VALUES (1, ?, ?, ?, ?, 0)",
                arguments: [
                    checkpoint.height.value, Data(checkpoint.hash.bytes),
                    Data(checkpoint.proof.bytes), Data(checkpoint.log.peaks.flatMap(\.bytes)),
                ])
            let insert = try db.cachedStatement(sql: "INSERT INTO buckets VALUES (?, ?, 1)")
            for (bucket, root) in roots.roots.enumerated() where root != empty {
                try insert.execute(arguments: [bucket, Data(root.bytes)])
            }
        }
    }

    /// The roots that a snapshot began with.
    package func snapshotRoots(stateRoot: Digest) throws -> BucketRoots {
        let tree = try stateTree()
        let bytes = (0..<BucketRoots.count).flatMap { tree.digest(of: UInt16($0)).bytes }
        return try BucketRoots(bytes, stateRoot: stateRoot)
    }

    /// Keeps entries that were checked against the roots of their buckets.
    package func takeSnapshot(_ entries: [StateEntry], upTo next: Int) throws {
        try write { db in
            let insert = try db.cachedStatement(sql: "INSERT INTO state VALUES (?, ?, ?, ?)")
            for entry in entries {
                try insert.execute(arguments: [
                    Int(entry.key.table.rawValue), Data(entry.key.key), Int(entry.key.bucket),
                    Data(entry.value),
                ])
            }
            try db.execute(sql: "UPDATE snapshot SET nextBucket = ?", arguments: [next])
        }
    }

    /// Computes the state's root from this file's own tables; if it is the checkpoint's, the ledger
    /// goes on from there.
    ///
    /// - Throws: ``SnapshotFault/wrongState`` when it is another one.
    package func finishSnapshot(_ checkpoint: ProvenCheckpoint) throws {
        var tree = StateTree(buckets: [:], dirty: Set(0...UInt16.max))
        _ = try tree.rehash(SQLiteState(self))
        guard tree.root == checkpoint.header.stateRoot else { throw SnapshotFault.wrongState }
        try write { db in
            try db.execute(sql: "UPDATE buckets SET isDirty = 0")
            let tip = Tip(
                slot: checkpoint.header.slot, hash: checkpoint.hash,
                timeMilliseconds: checkpoint.header.timeMilliseconds, log: checkpoint.log,
                terms: checkpoint.terms)
            try Self.writeTip(tip, in: db)
        }
    }

    // MARK: history

    /// The lowest block that is here, or the snapshot's above it: its height, and the hash that the
    /// block below must have.
    ///
    /// - Returns: nil when the history is complete down to genesis.
    package func missingHistory() throws -> (height: Height, hash: Digest)? {
        guard let snapshot = try snapshot() else { return nil }
        let row = try read { db in
            try Row.fetchOne(db, sql: "SELECT block FROM history ORDER BY height LIMIT 1")
        }
        guard let row else { return (snapshot.height, snapshot.hash) }
        let bytes: Data = row["block"]
        do {
            let block = try Block(strictly: [UInt8](bytes), network: genesis.network)
            guard block.height.value > 1 else { return nil }
            return (Height(block.height.value - 1), block.header.previous)
        } catch { throw damaged("table history: \(error)") }
    }

    /// Keeps blocks below the snapshot, each bound by the hash in the one above.
    package func keepHistory(_ blocks: [Block]) throws {
        try write { db in
            for block in blocks {
                try db.cachedStatement(sql: "INSERT OR IGNORE INTO history VALUES (?, ?)").execute(
                    arguments: [block.height.value, Data(block.bytes)])
            }
        }
    }

    /// Forgets blocks that are not what their hashes say, and all below them, to be fetched again.
    package func dropHistory(upTo height: Height) throws {
        try write { db in
            try db.execute(
                sql: "DELETE FROM history WHERE height <= ?", arguments: [height.value])
        }
    }
}

extension Database {
    func snapshot() throws -> StoredSnapshot? {
        guard let row = try Row.fetchOne(self, sql: "SELECT * FROM snapshot") else { return nil }
        let (hash, proof, peaks): (Data, Data, Data) = (row["hash"], row["proof"], row["logPeaks"])
        let (height, next): (Int64, Int) = (row["height"], row["nextBucket"])
        guard let height = UInt64(exactly: height), let hash = Digest(hash),
            let proof = try? SettlementProof(strictly: [UInt8](proof))
        else { throw TableFault(place: "table snapshot", reason: "it is not one whole row") }
        return StoredSnapshot(
            height: Height(height), hash: hash, proof: proof, logPeaks: [UInt8](peaks),
            nextBucket: next)
    }
}
