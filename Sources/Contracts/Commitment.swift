package import Cryptography
package import Ledger

/// The newest settled block, and what is needed to build upon it.
package struct Tip: Hashable, Sendable {
    package let slot: Slot
    package let hash: Digest
    package let timeMilliseconds: UInt64
    /// Over all transactions up to this block.
    package let log: MerkleFrontier

    package init(slot: Slot, hash: Digest, timeMilliseconds: UInt64, log: MerkleFrontier) {
        self.slot = slot
        self.hash = hash
        self.timeMilliseconds = timeMilliseconds
        self.log = log
    }

    package init(genesis: Genesis) {
        self.init(
            slot: .genesis, hash: genesis.network.digest,
            timeMilliseconds: genesis.timeMilliseconds, log: MerkleFrontier())
    }

    package var height: Height { slot.height }
}

/// A block that a voter has executed, and what it came to.
package struct ExecutedBlock: Sendable {
    package let block: Block
    package let execution: Execution
    package let tip: Tip

    package init(block: Block, execution: Execution, tip: Tip) {
        self.block = block
        self.execution = execution
        self.tip = tip
    }
}

/// What a voter must keep durably, in one transaction, before its signature leaves.
package struct Commitment: Sendable {
    /// The block voted for.
    package let block: ExecutedBlock
    package let vote: Vote
    /// The highest certificate known with it: the one that the block carries.
    package let highest: Certificate?
    /// Blocks that this one shows to be settled, oldest first.
    package let settled: [ExecutedBlock]
    /// Buckets of the state tree that a settled checkpoint rehashed.
    package let rehashed: [UInt16: Digest]
    /// The state tree after the settled blocks.
    package let tree: StateTree

    package init(
        block: ExecutedBlock, vote: Vote, highest: Certificate?, settled: [ExecutedBlock],
        rehashed: [UInt16: Digest], tree: StateTree
    ) {
        self.block = block
        self.vote = vote
        self.highest = highest
        self.settled = settled
        self.rehashed = rehashed
        self.tree = tree
    }
}
