import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger
package import Wire

/// What other nodes are given of a ledger: the state at a settled checkpoint, and settled blocks.
///
/// Of the newest two checkpoints every value is kept that later blocks changed, so that a transfer
/// goes on while blocks settle.
extension LedgerStore {
    /// Bytes of one answer after which no more is added.
    private static let answerBytes = 1 << 20
    /// Buckets that are read at once.
    fileprivate static let stride = 64
    /// Buckets that one answer brings at most.
    private static let answerBuckets = 1 << 12

    /// Takes note of what blocks change, while a checkpoint is held, and of new checkpoints.
    ///
    /// Of a value that changes again before the next checkpoint nothing more is kept, for nobody
    /// asks for the state between two of them; nor of one that is written as it was.
    static func writeCheckpoints(_ settled: [ExecutedBlock], in db: Database) throws {
        let isFirst = """
            WHERE NOT EXISTS (SELECT 1 FROM undo
            WHERE bucket = ?1 AND kind = ?2 AND key = ?3 AND height > ?5)
            """
        let keep = try db.cachedStatement(
            sql: "INSERT INTO undo SELECT ?1, ?2, ?3, ?4, ?6 \(isFirst)")
        let keepStored = try db.cachedStatement(
            sql: """
                INSERT INTO undo SELECT ?1, ?2, ?3, ?4,
                (SELECT value FROM state WHERE kind = ?2 AND key = ?3) \(isFirst)
                AND (SELECT value FROM state WHERE kind = ?2 AND key = ?3) IS NOT ?6
                """)
        var newest = try Int64.fetchOne(db, sql: "SELECT max(height) FROM checkpoints")
        var isNew = false
        var written = StateChanges()
        for block in settled {
            let height = Int64(clamping: block.tip.height.value)
            let changes = newest == nil ? [:] : block.execution.changes
            for (key, next) in changes.sorted(by: { $0.key < $1.key }) {
                let place: [(any DatabaseValueConvertible)?] = [
                    Int(key.bucket), Int(key.table.rawValue), Data(key.key), height, newest,
                ]
                if let value = written[key] {
                    guard value != next else { continue }
                    try keep.execute(
                        arguments: StatementArguments(place + [value.map { Data($0) }]))
                } else {
                    try keepStored.execute(
                        arguments: StatementArguments(place + [next.map { Data($0) }]))
                }
            }
            written.merge(block.execution.changes) { _, last in last }
            guard block.execution.isCheckpoint else { continue }
            try db.cachedStatement(sql: "INSERT INTO checkpoints VALUES (?, ?)").execute(
                arguments: [height, Data(block.tip.log.peaks.flatMap(\.bytes))])
            (newest, isNew) = (height, true)
        }
        guard isNew else { return }
        try db.execute(
            sql: """
                DELETE FROM checkpoints WHERE height NOT IN
                (SELECT height FROM checkpoints ORDER BY height DESC LIMIT 2);
                DELETE FROM undo WHERE height <= (SELECT min(height) FROM checkpoints);
                """)
    }

    /// The newest checkpoint whose state can be told, and the log's peaks there; nil: none yet.
    package func newestCheckpoint() throws -> (height: Height, logPeaks: [UInt8])? {
        let row = try read { db in
            try Row.fetchOne(
                db, sql: "SELECT height, logPeaks FROM checkpoints ORDER BY height DESC LIMIT 1")
        }
        return row.map { row in
            let (height, peaks): (Int64, Data) = (row["height"], row["logPeaks"])
            return (Height(UInt64(clamping: height)), [UInt8](peaks))
        }
    }

    /// The roots of all buckets at a checkpoint, ascending; nil when it is not held any more.
    package func bucketRoots(at checkpoint: Height) throws -> [Digest]? {
        try read { try $0.bucketRoots(at: checkpoint) }
    }

