package import Contracts
package import Cryptography
package import Ledger
import Wire

/// A voter's replica of the chain: what is settled, and executed blocks above it.
///
/// The rules are those of `Protocols/settlement.md`. Above the settled block stands a small tree,
/// for a term change may leave a branch behind; the head is the block with the highest slot.
package struct Replica: Sendable {
    static let clockTolerance: UInt64 = 60_000

    package let genesis: Genesis
    package let account: AccountID
    package private(set) var settled: Tip
    /// From the settled block to the head.
    package private(set) var unsettled: [ExecutedBlock] = []
    package private(set) var journal: Journal
    let voteKeys: [SigningKey]
    let settledState: any StateView
    /// Every executed block above the settled one, by hash.
    var blocks: [Digest: ExecutedBlock] = [:]
    var tree: StateTree
    private var verified = VerifiedEnvelopes()
    /// The newest outcome, so that a coordinator executes its own block once.
    private var newest: (parent: Digest, envelopes: [Digest], outcome: Outcome)?

    package init(
        genesis: Genesis, account: AccountID, voteKeys: [SigningKey], journal: Journal,
        settled: Tip, state: any StateView, tree: StateTree
    ) {
        self.genesis = genesis
        self.account = account
        self.voteKeys = voteKeys
        self.journal = journal
        self.settled = settled
        settledState = state
        self.tree = tree
    }

    package var network: NetworkID { genesis.network }
    package var head: Tip { unsettled.last?.tip ?? settled }
    /// The rules of the head's term.
    package var rules: TermRules { head.terms.newest }

    /// Contract state after the head.
    package var headState: LayeredState { state(after: unsettled) }

    /// Contract state after a known block; nil for another one.
    package func state(after hash: Digest) -> LayeredState? { path(to: hash).map(state(after:)) }

    private func state(after path: [ExecutedBlock]) -> LayeredState {
        LayeredState(base: settledState, layers: path.map(\.execution.changes))
    }

    /// The settled block or an executed one above it.
    package func tip(of hash: Digest) -> Tip? {
        hash == settled.hash ? settled : blocks[hash]?.tip
    }

    package func block(_ hash: Digest) -> Block? { blocks[hash]?.block }

    /// A block of this slot above the settled one.
    package func block(at slot: Slot) -> Block? {
        blocks.values.first { $0.tip.slot == slot }?.block
    }

    /// Executed blocks from the settled one to a block, which is the last; nil when it is unknown.
    package func path(to hash: Digest) -> [ExecutedBlock]? {
        var path: [ExecutedBlock] = []
        var next = hash
        while next != settled.hash {
            guard let block = blocks[next] else { return nil }
            path.append(block)
            next = block.block.header.previous
        }
        return path.reversed()
    }

    /// Blocks of other branches than the one that ends with a block, ascending by slot.
    package func branches(beside hash: Digest) -> [ExecutedBlock] {
        let own = Set((path(to: hash) ?? []).map(\.tip.hash))
        return blocks.values.filter { !own.contains($0.tip.hash) }
            .sorted { ($0.tip.slot, $0.tip.hash) < ($1.tip.slot, $1.tip.hash) }
    }

    /// The certificate of the settled block, which a child carries.
    package var certificateOfSettled: Certificate? {
        if let highest = journal.highest, highest.block == settled.hash { return highest }
        return unsettled.first?.block.parentCertificate
    }

    /// What a transaction may know in the block after the head.
    package var nextContext: BlockContext {
        BlockContext(
            network: network, terms: head.terms, height: head.height.next, previous: head.hash)
    }

    /// Whether the signature is good; each is checked once.
    package mutating func verifies(_ envelope: Envelope, _ key: VerifyingKey) -> Bool {
        verified.verifies(envelope, key, network)
    }

    package mutating func verifies(_ envelope: SealedEnvelope, _ key: VerifyingKey) -> Bool {
        verified.verifies(envelope, key, network)
    }

    // MARK: considering blocks

    /// Considers a block: executes it and, unless something forbids it, votes.
    ///
    /// The caller keeps the commitment durably, then calls ``advance(by:)`` and hands out the votes.
    ///
    /// - Parameters:
    ///   - block: whose encoding was checked.
    ///   - certificate: of the block itself, when a quorum is known to have voted for it; then it
    ///     is taken even where this voter gave its vote to another block.
    ///   - now: milliseconds since 1970.
    /// - Returns: what to do.
    /// - Throws: a state that cannot be read.
    package mutating func consider(
        _ block: Block, certificate: Certificate? = nil, now: UInt64
    ) throws(StateFault) -> Verdict {
        guard block.height > settled.height else {
            return block.height < settled.height || block.hash == settled.hash
                ? .known : .refused(.otherBlockAtSlot(block.slot))
        }
        if blocks[block.hash] != nil { return .known }
        guard let parent = tip(of: block.header.previous) else { return .missingParent }
        do throws(BlockRefusal) {
            let rules = try termRules(of: CarriedHeader(block), above: parent, network: network)
            var terms = parent.terms
            terms.advance(to: rules, isFirst: block.isFirst)
            if let certificate {
                guard certificate.block == block.hash, certificate.slot == block.slot else {
                    throw .badBlock(.certificateOfAnother)
                }
                do throws(VoteFault) {
                    try certificate.verify(by: terms.certifying, network: network)
                } catch { throw .badCertificate(error) }
            } else {
                if self.block(at: block.slot) != nil { throw .otherBlockAtSlot(block.slot) }
                if block.header.timeMilliseconds > now &+ Self.clockTolerance { return .withheld }
            }
            let executed = try execute(block, above: parent, terms: terms)
            return .commit(try commitment(to: executed, certificate: certificate))
        } catch {
            if case .execution(.state(let fault)) = error { throw fault }
            return .refused(error)
        }
    }

    /// Takes back a block that was kept before a restart.
    ///
    /// - Returns: whether its parent is known; a block left behind by a term change has none.
    @discardableResult
    package mutating func restore(_ block: Block) throws(BlockRefusal) -> Bool {
        guard block.height > settled.height, let parent = tip(of: block.header.previous) else {
            return false
        }
        let rules = try termRules(of: CarriedHeader(block), above: parent, network: network)
        var terms = parent.terms
        terms.advance(to: rules, isFirst: block.isFirst)
        add(try execute(block, above: parent, terms: terms))
        return true
    }

    // MARK: execution

    private mutating func execute(
        _ block: Block, above parent: Tip, terms: TermHistory
    ) throws(BlockRefusal) -> ExecutedBlock {
        let outcome: Outcome
        do {
            outcome = try compute(
                block.envelopes, above: parent, terms: terms, opening: block.opening)
        } catch { throw .execution(error) }
        let header = block.header
        guard header.logSize == outcome.log.size, header.logRoot == outcome.log.root else {
            throw .wrongRoot("log root")
        }
        guard header.effectsRoot == outcome.execution.effectsRoot else {
            throw .wrongRoot("effects root")
        }
        guard header.stateRoot == outcome.stateRoot else { throw .wrongRoot("state root") }
        return ExecutedBlock(
            block: block, execution: outcome.execution,
            tip: Tip(
                slot: block.slot, hash: block.hash, timeMilliseconds: header.timeMilliseconds,
                log: outcome.log, terms: terms))
    }

    /// What envelopes come to above a block.
    package struct Outcome: Sendable {
        package let execution: Execution
        package let log: MerkleFrontier
        package let stateRoot: Digest
    }

    /// Executes envelopes above a known block.
    ///
    /// - Parameters:
    ///   - envelopes: of the block to be.
    ///   - parent: the settled block or one above it.
    ///   - terms: up to the block to be.
    ///   - opening: of its term, when it is the first of a term above 1.
    /// - Returns: what the header must state.
    /// - Throws: why such a block cannot be.
    package mutating func compute(
        _ envelopes: [Envelope], above parent: Tip, terms: TermHistory, opening: Opening?
    ) throws(ExecutionFault) -> Outcome {
        let ids = envelopes.map { Digest.sha256($0.id.bytes + $0.signature.bytes) }
        if let newest, newest.envelopes == ids, newest.parent == parent.hash, opening == nil {
            return newest.outcome
        }
        let path = path(to: parent.hash) ?? []
        var verified = verified
        let network = network
        let execution = try Contracts.execute(
            envelopes,
            in: BlockContext(
                network: network, terms: terms, height: parent.height.next,
                previous: parent.hash, opening: opening),
            on: state(after: path)
        ) { envelope, key in
            verified.verifies(envelope, key, network)
        }
        self.verified = verified
        var log = parent.log
        for envelope in envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        var root = Digest.zero
        if execution.isCheckpoint {
            var tree = tree
            let layers = path.map(\.execution.changes) + [execution.changes]
            for layer in layers { tree.mark(layer) }
            do {
                _ = try tree.rehash(LayeredState(base: settledState, layers: layers))
            } catch { throw .state(error) }
            root = tree.root
        }
        let outcome = Outcome(execution: execution, log: log, stateRoot: root)
        newest = opening == nil ? (parent.hash, ids, outcome) : nil
        return outcome
    }

    /// Re-executes a block that is shown as invalid, above one that this replica knows.
    ///
    /// - Parameter suspect: the block.
    /// - Returns: the rule that it breaks.
    /// - Throws: why it convicts nobody.
    package func brokenRule(
        by suspect: SuspectBlock
    ) throws(ReexecutionFault) -> BlockRefusal {
        let previous = suspect.signed.header.previous
        guard let parent = tip(of: previous), let path = path(to: previous) else {
            throw .otherParent
        }
        var tree = tree
        for block in path { tree.mark(block.execution.changes) }
        return try Federation.brokenRule(
            by: suspect, above: parent, state: state(after: path), tree: tree, network: network)
    }

    /// Moves on once a commitment is durable.
    package mutating func advance(by commitment: Commitment) {
        journal = commitment.journal
        if let newest = commitment.settled.last {
            for block in commitment.settled + commitment.dropped {
                blocks[block.tip.hash] = nil
                verified.forget(block.block.envelopes)
            }
            settled = newest.tip
            tree = commitment.tree
        }
        add(commitment.block)
    }

    private mutating func add(_ block: ExecutedBlock) {
        blocks[block.tip.hash] = block
        newest = nil
        let highest = blocks.values.max { ($0.tip.slot, $0.tip.hash) < ($1.tip.slot, $1.tip.hash) }
        unsettled = highest.flatMap { path(to: $0.tip.hash) } ?? []
    }

    /// Takes note of a certificate of a known block, such as the one that completes a proposal.
    package mutating func learn(_ certificate: Certificate) {
        guard blocks[certificate.block]?.tip.slot == certificate.slot else { return }
        journal.raise(to: certificate)
    }

    package mutating func advance(by commitment: StatusCommitment) {
        journal = commitment.journal
    }
}
