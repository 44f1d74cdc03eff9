package import Contracts
package import Cryptography
package import Ledger
import Wire

/// Why a voter refuses a proposed block.
package enum BlockRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case otherBlockAtSlot(Slot)
    case notAChild(of: Height)
    case unknownTerm(Term)
    case foreignProposer(AccountID)
    case badBlock(BlockFault)
    case wrongVoters
    case wrongOpening
    case badParentCertificate(VoteFault)
    case tooEarly
    case execution(ExecutionFault)
    case wrongRoot(String)

    package var description: String {
        switch self {
        case .otherBlockAtSlot(let slot): "another block is known at \(slot)"
        case .notAChild(let height): "the block does not extend the one known at height \(height)"
        case .unknownTerm(let term): "no opening of term \(term) is known"
        case .foreignProposer(let account): "\(account) is not the coordinator of the term"
        case .badBlock(let fault): "\(fault)"
        case .wrongVoters: "the header names another voter set"
        case .wrongOpening: "the header names an opening where none belongs, or the wrong one"
        case .badParentCertificate(let fault): "the parent's certificate: \(fault)"
        case .tooEarly: "the block's time is less than a block interval after its parent's"
        case .execution(let fault): "\(fault)"
        case .wrongRoot(let name): "re-execution gives another \(name)"
        }
    }
}

/// What a voter answers to a proposed block.
package enum Verdict: Sendable {
    case vote(Commitment)
    /// Voted for before; the stored vote is the answer.
    case known
    /// Blocks in between are missing.
    case ahead(of: Height)
    /// The block's time is more than a minute ahead of this clock: no vote, and no evidence.
    case withheld
    case refused(BlockRefusal)
}

