package import Cryptography
package import Contracts
package import Ledger

/// Where a node stands while it takes another's blocks, one after the other.
///
/// Every answer must be the child of the block that was asked for, and the way back to the settled
/// block is open once: so a peer that answers for ever, with blocks that are known or with another
/// branch each time, comes to an end, which keeps others from being asked.
package struct BlockWalk: Sendable {
    package private(set) var height: Height
    package private(set) var hash: Digest
    private var hasTurnedBack = false

    /// Begins above a node's head.
    package init(from head: Tip) { (height, hash) = (head.height, head.hash) }

    /// Goes on from the settled block, since the other chain is another one above it.
    ///
    /// - Returns: whether that helps; not twice, and not from there.
    package mutating func turnBack(to settled: Tip) -> Bool {
        guard !hasTurnedBack, height > settled.height else { return false }
        hasTurnedBack = true
        (height, hash) = (settled.height, settled.hash)
        return true
    }

    /// Goes on from a block that was answered.
    ///
    /// - Returns: false when it is not the child of the one that was asked for.
    package mutating func advance(to block: Block) -> Bool {
        guard block.header.previous == hash, block.height == height.next else { return false }
        (height, hash) = (block.height, block.hash)
        return true
    }
}
