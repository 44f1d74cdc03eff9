import Contracts
import Cryptography
import Ledger
import Replay
import Wire

/// The settled chain as the auditor re-executes it from genesis, with books of its own.
struct ChainModel {
    private struct Link {
        let block: Block
        let state: StateTables
        let log: MerkleFrontier
    }

    private unowned let world: World
    private let genesis: Genesis
    private var links: [Link] = []
    private let founding: StateTables
    private var replay = ReplayedState()
    private var tree = StateTree()
    private var terms: TermHistory
    private var log = MerkleFrontier()
    private(set) var envelopes: [Digest: UInt64] = [:]
    private(set) var sequences: [AccountID: UInt64] = [:]
    private var balances: [String: Int128] = [:]
    private(set) var rounds: RoundBooks

    init(world: World) {
        self.world = world
        rounds = RoundBooks(world: world)
        genesis = world.genesis
        terms = TermHistory(genesis: world.genesis)
        var tables = StateTables()
        if let founding = try? genesisState(world.genesis) {
            tables.apply(founding)
            replay.apply(founding)
        }
        founding = tables
        balances[ConsortiumAccount.reserve.text] = Int128(
            world.genesis.agreement.rewards.supplyMicrotokens)
    }

    var height: UInt64 { UInt64(links.count) }

    private func link(_ height: UInt64) -> Link? {
        height > 0 && height <= self.height ? links[Int(height) - 1] : nil
    }

    func hash(at height: UInt64) -> Digest? {
        height == 0 ? genesis.network.digest : link(height)?.block.hash
    }

    func state(at height: UInt64) -> StateTables? {
        height == 0 ? founding : link(height)?.state
    }

    func log(at height: UInt64) -> MerkleFrontier? {
        height == 0 ? MerkleFrontier() : link(height)?.log
    }

    func block(at height: UInt64) -> Block? { link(height)?.block }

    func header(at height: UInt64) -> BlockHeader? { block(at: height)?.header }

    private func require(
        _ holds: Bool, _ invariant: String, _ detail: @autoclosure () -> String
    ) throws {
        guard !holds else { return }
        throw Violation(invariant, detail())
    }

    /// Takes the next settled block: links, order, execution, roots, money.
    mutating func append(_ block: Block) throws {
        let header = block.header
        try require(
            header.slot.height.value == height + 1 && header.previous == hash(at: height), "link",
            "settled block \(block.slot) does not follow the one below it")
        let last = links.last?.block.header
        try require(
            header.slot.term >= last?.slot.term ?? .first, "term-order",
            "settled block \(block.slot) is of an earlier term than the one below it")
        try require(
            header.timeMilliseconds > last?.timeMilliseconds ?? 0, "time",
            "settled block \(block.slot) is not later than the one below it")
        for envelope in block.envelopes {
            try require(
                envelopes[envelope.id] == nil, "applied-twice",
                "envelope \(envelope.id.short) is in two settled blocks")
            try require(
                envelope.header.sequence > sequences[envelope.signer] ?? 0, "applied-twice",
                "sequence \(envelope.header.sequence) of \(envelope.signer) is used twice")
            envelopes[envelope.id] = header.slot.height.value
            sequences[envelope.signer] = envelope.header.sequence
        }
        let execution = try execute(block)
        try checkMoney(execution, at: block)
        var state = links.last?.state ?? founding
        state.apply(world.altered(execution.changes))
        try rounds.take(block, effects: execution.effects, state: state)
        links.append(Link(block: block, state: state, log: log))
    }

    private mutating func execute(_ block: Block) throws -> Execution {
        let header = block.header
        let rules =
            block.opening.map { terms.rules(opening: $0, firstHeight: block.height) }
            ?? terms.newest
        terms.advance(to: rules, isFirst: block.isFirst)
        try require(
            header.proposer == rules.coordinator, "proposer",
            "\(header.proposer) proposed \(block.slot), not \(rules.coordinator)")
        let execution: Execution
        do {
            execution = try Contracts.execute(
                block.envelopes,
                in: BlockContext(
                    network: genesis.network, terms: terms, height: block.height,
                    previous: header.previous, opening: block.opening), on: replay
            ) { envelope, key in envelope.isSigned(by: key, network: self.genesis.network) }
        } catch {
            throw Violation("execution", "settled block \(block.slot) cannot be executed: \(error)")
        }
        for envelope in block.envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        replay.apply(world.altered(execution.changes))
        try require(
            header.logSize == log.size && header.logRoot == log.root, "log-root",
            "settled block \(block.slot) states another log root")
        try require(
            header.effectsRoot == execution.effectsRoot, "effects-root",
            "settled block \(block.slot) states other effects")
        guard execution.isCheckpoint else { return execution }
        do { try replay.rehash(&tree) } catch { throw Violation("state", "\(error)") }
        try require(
            world.fault != nil || header.stateRoot == tree.root, "checkpoint",
            "settled block \(block.slot) states another state root")
        return execution
    }

    /// Debits equal credits, nobody is below zero, and the books agree with the state.
    private mutating func checkMoney(_ execution: Execution, at block: Block) throws {
        for effect in execution.effects {
            try require(
                effect.outcome == 0 || effect.postings.isEmpty, "money",
                "a rejected transaction posts in \(block.slot)")
            for posting in effect.postings {
                balances[posting.debit, default: 0] -= Int128(posting.microtokens)
                balances[posting.credit, default: 0] += Int128(posting.microtokens)
                try require(
                    balances[posting.debit, default: 0] >= 0, "money",
                    "\(posting.debit) is below zero in \(block.slot)")
            }
        }
        let findings = brokenInvariants(of: replay)
        try require(findings.isEmpty, "money", "at \(block.slot): \(findings)")
        for entry in replay.entries(in: .balances) {
            let account = String(validating: entry.key.key, as: UTF8.self) ?? ""
            let balance = try WireBalanceState(strictly: entry.value)
            let held = balance.pending.reduce(Int128(balance.available)) {
                $0 + Int128($1.microtokens)
            }
            try require(
                held == balances[account, default: 0], "money",
                "\(account) holds \(held), postings say \(balances[account, default: 0])")
        }
    }

    /// Walks the whole settled chain once more, with the audit that `tally verify` runs.
    func auditWhole() throws {
        guard world.fault == nil else { return }
        var walk = TermWalk(genesis: genesis)
        var audit = ChainAudit(genesis: genesis)
        for link in links {
            let height = link.block.height.value
            let stored = try StoredBlock(
                place: "block \(height)", height: height, whole: link.block.bytes)
            let block = prepared(stored, at: walk.take(stored), network: genesis.network) { _ in
                nil
            }
            _ = audit.advance(block)
        }
        try require(
            audit.findings.isEmpty && audit.tip?.hash ?? hash(at: 0) == hash(at: height), "verify",
            "the settled chain does not verify: \(audit.findings)")
    }
}
