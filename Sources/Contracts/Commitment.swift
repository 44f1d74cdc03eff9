package import Cryptography
package import Ledger
import Wire

/// A block that may be built upon: where it stands, and what a child needs to know of it.
package struct Tip: Hashable, Sendable {
    package let slot: Slot
    package let hash: Digest
    package let timeMilliseconds: UInt64
    /// Over all transactions up to this block.
    package let log: MerkleFrontier
    /// The terms up to this block, and whose votes its child needs.
    package let terms: TermHistory

    package init(
        slot: Slot, hash: Digest, timeMilliseconds: UInt64, log: MerkleFrontier, terms: TermHistory
    ) {
        self.slot = slot
        self.hash = hash
        self.timeMilliseconds = timeMilliseconds
        self.log = log
        self.terms = terms
    }

    package init(genesis: Genesis) {
        self.init(
            slot: .genesis, hash: genesis.network.digest,
            timeMilliseconds: genesis.timeMilliseconds, log: MerkleFrontier(),
            terms: TermHistory(genesis: genesis))
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

/// What a voter has signed, and the highest certificate it knows: kept for ever.
package struct Journal: Hashable, Sendable {
    /// The highest term that it has voted in or signed a status for.
    package var term: Term
    /// The newest vote.
    package var lastVote: Slot?
    /// The first block of `term` that it voted for.
    package var firstBlock: Digest?
    /// Votes above the settled height, by slot.
    package var votes: [Slot: Digest]
    /// Nil: genesis, which is certified by definition.
    package var highest: Certificate?

    package init(
        term: Term = .genesis, lastVote: Slot? = nil, firstBlock: Digest? = nil,
        votes: [Slot: Digest] = [:], highest: Certificate? = nil
    ) {
        self.term = term
        self.lastVote = lastVote
        self.firstBlock = firstBlock
        self.votes = votes
        self.highest = highest
    }
}

/// What a voter must keep durably, in one transaction, before a signature leaves.
package struct Commitment: Sendable {
    /// The block, executed; it becomes the replica's head unless a higher one is known.
    package let block: ExecutedBlock
    /// Under each key of this voter that the block needs; empty when it only follows.
    package let votes: [Vote]
    package let journal: Journal
    /// Blocks that this one shows to be settled, oldest first.
    package let settled: [ExecutedBlock]
    /// Blocks that can no more become part of the chain.
    package let dropped: [ExecutedBlock]
    /// Buckets of the state tree that a settled checkpoint rehashed.
    package let rehashed: [UInt16: Digest]
    /// The state tree after the settled blocks.
    package let tree: StateTree

    package init(
        block: ExecutedBlock, votes: [Vote], journal: Journal, settled: [ExecutedBlock],
        dropped: [ExecutedBlock], rehashed: [UInt16: Digest], tree: StateTree
    ) {
        self.block = block
        self.votes = votes
        self.journal = journal
        self.settled = settled
        self.dropped = dropped
        self.rehashed = rehashed
        self.tree = tree
    }
}

/// A signed status, to be kept durably before it leaves.
package struct StatusCommitment: Sendable {
    /// Under each key of this voter that counts.
    package let statuses: [Status]
    package let certificate: Certificate?
    package let journal: Journal

    package init(statuses: [Status], certificate: Certificate?, journal: Journal) {
        self.statuses = statuses
        self.certificate = certificate
        self.journal = journal
    }

    /// Each status with the certificate that it names, as it travels.
    package var reports: [[UInt8]] {
        statuses.map { status in
            var report = WireStatusReport()
            report.status = data(status.bytes)
            report.certificate = data(certificate?.bytes ?? [])
            return report.encoded()
        }
    }
}