    /// Whole buckets of the state at a checkpoint, as many as an answer holds.
    ///
    /// - Parameters:
    ///   - checkpoint: its height.
    ///   - first: bucket.
    /// - Returns: nil when the checkpoint is not held any more, or there is no such bucket.
    /// - Throws: ``StorageError``, or a state that cannot be read.
    package func stateChunk(at checkpoint: Height, from first: Int) throws -> WireStateChunk? {
        guard 0..<BucketRoots.count ~= first else { return nil }
        var chunk = WireStateChunk()
        var bytes = 0
        var next = first
        let end = min(first + Self.answerBuckets, BucketRoots.count)
        while next < end, bytes < Self.answerBytes {
            let range = next..<min(next + Self.stride, end)
            guard let buckets = try read({ try $0.state(at: checkpoint, in: range) }) else {
                return nil
            }
            for bucket in buckets where bytes < Self.answerBytes {
                for entry in bucket {
                    var row = WireStateRow()
                    row.table = UInt32(entry.key.table.rawValue)
                    row.key = data(entry.key.key)
                    row.value = data(entry.value)
                    chunk.rows.append(row)
                    bytes += row.key.count + row.value.count + 16
                }
                next += 1
            }
        }
        chunk.next = UInt32(next)
        return chunk
    }

    /// Settled blocks from one downwards, as many as an answer holds; none when it is not settled
    /// here under this hash.
    package func blocks(downFrom height: Height, hash: Digest) throws -> [Block] {
        guard height > .genesis, try self.hash(at: height) == hash else { return [] }
        var blocks: [Block] = []
        var bytes = 0
        var place = height
        while place > .genesis, bytes < Self.answerBytes, let block = try block(at: place) {
            // The first one goes alone if it is large: two may not fit into a message.
            guard blocks.isEmpty || bytes + block.bytes.count <= Self.answerBytes else { break }
            blocks.append(block)
            bytes += block.bytes.count
            place = Height(place.value - 1)
        }
        return blocks
    }
}

extension Database {
    /// The entries of buckets at a checkpoint, each bucket ascending by key.
    ///
    /// - Returns: nil when the checkpoint is not held.
    func state(at checkpoint: Height, in buckets: Range<Int>) throws -> [[StateEntry]]? {
        let held = try Bool.fetchOne(
            cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM checkpoints WHERE height = ?)"),
            arguments: [Int64(clamping: checkpoint.value)])
        guard held == true else { return nil }
        var entries = Array(repeating: [StateKey: [UInt8]](), count: buckets.count)
        let rows = try Row.fetchCursor(
            cachedStatement(
                sql: "SELECT bucket, kind, key, value FROM state WHERE bucket >= ? AND bucket < ?"),
            arguments: [buckets.lowerBound, buckets.upperBound])
        while let row = try rows.next() {
            let (bucket, key) = try place(of: row)
            entries[bucket - buckets.lowerBound][key] = [UInt8](row["value"] as Data)
        }
        // The oldest value since the checkpoint is the one that it had there, and comes last.
        let changed = try Row.fetchCursor(
            cachedStatement(
                sql: """
                    SELECT bucket, kind, key, value FROM undo WHERE bucket >= ? AND bucket < ?
                    AND height > ? ORDER BY bucket, kind, key, height DESC
                    """),
            arguments: [
                buckets.lowerBound, buckets.upperBound, Int64(clamping: checkpoint.value),
            ])
        while let row = try changed.next() {
            let (bucket, key) = try place(of: row)
            let value: Data? = row["value"]
            entries[bucket - buckets.lowerBound][key] = value.map { [UInt8]($0) }
        }
        return entries.map { bucket in
            bucket.sorted { $0.key < $1.key }.map { StateEntry($0.key, $0.value) }
        }
    }

    /// The roots of all buckets at a checkpoint, ascending; nil when it is not held.
    func bucketRoots(at checkpoint: Height) throws -> [Digest]? {
        var roots: [Digest] = []
        while roots.count < BucketRoots.count {
            let range = roots.count..<roots.count + LedgerStore.stride
            guard let buckets = try state(at: checkpoint, in: range) else { return nil }
            roots += buckets.map(bucketRoot)
        }
        return roots
    }

    private func place(of row: Row) throws -> (bucket: Int, key: StateKey) {
        let (bucket, kind): (Int, Int) = (row["bucket"], row["kind"])
        guard let table = UInt8(exactly: kind).flatMap({ StateTable(rawValue: $0) }) else {
            throw StateFault("table state has the unknown kind \(kind)")
        }
        return (bucket, StateKey(table, [UInt8](row["key"] as Data)))
    }
}
