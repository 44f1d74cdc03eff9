import Contracts
import Cryptography
import Ledger
import Wire

/// What a node's ledger file holds, table by table, as plain values.
struct Tables: Sendable {
    struct VoteRow: Sendable {
        let vote: Vote
        let isFirst: Bool
    }

    struct Accepted: Sendable {
        let hash: Digest
        var receipt: [UInt8]
        var envelope: Envelope?
    }

    /// Settled, from height 1.
    var blocks: [Block] = []
    var envelopes: [Digest: Height] = [:]
    var state = StateTables()
    var buckets: [UInt16: Digest] = [:]
    var dirty: Set<UInt16> = []
    var tip: Tip
    var votes: [Slot: VoteRow] = [:]
    var term = Term.genesis
    var highest: Certificate?
    var statuses: [Term: [[UInt8]]] = [:]
    var decisions: [Digest: Decision] = [:]
    var ballots: [Digest: [AccountID: Ballot]] = [:]
    /// Ascending by slot, then by hash.
    var pending: [Block] = []
    var proposals: [Slot: Block] = [:]
    /// In order of acceptance.
    var accepted: [Accepted] = []
    /// The blob folder: each file is written for itself.
    var blobs: Set<Digest> = []
    /// The patients' file, items ascending.
    var records: [HeldRecord] = []
}

/// A node's durable part: every write is either whole or lost.
final class Disk {
    let genesis: Genesis
    let fault: Fault?
    private(set) var tables: Tables
    /// Read by the replica; the same values as in the tables.
    let state = SettledState()
    /// Raised by every write.
    private(set) var version = 0
    /// A crash that waits for a write.
    private var planned: (kind: CrashKind, writes: Int)?
    /// What a crash takes back, when a fault makes the newest write no write at all.
    private var unsynced: Tables?
    /// Changes of a settlement that a fault leaves out when the process ends at once.
    private var torn: (before: StateTables, version: Int)?

    init(genesis: Genesis, fault: Fault? = nil) throws {
        self.genesis = genesis
        self.fault = fault
        tables = Tables(tip: Tip(genesis: genesis))
        let founding = try genesisState(genesis)
        tables.state.apply(founding)
        for key in founding.keys { tables.dirty.insert(key.bucket) }
        state.replace(by: tables.state)
    }

    /// Another disk with the same content: what a liar copies.
    init(copy tables: Tables, genesis: Genesis) {
        self.genesis = genesis
        fault = nil
        self.tables = tables
        state.replace(by: tables.state)
    }

    /// Has the process end at a write that is still to come.
    func plan(_ kind: CrashKind, after writes: Int) { planned = (kind, writes) }

    func cancelCrash() { planned = nil }

    var awaitsCrash: Bool { planned != nil }

    /// One transaction of the ledger file: whole, or lost with the process.
    func write(_ body: (inout Tables) throws -> Void) throws {
        var kind: CrashKind?
        if let plan = planned {
            if plan.writes == 0 {
                kind = plan.kind
                planned = nil
            } else {
                planned = (plan.kind, plan.writes - 1)
            }
        }
        if kind == .before || kind == .torn { throw Crash() }
        try perform(body)
        if kind != nil { throw Crash() }
    }

    /// A failed transaction changes nothing.
    private func perform(_ body: (inout Tables) throws -> Void) throws {
        if fault == .voteNotDurable { unsynced = tables }
        let before = tables
        do {
            try body(&tables)
        } catch {
            tables = before
            throw error
        }
        version += 1
        if fault == .tornSettlement, before.tip != tables.tip { torn = (before.state, version) }
        state.replace(by: tables.state)
    }

    /// The process ended: what was not on the disk is gone.
    ///
    /// Only a fault makes this do anything.
    func settleAfterCrash() {
        planned = nil
        if let unsynced, unsynced.tip == tables.tip { forgetVote(unsynced) }
        if let torn, torn.version == version { tables.state = torn.before }
        unsynced = nil
        torn = nil
        version += 1
        state.replace(by: tables.state)
    }

    /// The newest block and the vote for it were never on the disk.
    private func forgetVote(_ before: Tables) {
        tables.votes = before.votes
        tables.pending = before.pending
        tables.term = before.term
    }

    /// Replaces everything, as a liar does that goes back in time.
    func revert(to tables: Tables) {
        self.tables = tables
        version += 1
        state.replace(by: tables.state)
    }

    /// A blob is a file of its own: no transaction of the ledger takes it back.
    func putBlob(_ digest: Digest) {
        tables.blobs.insert(digest)
        version += 1
    }
}

extension Tables {
    /// A constraint of the schema that a write broke.
    static func refuse(_ constraint: String) -> Violation {
        Violation("schema", "a write breaks the constraint \(constraint)")
    }

    mutating func insert(_ vote: Vote, isFirst: Bool) throws {
        guard votes[vote.slot] == nil else { throw Self.refuse("one vote at \(vote.slot)") }
        let first = votes.contains { $0.key.term == vote.slot.term && $0.value.isFirst }
        guard !isFirst || !first else {
            throw Self.refuse("one first block voted for in term \(vote.slot.term)")
        }
        votes[vote.slot] = VoteRow(vote: vote, isFirst: isFirst)
    }

    mutating func insertPending(_ block: Block) throws {
        guard !pending.contains(where: { $0.hash == block.hash }) else {
            throw Self.refuse("block \(block.slot) is pending once")
        }
        pending.append(block)
        pending.sort { ($0.slot, $0.hash) < ($1.slot, $1.hash) }
    }

    mutating func accept(_ envelope: Envelope, receipt: [UInt8]) {
        let content = envelopes[envelope.id] == nil ? envelope : nil
        if let place = accepted.firstIndex(where: { $0.hash == envelope.id }) {
            accepted[place].receipt = receipt
        } else {
            accepted.append(Accepted(hash: envelope.id, receipt: receipt, envelope: content))
        }
    }

    /// Appends a settled block with its effects on the state.
    mutating func settle(_ executed: ExecutedBlock) throws {
        let block = executed.block
        guard block.height.value == UInt64(blocks.count) + 1 else {
            throw Self.refuse("block \(block.height) follows block \(blocks.count)")
        }
        blocks.append(block)
        for envelope in block.envelopes {
            guard envelopes[envelope.id] == nil else {
                throw Self.refuse("envelope \(envelope.id) is settled once")
            }
            envelopes[envelope.id] = block.height
            if let place = accepted.firstIndex(where: { $0.hash == envelope.id }) {
                accepted[place].envelope = nil
            }
        }
        pending.removeAll { $0.height <= block.height }
        proposals = proposals.filter { $0.key.height > block.height }
    }

    mutating func write(_ changes: StateChanges, rehashed: [UInt16: Digest]) {
        state.apply(changes)
        for key in changes.keys where rehashed[key.bucket] == nil { dirty.insert(key.bucket) }
        for (bucket, digest) in rehashed {
            buckets[bucket] = digest
            dirty.remove(bucket)
        }
    }
}
