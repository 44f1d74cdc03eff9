package import Cryptography

/// RFC 6962 section 2.1: leaves are hashed with prefix 0, nodes with prefix 1.
package func leafHash(_ leaf: [UInt8]) -> Digest {
    Digest.sha256(prefix: 0, leaf)
}

package func nodeHash(_ left: Digest, _ right: Digest) -> Digest {
    Digest.sha256(prefix: 1, left, right)
}

/// An append-only RFC 6962 tree, kept as the roots of its complete subtrees.
///
/// Memory is logarithmic in the number of leaves; a leaf costs two hashes on average.
package struct MerkleFrontier: Hashable, Sendable {
    /// Number of leaves.
    package private(set) var size: UInt64 = 0
    /// Roots of the complete subtrees, largest first; one per set bit of `size`.
    package private(set) var peaks: [Digest] = []

    package init() {}

    /// A stored frontier.
    ///
    /// - Returns: nil unless there is one peak per set bit of `size`.
    package init?(size: UInt64, peaks: [Digest]) {
        guard size.nonzeroBitCount == peaks.count else { return nil }
        self.size = size
        self.peaks = peaks
    }

    package mutating func append(_ leaf: Digest) {
        var node = leaf
        var rest = size
        while rest & 1 == 1, let left = peaks.popLast() {
            node = nodeHash(left, node)
            rest >>= 1
        }
        peaks.append(node)
        size += 1
    }

    /// The tree hash; SHA-256 of nothing when there is no leaf.
    package var root: Digest {
        guard var node = peaks.last else { return Digest.sha256([UInt8]()) }
        for peak in peaks.dropLast().reversed() { node = nodeHash(peak, node) }
        return node
    }
}

/// The tree hash over leaf hashes.
package func merkleRoot(_ leaves: [Digest]) -> Digest {
    var frontier = MerkleFrontier()
    for leaf in leaves { frontier.append(leaf) }
    return frontier.root
}

/// The largest power of two below `count`, for `count` ≥ 2.
private func split(_ count: Int) -> Int {
    1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount)
}

/// The audit path of the leaf at `index`, RFC 6962 section 2.1.1; nil when there is no such leaf.
package func inclusionProof(of index: Int, in leaves: [Digest]) -> [Digest]? {
    guard leaves.indices.contains(index) else { return nil }
    var path: [Digest] = []
    var range = leaves[...]
    while range.count > 1 {
        let middle = range.startIndex + split(range.count)
        if index < middle {
            path.append(merkleRoot(Array(range[middle...])))
            range = range[..<middle]
        } else {
            path.append(merkleRoot(Array(range[..<middle])))
            range = range[middle...]
        }
    }
    return path.reversed()
}

/// Whether `path` leads from the leaf at `index` to `root` in a tree of `size` leaves
/// (RFC 9162 section 2.1.3.2, which verifies the paths of RFC 6962).
package func verifiesInclusion(
    of leaf: Digest, at index: UInt64, size: UInt64, path: [Digest], root: Digest
) -> Bool {
    guard index < size else { return false }
    var (position, last, node) = (index, size - 1, leaf)
    for sibling in path {
        guard last > 0 else { return false }
        if position & 1 == 1 || position == last {
            node = nodeHash(sibling, node)
            while position & 1 == 0, position > 0 {
                position >>= 1
                last >>= 1
            }
        } else {
            node = nodeHash(node, sibling)
        }
        position >>= 1
        last >>= 1
    }
    return last == 0 && node == root
}

/// The consistency proof between the first `old` leaves and all of them, RFC 6962 section 2.1.2.
///
/// - Returns: nil when `old` is 0 or more than there are leaves; empty when nothing was appended.
package func consistencyProof(from old: Int, in leaves: [Digest]) -> [Digest]? {
    guard old > 0, old <= leaves.count else { return nil }
    var path: [Digest] = []
    var (range, size, complete) = (leaves[...], old, true)
    while size < range.count {
        let half = split(range.count)
        let middle = range.startIndex + half
        if size <= half {
            path.append(merkleRoot(Array(range[middle...])))
            range = range[..<middle]
        } else {
            path.append(merkleRoot(Array(range[..<middle])))
            range = range[middle...]
            size -= half
            complete = false
        }
    }
    if !complete { path.append(merkleRoot(Array(range))) }
    return path.reversed()
}

/// Whether the tree of `newRoot` extends that of `oldRoot` (RFC 9162 section 2.1.4.2).
package func verifiesConsistency(
    oldSize: UInt64, oldRoot: Digest, newSize: UInt64, newRoot: Digest, path: [Digest]
) -> Bool {
    guard oldSize > 0, oldSize <= newSize else { return false }
    if oldSize == newSize { return path.isEmpty && oldRoot == newRoot }
    var rest = path[...]
    if oldSize.nonzeroBitCount == 1 { rest = ([oldRoot] + path)[...] }
    guard var old = rest.popFirst() else { return false }
    var new = old
    var (position, last) = (oldSize - 1, newSize - 1)
    while position & 1 == 1 {
        position >>= 1
        last >>= 1
    }
    for sibling in rest {
        guard last > 0 else { return false }
        if position & 1 == 1 || position == last {
            old = nodeHash(sibling, old)
            new = nodeHash(sibling, new)
            while position & 1 == 0, position > 0 {
                position >>= 1
                last >>= 1
            }
        } else {
            new = nodeHash(new, sibling)
        }
        position >>= 1
        last >>= 1
    }
    return last == 0 && old == oldRoot && new == newRoot
}

/// The audit path of one leaf, collected while the leaves pass by.
///
/// A log has millions of leaves; they are never all in memory, only the roots of the complete
/// subtrees so far.
package struct InclusionPath: Sendable {
    private struct Node {
        let root: Digest
        let holdsLeaf: Bool
    }

    private let index: UInt64
    /// Leaves that passed.
    package private(set) var size: UInt64 = 0
    private var peaks: [Node] = []
    private var siblings: [Digest] = []

    /// - Parameter index: of the leaf whose path is wanted.
    package init(of index: UInt64) { self.index = index }

    package mutating func append(_ leaf: Digest) {
        var node = Node(root: leaf, holdsLeaf: size == index)
        var rest = size
        while rest & 1 == 1, let left = peaks.popLast() {
            node = join(left, node)
            rest >>= 1
        }
        peaks.append(node)
        size += 1
    }

    private mutating func join(_ left: Node, _ right: Node) -> Node {
        if left.holdsLeaf { siblings.append(right.root) }
        if right.holdsLeaf { siblings.append(left.root) }
        return Node(
            root: nodeHash(left.root, right.root), holdsLeaf: left.holdsLeaf || right.holdsLeaf)
    }

    /// The path to the root over all leaves that passed.
    ///
    /// - Returns: nil when the leaf was not among them.
    package func path() -> (path: [Digest], root: Digest)? {
        var walk = self
        guard index < size, var node = walk.peaks.popLast() else { return nil }
        for left in walk.peaks.reversed() { node = walk.join(left, node) }
        return (walk.siblings, node.root)
    }
}
