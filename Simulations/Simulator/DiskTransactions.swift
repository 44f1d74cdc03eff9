import Contracts
import Cryptography
import Ledger
import Wire

/// The transactions of a ledger file and what is read back at a start, as `LedgerStore` has them.
extension Disk {
    /// Keeps a block and the vote for it with all that it stands on.
    func commit(_ commitment: Commitment, altering: (StateChanges) -> StateChanges) throws {
        try write { tables in
            for settled in commitment.settled { try tables.settle(settled) }
            if let tip = commitment.settled.last?.tip { tables.tip = tip }
            var changes = StateChanges()
            for settled in commitment.settled {
                changes.merge(altering(settled.execution.changes)) { _, last in last }
            }
            tables.write(changes, rehashed: commitment.rehashed)
            for dropped in commitment.dropped { tables.takeBack(dropped) }
            if let vote = commitment.votes.first {
                try tables.insert(vote, isFirst: commitment.block.block.isFirst)
            }
            try tables.insertPending(commitment.block.block)
            writeJournal(commitment.journal, in: &tables)
        }
    }

    private func writeJournal(_ journal: Journal, in tables: inout Tables) {
        tables.term = journal.term
        if fault != .highestNotDurable { tables.highest = journal.highest }
    }

    /// The orderer: the durable append of a proposal decides what stands at its slot.
    func append(_ proposal: Block) throws -> Bool {
        guard fault != .proposalNotDurable else { return true }
        try write { tables in
            let hasFirst = tables.proposals.values.contains {
                $0.isFirst && $0.slot.term == proposal.slot.term
            }
            guard tables.proposals[proposal.slot] == nil, !(proposal.isFirst && hasFirst) else {
                return
            }
            tables.proposals[proposal.slot] = proposal
        }
        return tables.proposals[proposal.slot]?.bytes == proposal.bytes
    }

    func commit(_ commitment: StatusCommitment) throws {
        try write { tables in
            guard tables.statuses[commitment.journal.term] == nil || commitment.reports.isEmpty
            else { throw Tables.refuse("one status a term") }
            tables.statuses[commitment.journal.term] = commitment.reports
            guard fault != .termCheckMissing else { return }
            writeJournal(commitment.journal, in: &tables)
        }
    }

    func keep(_ decision: Decision) throws {
        try write { $0.decisions[decision.hash] = $0.decisions[decision.hash] ?? decision }
    }

    func keep(_ ballot: Ballot) throws {
        try write { $0.ballots[ballot.decision, default: [:]][ballot.voter] = ballot }
    }

    func forget(_ decisions: [Digest]) throws {
        try write { tables in
            for hash in decisions {
                tables.ballots[hash] = nil
                tables.decisions[hash] = nil
            }
        }
    }

    func accept(_ envelope: Envelope, receipt: [UInt8]) throws {
        try write { $0.accept(envelope, receipt: receipt) }
    }

    func giveUp(_ envelope: Digest) throws {
        try write { tables in
            tables.accepted.removeAll { $0.hash == envelope && $0.envelope != nil }
        }
    }

    // MARK: what a start reads

    /// The settled tip; its terms come from the openings of the settled blocks.
    func tip() -> Tip {
        let openings = tables.blocks.compactMap { block in
            block.opening.map { (height: block.height, opening: $0) }
        }
        let stored = tables.tip
        return Tip(
            slot: stored.slot, hash: stored.hash, timeMilliseconds: stored.timeMilliseconds,
            log: stored.log,
            terms: TermHistory(genesis: genesis, openings: openings, upTo: stored.height))
    }

    func journal() -> Journal {
        var journal = Journal(term: tables.term)
        let newest = tables.votes.keys.max()
        for slot in tables.votes.keys.sorted() {
            guard let row = tables.votes[slot] else { continue }
            let isOfTerm = row.isFirst && slot.term == tables.term
            guard slot.height > tables.tip.height || isOfTerm || slot == newest else { continue }
            journal.votes[slot] = row.vote.block
            journal.lastVote = slot
            if isOfTerm { journal.firstBlock = row.vote.block }
        }
        journal.highest = tables.highest
        return journal
    }

    func stateTree() -> StateTree { StateTree(buckets: tables.buckets, dirty: tables.dirty) }

    /// The statuses for the highest term that one was signed for.
    func statusReports() throws -> [WireStatusReport] {
        guard let newest = tables.statuses.keys.max() else { return [] }
        return try (tables.statuses[newest] ?? []).map { try WireStatusReport(strictly: $0) }
    }

    func decisions(above term: Term) -> [Decision] {
        tables.decisions.values.filter { $0.term > term }
            .sorted { ($0.term, $0.hash) < ($1.term, $1.hash) }
    }

    func ballots(for decision: Digest) -> [Ballot] {
        (tables.ballots[decision] ?? [:]).values.sorted { $0.voter < $1.voter }
    }

    /// Ascending by slot.
    func proposals() -> [Block] {
        tables.proposals.sorted { $0.key < $1.key }.map(\.value)
    }

    func hasFirstProposal(of term: Term) -> Bool {
        tables.proposals.values.contains { $0.isFirst && $0.slot.term == term }
    }

    func waitingEnvelopes() -> [Envelope] { tables.accepted.compactMap(\.envelope) }

    func receipt(of envelope: Digest) -> WireReceipt? {
        let row = tables.accepted.first { $0.hash == envelope }
        return row.flatMap { try? WireReceipt(strictly: $0.receipt) }
    }

    func hash(at height: Height) -> Digest? {
        guard height > .genesis else { return genesis.network.digest }
        guard height.value <= UInt64(tables.blocks.count) else { return nil }
        return tables.blocks[Int(height.value) - 1].hash
    }

    func block(at height: Height) -> Block? {
        guard height > .genesis, height.value <= UInt64(tables.blocks.count) else { return nil }
        return tables.blocks[Int(height.value) - 1]
    }

    /// What the settled chain lists for a member; nil when it is none, or has left.
    func listedMember(_ account: AccountID) throws -> WireMemberDocument? {
        let key = StateKey(.members, Array(account.text.utf8))
        guard let bytes = tables.state.value(at: key) else { return nil }
        let member = try WireMemberState(strictly: bytes)
        return member.endedHeight == 0 ? member.document : nil
    }
}

extension Tables {
    /// Takes back what no block of the chain holds: its envelopes wait again.
    fileprivate mutating func takeBack(_ dropped: ExecutedBlock) {
        for envelope in dropped.block.envelopes where envelopes[envelope.id] == nil {
            if let place = accepted.firstIndex(where: { $0.hash == envelope.id }) {
                accepted[place].envelope = envelope
            } else {
                accepted.append(Accepted(hash: envelope.id, receipt: [], envelope: envelope))
            }
        }
    }
}
