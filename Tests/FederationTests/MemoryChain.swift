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
    var votes: [Slot: Vote] = [:]
    private var tree = StateTree()
    private var pending: [Block] = []

    init(_ account: AccountID, _ genesis: Genesis) throws {
        self.account = account
        let founding = try genesisState(genesis)
        state.apply(founding)
        tree.mark(founding)
        replica = Replica(
            genesis: genesis, account: account, voteKey: try voteKey(of: account),
            settled: Tip(genesis: genesis), state: state, tree: tree)
    }

    /// Considers a block and keeps what a vote stands on.
    mutating func consider(_ block: Block, now: UInt64) throws -> Verdict {
        let verdict = try replica.consider(block, now: now)
        guard case .vote(let commitment) = verdict else { return verdict }
        for settled in commitment.settled { state.apply(settled.execution.changes) }
        pending.removeAll { block in commitment.settled.contains { $0.tip.hash == block.hash } }
        pending.append(commitment.block.block)
        tree = commitment.tree
        votes[commitment.vote.slot] = commitment.vote
        replica.advance(by: commitment)
        return verdict
    }

    /// Starts again from what is durable.
    mutating func restart() throws {
        var fresh = Replica(
            genesis: replica.genesis, account: account, voteKey: try voteKey(of: account),
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

    init() throws {
        genesis = try Genesis(strictly: testGenesis())
        coordinator = Coordinator(genesis: genesis, key: try signingKey(of: Consortium.coordinator))
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
        coordinator.appended(block)
        for index in reached ?? Array(voters.indices) {
            guard case .vote(let commitment) = try voters[index].consider(block, now: now) else {
                continue
            }
            _ = try coordinator.count(commitment.vote)
        }
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
