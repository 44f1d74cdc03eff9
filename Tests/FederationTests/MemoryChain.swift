import Contracts
import Cryptography
import Federation
import Ledger
import Synchronization
import TestSupport
import Wire

/// A settled state in memory that its owner moves on.
final class MemoryState: StateView {
    private let state = Mutex(DictionaryState())

    func apply(_ changes: StateChanges) { state.withLock { $0.apply(changes) } }

    func value(at key: StateKey) -> [UInt8]? { state.withLock { $0.value(at: key) } }

    func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        state.withLock { $0.entries(in: table, prefix: prefix, limit: limit) }
    }

    func entries(inBucket bucket: UInt16) -> [StateEntry] {
        state.withLock { $0.entries(inBucket: bucket) }
    }

    var all: [StateEntry] { state.withLock { $0.entries } }
}

/// A voter whose durable part is memory: what a commitment keeps, and what a restart reads.
struct MemoryVoter {
    let account: AccountID
    let state = MemoryState()
    var replica: Replica
    var votes: [Slot: [Vote]] = [:]
    /// Envelopes of blocks that a term change dropped.
    var returned: [Envelope] = []
    /// Hashes of settled blocks.
    private(set) var chain: Set<Digest> = []
    private(set) var voteKeys: [SigningKey]
    private var journal = Journal()
    private var tree = StateTree()
    private var pending: [Block] = []

    init(_ account: AccountID, _ genesis: Genesis, voteKeys: [SigningKey]? = nil) throws {
        self.account = account
        self.voteKeys = try voteKeys ?? [voteKey(of: account)]
        let founding = try genesisState(genesis)
        state.apply(founding)
        tree.mark(founding)
        replica = Replica(
            genesis: genesis, account: account, voteKeys: self.voteKeys, journal: journal,
            settled: Tip(genesis: genesis), state: state, tree: tree)
    }

    /// Considers a block and keeps what a vote stands on.
    mutating func consider(
        _ block: Block, certificate: Certificate? = nil, now: UInt64
    ) throws -> Verdict {
        let verdict = try replica.consider(block, certificate: certificate, now: now)
        guard case .commit(let commitment) = verdict else { return verdict }
        for settled in commitment.settled {
            state.apply(settled.execution.changes)
            chain.insert(settled.tip.hash)
        }
        let gone = commitment.settled + commitment.dropped
        pending.removeAll { block in gone.contains { $0.tip.hash == block.hash } }
        pending.append(commitment.block.block)
        returned += commitment.dropped.flatMap(\.block.envelopes)
        tree = commitment.tree
        journal = commitment.journal
        if !commitment.votes.isEmpty { votes[block.slot] = commitment.votes }
        replica.advance(by: commitment)
        return verdict
    }

    /// Signs a status and keeps it.
    mutating func status(for decision: Decision) throws -> StatusCommitment {
        let commitment = try replica.status(for: decision)
        journal = commitment.journal
        replica.advance(by: commitment)
        return commitment
    }

    /// Votes under one more key, as in the terms that change it.
    mutating func take(_ key: SigningKey) throws {
        voteKeys.append(key)
        try restart()
    }

    /// Starts again from what is durable.
    mutating func restart() throws {
        var fresh = Replica(
            genesis: replica.genesis, account: account, voteKeys: voteKeys, journal: journal,
            settled: replica.settled, state: state, tree: tree)
        for block in pending { try fresh.restore(block) }
        replica = fresh
    }
}

/// A coordinator and the voters of the test consortium, stepped by hand.
struct MemoryChain {
    let genesis: Genesis
    var coordinator: Coordinator
    var voters: [MemoryVoter]
    var now: UInt64
    private var sequences: [AccountID: UInt64] = [:]
    /// Every block that was delivered.
    private var history: [Block] = []

    init() throws {
        genesis = try Genesis(strictly: testGenesis())
        coordinator = Coordinator(
            genesis: genesis, account: Consortium.coordinator,
            key: try signingKey(of: Consortium.coordinator))
        let founders = genesis
        voters = try Consortium.voters.map { try MemoryVoter($0, founders) }
        now = genesis.timeMilliseconds
    }

    var replica: Replica { voters[0].replica }

    mutating func envelope(
        _ transactions: [WireTransaction], by account: AccountID, sequence: UInt64? = nil,
        notAfter: UInt64 = .max, key: SigningKey? = nil
    ) throws -> Envelope {
        let next = sequence ?? sequences[account, default: 0] + 1
        sequences[account] = next
        return try Envelope(
            strictly: signedEnvelope(
                transactions, signer: account, sequence: next, notAfter: Height(notAfter),
                network: genesis.network, key: key ?? signingKey(of: account)),
            network: genesis.network)
    }

    mutating func submit(_ envelope: Envelope) throws {
        try coordinator.admit(envelope, above: &voters[0].replica)
        coordinator.keep(envelope)
    }

    /// Time goes by and the coordinator proposes, if a block is due.
    mutating func propose() throws -> Block? {
        now += UInt64(genesis.agreement.chain.blockIntervalMs)
        return try coordinator.propose(above: &voters[0].replica, now: now)
    }

    /// A proposal reaches some voters; their votes reach the coordinator.
    mutating func deliver(_ block: Block, to reached: [Int]? = nil) throws {
        history.append(block)
        var votes: [Vote] = []
        for index in reached ?? Array(voters.indices) {
            guard case .commit(let commitment) = try voters[index].consider(block, now: now) else {
                continue
            }
            votes += commitment.votes
            if coordinator.proposal?.hash != block.hash {
                coordinator.appended(block, needing: commitment.block.tip.terms.certifying)
            }
        }
        for vote in votes { _ = try coordinator.count(vote) }
    }

    /// Every block of a voter's chain, the settled ones first.
    func blocks(of voter: MemoryVoter) -> [Block] {
        let heights = voter.replica.settled.height.value
        return history.filter { $0.height.value <= heights && voter.chain.contains($0.hash) }
            + voter.replica.unsettled.map(\.block)
    }

    /// Proposes and delivers until nothing is due.
    ///
    /// - Returns: the number of blocks.
    @discardableResult
    mutating func run(atMost limit: Int = 100) throws -> Int {
        for count in 0..<limit {
            guard let block = try propose() else { return count }
            try deliver(block)
        }
        return limit
    }
}
