package import Cryptography
import Ledger
package import Wire

/// Why a part of a snapshot is not what a checkpoint's header states.
package enum SnapshotFault: Error, Hashable, Sendable, CustomStringConvertible {
    case wrongRoots
    case outOfPlace(first: Int, next: UInt32)
    case unknownTable(UInt32)
    case foreignEntry
    case otherEntries(bucket: Int)
    case wrongState

    package var description: String {
        switch self {
        case .wrongRoots: "the roots of the buckets do not come to the checkpoint's state root"
        case .outOfPlace(let first, let next):
            "a chunk from bucket \(first) on ends at bucket \(next)"
        case .unknownTable(let table): "an entry is of the unknown table \(table)"
        case .foreignEntry: "an entry stands where its bucket does not"
        case .otherEntries(let bucket): "the entries of bucket \(bucket) are not those of its root"
        case .wrongState: "the state that was written has another root than the checkpoint"
        }
    }
}

/// The roots of all buckets of a checkpoint's state, against which chunks of it are checked.
///
/// They are checked first, so that a liar is found at its first wrong bucket and whoever takes
/// chunks never holds more than one that is not proven.
package struct BucketRoots: Sendable {
    package static let count = 1 << 16
    /// The most of them that one answer brings.
    package static let most = 1 << 14

    package let roots: [Digest]

    /// - Parameters:
    ///   - bytes: 32 for each bucket, ascending.
    ///   - stateRoot: of the checkpoint's header.
    /// - Throws: ``SnapshotFault/wrongRoots``.
    package init(_ bytes: [UInt8], stateRoot: Digest) throws(SnapshotFault) {
        guard bytes.count == Self.count * 32 else { throw .wrongRoots }
        roots = stride(from: 0, to: bytes.count, by: 32).compactMap { Digest(bytes[$0..<$0 + 32]) }
        guard Self.stateRoot(of: roots) == stateRoot else { throw .wrongRoots }
    }

    /// The root over the roots of all buckets, ascending.
    package static func stateRoot(of roots: [Digest]) -> Digest {
        var buckets: [UInt16: Digest] = [:]
        for (bucket, root) in roots.enumerated() { buckets[UInt16(bucket)] = root }
        return StateTree(buckets: buckets, dirty: []).root
    }

    /// Checks a chunk: whole buckets, and nothing but what their roots bind.
    ///
    /// - Parameters:
    ///   - chunk: whose size the transport has bounded.
    ///   - first: the bucket that was asked for.
    /// - Returns: its entries.
    /// - Throws: ``SnapshotFault``.
    package func entries(
        of chunk: WireStateChunk, from first: Int
    ) throws(SnapshotFault) -> [StateEntry] {
        guard first >= 0, first < Int(chunk.next), Int(chunk.next) <= Self.count else {
            throw .outOfPlace(first: first, next: chunk.next)
        }
        var entries: [StateEntry] = []
        for row in chunk.rows {
            guard let table = UInt8(exactly: row.table).flatMap({ StateTable(rawValue: $0) }) else {
                throw .unknownTable(row.table)
            }
            entries.append(StateEntry(StateKey(table, [UInt8](row.key)), [UInt8](row.value)))
        }
        var rest = entries[...]
        var place = rest.first?.key.bucket
        for bucket in first..<Int(chunk.next) {
            var own: [StateEntry] = []
            while let entry = rest.first, place == UInt16(bucket) {
                own.append(entry)
                rest.removeFirst()
                place = rest.first?.key.bucket
            }
            let root = own.isEmpty ? merkleRootOfNothing : bucketRoot(own)
            guard root == roots[bucket] else { throw .otherEntries(bucket: bucket) }
        }
        guard rest.isEmpty else { throw .foreignEntry }
        return entries
    }
}