/// A voter's replica of the chain: what is settled, and executed blocks above it.
///
/// The rules are those of `Protocols/settlement.md`. A block is settled once its child of the same
/// term is certified, which a voter sees in the grandchild.
package struct Replica: Sendable {
    static let clockTolerance: UInt64 = 60_000

    package let genesis: Genesis
    package let account: AccountID
    package private(set) var settled: Tip
    package private(set) var unsettled: [ExecutedBlock] = []
    private let voteKey: SigningKey
    private let settledState: any StateView
    private var tree: StateTree
    private var verified = VerifiedEnvelopes()
    /// The newest outcome above the head, so that a coordinator executes its own block once.
    private var newest: (envelopes: [Digest], outcome: Outcome)?

    package init(
        genesis: Genesis, account: AccountID, voteKey: SigningKey, settled: Tip,
        state: any StateView, tree: StateTree
    ) {
        self.genesis = genesis
        self.account = account
        self.voteKey = voteKey
        self.settled = settled
        settledState = state
        self.tree = tree
    }

    package var network: NetworkID { genesis.network }
    package var head: Tip { unsettled.last?.tip ?? settled }
    package var term: Term { .first }

    /// Contract state after the head.
    package var headState: LayeredState {
        LayeredState(base: settledState, layers: unsettled.map(\.execution.changes))
    }

    package func context(at height: Height) -> BlockContext {
        BlockContext(
            network: network, agreement: genesis.agreement, voters: genesis.voters,
            coordinator: genesis.coordinator.account, height: height)
    }

    /// Whether the signature is good; each is checked once.
    package mutating func verifies(_ envelope: Envelope, _ key: VerifyingKey) -> Bool {
        verified.verifies(envelope, key, network)
    }

    /// Considers a proposed block and, unless something forbids it, votes.
    ///
    /// The caller keeps the commitment durably before it hands out the vote.
    package mutating func consider(_ block: Block, now: UInt64) throws(StateFault) -> Verdict {
        if let known = knownHash(at: block.height) {
            return known == block.hash ? .known : .refused(.otherBlockAtSlot(block.slot))
        }
        guard block.height > settled.height else { return .known }
        guard block.height == head.height.next else { return .ahead(of: head.height) }
        if block.header.timeMilliseconds > now &+ Self.clockTolerance { return .withheld }
        do throws(BlockRefusal) {
            try checkHeader(block)
            let executed = try execute(block)
            return try .vote(vote(for: executed))
        } catch {
            if case .execution(.state(let fault)) = error { throw fault }
            return .refused(error)
        }
    }

    /// Takes back a block that was voted for before a restart.
    package mutating func restore(_ block: Block) throws(BlockRefusal) {
        guard block.height == head.height.next else { throw .notAChild(of: head.height) }
        try checkHeader(block)
        unsettled.append(try execute(block))
        newest = nil
    }

    private func knownHash(at height: Height) -> Digest? {
        height == settled.height
            ? settled.hash : unsettled.first { $0.tip.height == height }?.tip.hash
    }

    private func checkHeader(_ block: Block) throws(BlockRefusal) {
        let header = block.header
        guard header.previous == head.hash else { throw .notAChild(of: head.height) }
        guard header.slot.term == term else { throw .unknownTerm(header.slot.term) }
        guard header.proposer == genesis.coordinator.account else {
            throw .foreignProposer(header.proposer)
        }
        do throws(BlockFault) {
            try block.verifySignature(by: genesis.coordinator.signingKey, network: network)
        } catch { throw .badBlock(error) }
        guard header.voters == genesis.voters.hash(network: network) else { throw .wrongVoters }
        let opening = head.slot.term < header.slot.term ? network.digest : nil
        guard header.opening == opening else { throw .wrongOpening }
        if let certificate = block.parentCertificate {
            guard certificate.slot == head.slot else {
                throw .badBlock(.certificateOfAnother)
            }
            do throws(VoteFault) {
                try certificate.verify(by: genesis.voters, network: network)
            } catch { throw .badParentCertificate(error) }
        }
        let interval = UInt64(genesis.agreement.chain.blockIntervalMs)
        guard header.timeMilliseconds >= head.timeMilliseconds &+ interval else {
            throw .tooEarly
        }
    }

    private mutating func execute(_ block: Block) throws(BlockRefusal) -> ExecutedBlock {
        let outcome: Outcome
        do {
            outcome = try compute(block.envelopes, at: block.height)
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
                log: outcome.log))
    }

    /// What envelopes come to above the head.
    package struct Outcome: Sendable {
        package let height: Height
        package let execution: Execution
        package let log: MerkleFrontier
        package let stateRoot: Digest
    }

    package mutating func compute(
        _ envelopes: [Envelope], at height: Height
    ) throws(ExecutionFault) -> Outcome {
        let ids = envelopes.map { Digest.sha256($0.id.bytes + $0.signature.bytes) }
        if let newest, newest.envelopes == ids, newest.outcome.height == height {
            return newest.outcome
        }
        var verified = verified
        let network = network
        let execution = try Contracts.execute(
            envelopes, in: context(at: height), on: headState
        ) { envelope, key in
            verified.verifies(envelope, key, network)
        }
        self.verified = verified
        var log = head.log
        for envelope in envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        var root = Digest.zero
        if execution.isCheckpoint {
            var tree = tree
            let layers = unsettled.map(\.execution.changes) + [execution.changes]
            for layer in layers { tree.mark(layer) }
            do {
                _ = try tree.rehash(LayeredState(base: settledState, layers: layers))
            } catch { throw .state(error) }
            root = tree.root
        }
        let outcome = Outcome(
            height: height, execution: execution, log: log, stateRoot: root)
        newest = (ids, outcome)
        return outcome
    }

    private mutating func vote(
        for executed: ExecutedBlock
    ) throws(BlockRefusal) -> Commitment {
        let vote: Vote
        do {
            vote = try Vote(
                voter: account, slot: executed.tip.slot, block: executed.tip.hash,
                network: network, key: voteKey)
        } catch { throw .execution(.state(StateFault("signing a vote: \(error)"))) }
        // The block carries its parent's certificate, so the grandparent is settled.
        let settledNow = Array(unsettled.dropLast())
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
            block: executed, vote: vote, highest: executed.block.parentCertificate,
            settled: settledNow, rehashed: rehashed, tree: tree)
    }

    /// Moves on once a commitment is durable.
    package mutating func advance(by commitment: Commitment) {
        if let newest = commitment.settled.last {
            settled = newest.tip
            unsettled.removeFirst(commitment.settled.count)
            for block in commitment.settled { verified.forget(block.block.envelopes) }
            tree = commitment.tree
        }
        unsettled.append(commitment.block)
        newest = nil
    }
}

/// Envelopes whose signature was checked, so that none is checked twice.
struct VerifiedEnvelopes: Sendable {
    private var keys: [Digest: VerifyingKey] = [:]

    mutating func verifies(
        _ envelope: Envelope, _ key: VerifyingKey, _ network: NetworkID
    ) -> Bool {
        // The id covers what is signed, not the signature: the same header may come with another.
        let place = Digest.sha256(envelope.id.bytes + envelope.signature.bytes)
        if keys[place] == key { return true }
        guard envelope.isSigned(by: key, network: network) else { return false }
        keys[place] = key
        return true
    }

    mutating func forget(_ envelopes: [Envelope]) {
        for envelope in envelopes {
            keys[Digest.sha256(envelope.id.bytes + envelope.signature.bytes)] = nil
        }
    }
}
