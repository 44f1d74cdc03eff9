package import Cryptography
import Ledger

/// The Merkle root over all contract state, kept incrementally.
///
/// 65,536 buckets, each the first 16 bits of SHA-256 over (table, key). A bucket hashes its entries
/// in ascending order as an RFC 6962 leaf each; the root is the RFC 6962 root over the buckets'
/// roots. Changed buckets are rehashed at the next checkpoint only.
package struct StateTree: Sendable {
    private static let bucketCount = 1 << 16
    /// nodes[1] is the root, nodes[65,536 + b] bucket b.
    private var nodes: [Digest]
    /// Buckets whose entries changed since they were hashed.
    package private(set) var dirty: Set<UInt16>

    package init() {
        self.init(buckets: [:], dirty: [])
    }

    /// A stored tree.
    package init(buckets: [UInt16: Digest], dirty: Set<UInt16>) {
        let empty = merkleRootOfNothing
        nodes = Array(repeating: empty, count: Self.bucketCount * 2)
        self.dirty = dirty
        var level = empty
        var width = Self.bucketCount
        while width > 1 {
            width /= 2
            level = Digest.sha256(prefix: 1, level, level)
            for place in width..<2 * width { nodes[place] = level }
        }
        for (bucket, digest) in buckets where digest != empty { set(bucket, digest) }
    }

    package var root: Digest { nodes[1] }

    package func digest(of bucket: UInt16) -> Digest { nodes[Self.bucketCount + Int(bucket)] }

    package mutating func mark(_ changes: StateChanges) {
        for key in changes.keys { dirty.insert(key.bucket) }
    }

    /// Rehashes what changed.
    ///
    /// - Returns: the buckets rehashed, ascending.
    package mutating func rehash(_ state: some StateView) throws(StateFault) -> [UInt16] {
        try rehash { bucket throws(StateFault) in try state.entries(inBucket: bucket) }
    }

    /// Rehashes what changed, above layers that are sorted into buckets once.
    package mutating func rehash(_ state: LayeredState) throws(StateFault) -> [UInt16] {
        let changes = state.changesByBucket()
        return try rehash { bucket throws(StateFault) in
            state.merge(try state.base.entries(inBucket: bucket), changes[bucket] ?? [:])
        }
    }

    private mutating func rehash(
        _ entries: (UInt16) throws(StateFault) -> [StateEntry]
    ) throws(StateFault) -> [UInt16] {
        let changed = dirty.sorted()
        for bucket in changed { set(bucket, bucketRoot(try entries(bucket))) }
        dirty = []
        return changed
    }

    private mutating func set(_ bucket: UInt16, _ digest: Digest) {
        var place = Self.bucketCount + Int(bucket)
        nodes[place] = digest
        while place > 1 {
            place /= 2
            nodes[place] = Digest.sha256(prefix: 1, nodes[2 * place], nodes[2 * place + 1])
        }
    }
}

let merkleRootOfNothing = Digest.sha256([UInt8]())

/// The root over one bucket's entries, ascending by ``StateKey``.
package func bucketRoot(_ entries: [StateEntry]) -> Digest { merkleRoot(entries.map(stateLeaf)) }

/// Table ‖ u64be(key length) ‖ key ‖ value, hashed as a leaf.
private func stateLeaf(_ entry: StateEntry) -> Digest {
    leafHash(
        [entry.key.table.rawValue] + bigEndian(UInt64(entry.key.key.count)) + entry.key.key
            + entry.value)
}
