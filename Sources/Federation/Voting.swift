package import Contracts
package import Cryptography
package import Ledger

/// What a voter signs, and what its votes show to be settled.
extension Replica {
    /// The keys of this voter that a block's certificate can count.
    private func keys(for terms: TermHistory) -> [SigningKey] {
        voteKeys.filter { key in
            terms.certifying.contains { $0.keys[account] == key.verifyingKey }
        }
    }

    /// Whether rules 1 and 2 let this voter vote for an executed block.
    private func mayVote(for block: ExecutedBlock) -> Bool {
        let slot = block.tip.slot
        guard slot.term >= journal.term, journal.votes[slot] == nil else { return false }
        let hasFirst = slot.term == journal.term && journal.firstBlock != nil
        return !(block.block.isFirst && hasFirst)
    }

    /// The votes of this voter for a block that it voted for before; signing again gives the same.
    package func votes(for hash: Digest) -> [Vote] {
        guard let block = blocks[hash], journal.votes[block.tip.slot] == hash else { return [] }
        return (try? sign(block)) ?? []
    }

    private func sign(_ block: ExecutedBlock) throws -> [Vote] {
        try keys(for: block.tip.terms).map { key in
            try Vote(
                voter: account, slot: block.tip.slot, block: block.tip.hash, network: network,
                key: key)
        }
    }

    func commitment(
        to executed: ExecutedBlock, certificate: Certificate?
    ) throws(BlockRefusal) -> Commitment {
        var journal = journal
        for known in [executed.block.parentCertificate, certificate] {
            journal.raise(to: known)
        }
        var votes: [Vote] = []
        if mayVote(for: executed) {
            do {
                votes = try sign(executed)
            } catch { throw .execution(.state(StateFault("signing a vote: \(error)"))) }
        }
        if !votes.isEmpty {
            journal.vote(for: executed.tip, isFirst: executed.block.isFirst)
        }
        let settledNow = settledBlocks(by: executed)
        let dropped = settledNow.last.map { outside($0, executed) } ?? []
        if let newest = settledNow.last {
            journal.votes = journal.votes.filter { $0.key.height > newest.tip.height }
        }
        var tree = tree
        var rehashed: [UInt16: Digest] = [:]
        let layers = settledNow.map(\.execution.changes)
        for layer in layers { tree.mark(layer) }
        if settledNow.contains(where: \.execution.isCheckpoint) {
            do {
                let state = LayeredState(base: settledState, layers: layers)
                for bucket in try tree.rehash(state) { rehashed[bucket] = tree.digest(of: bucket) }
            } catch { throw .execution(.state(error)) }
        }
        return Commitment(
            block: executed, votes: votes, journal: journal, settled: settledNow,
            dropped: dropped, rehashed: rehashed, tree: tree)
    }

    /// What a block shows to be settled: it carries its parent's certificate, and a parent that is
    /// no first block settles everything below itself.
    private func settledBlocks(by executed: ExecutedBlock) -> [ExecutedBlock] {
        guard let path = path(to: executed.block.header.previous), let parent = path.last,
            !parent.block.isFirst
        else { return [] }
        return path.dropLast()
    }

    /// Blocks that cannot follow a settled one.
    private func outside(_ settled: ExecutedBlock, _ newest: ExecutedBlock) -> [ExecutedBlock] {
        let chain = Set((path(to: newest.block.header.previous) ?? []).map(\.tip.hash))
        return blocks.values.filter { block in
            guard !chain.contains(block.tip.hash) else { return false }
            let path = path(to: block.tip.hash) ?? []
            return !path.contains { $0.tip.hash == settled.tip.hash }
        }.sorted { ($0.tip.slot, $0.tip.hash) < ($1.tip.slot, $1.tip.hash) }
    }

    /// Signs a status: this voter votes below the decision's term no more.
    ///
    /// The caller keeps the commitment durably, then calls ``advance(by:)-(StatusCommitment)``.
    package func status(for decision: Decision) throws(StatusRefusal) -> StatusCommitment {
        guard decision.term > journal.term else { throw .promised(journal.term) }
        if let highest = journal.highest, highest.slot.term >= decision.term {
            throw .certified(highest.slot)
        }
        let sets = (blocks.values.map(\.tip) + [settled]).flatMap(\.terms.inForce)
        let keys = voteKeys.filter { key in
            sets.contains { $0.keys[account] == key.verifyingKey }
        }
        guard !keys.isEmpty else { throw .noKey }
        var journal = journal
        journal.term = decision.term
        journal.firstBlock = nil
        var statuses: [Status] = []
        for key in keys {
            do {
                statuses.append(
                    try Status(
                        decision: decision, lastVote: journal.lastVote, highest: journal.highest,
                        voter: account, network: network, key: key))
            } catch { throw .signing("\(error)") }
        }
        return StatusCommitment(
            statuses: statuses, certificate: journal.highest, journal: journal)
    }
}

extension Journal {
    /// Takes a verified certificate if it is higher.
    package mutating func raise(to certificate: Certificate?) {
        guard let certificate, certificate.slot > highest?.slot ?? .genesis else { return }
        highest = certificate
    }

    fileprivate mutating func vote(for tip: Tip, isFirst: Bool) {
        if tip.slot.term > term { firstBlock = nil }
        term = max(term, tip.slot.term)
        lastVote = tip.slot
        if isFirst { firstBlock = tip.hash }
        votes[tip.slot] = tip.hash
    }
}
