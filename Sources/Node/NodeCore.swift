package import Contracts
package import Cryptography
package import Federation
import Foundation
package import Ledger
import Replay
package import Storage
package import Wire

/// A node's replica with its ledger file, and at the coordinator the machine that proposes.
///
/// One actor makes every decision, so that no wait splits one; it runs on a queue of its own, for
/// it waits for the disk. An error of the ledger file is final: whoever gets it stops the node.
package actor NodeCore {
    package let genesis: Genesis
    package let account: AccountID
    /// Something settled since it was last looked at.
    package nonisolated let settlements: AsyncStream<Height>
    /// The coordinator may have something to propose.
    package nonisolated let wakeUps: AsyncStream<Void>

    private let executor = QueueExecutor(label: "tally.ledger")
    private let store: LedgerStore
    private let blobs: BlobStore
    private let keys: KeyRing
    private let clock: @Sendable () -> UInt64
    private let settled: AsyncStream<Height>.Continuation
    private let wake: AsyncStream<Void>.Continuation
    private var replica: Replica
    private var coordinator: Coordinator?
    private var isStopping = false
    private var lastProposal: ContinuousClock.Instant?
    /// A proposal that a crash left without a vote.
    private var unfinished: Block?
    private var contributors: [CheckedContinuation<Digest, any Error>] = []
    /// Raised when the registry of members changed.
    private var membersChanged = true

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Opens a node's replica where it stopped; the clock gives milliseconds since 1970 UTC.
    package init(
        store: LedgerStore, blobs: BlobStore, keys: KeyRing, clock: @escaping @Sendable () -> UInt64
    ) throws {
        let genesis = store.genesis
        guard let voteKey = keys.vote, genesis.voters.keys[keys.account] == voteKey.verifyingKey
        else {
            throw HomeError.foreign(
                "\(keys.account) is no voter of this network; only sites and the coordinator run "
                    + "a node")
        }
        self.store = store
        self.blobs = blobs
        self.keys = keys
        self.clock = clock
        self.genesis = genesis
        account = keys.account
        (settlements, settled) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        var replica = Replica(
            genesis: genesis, account: keys.account, voteKey: voteKey, settled: try store.tip(),
            state: SQLiteState(store), tree: try store.stateTree())
        for block in try store.pendingBlocks() { try replica.restore(block) }
        self.replica = replica
        guard keys.account == genesis.coordinator.account else { return }
        var coordinator = Coordinator(genesis: genesis, key: keys.signing)
        for envelope in try store.waitingEnvelopes() where !replica.holds(envelope.id) {
            coordinator.keep(envelope)
        }
        if let head = replica.unsettled.last?.block {
            coordinator.resume(head)
            if let vote = try store.vote(at: head.slot) { _ = try coordinator.count(vote) }
        }
        self.coordinator = coordinator
        unfinished = try store.proposals().first { $0.height == replica.head.height.next }
    }

    // MARK: what others ask

    package var head: Tip { replica.head }
    package var settledTip: Tip { replica.settled }
    var headState: LayeredState { replica.headState }

    /// Keeps the parameters that every run of the agreement starts from.
    func keepInitialModel() throws -> Digest {
        try blobs.put(try initialModel(of: genesis.agreement.training))
    }

    /// Has the coordinator look whether a block is due.
    nonisolated func wakeUp() { wake.yield() }

    package func status() -> WireStatusResponse {
        var status = WireStatusResponse()
        status.network = data(genesis.network.digest.bytes)
        status.account = account.text
        status.term = replica.term.value
        status.headHeight = replica.head.height.value
        status.settledHeight = replica.settled.height.value
        status.headHash = data(replica.head.hash.bytes)
        return status
    }

    /// The block after a height, whatever its stage; nil when there is none yet.
    package func block(after height: Height) throws -> [UInt8]? {
        let next = height.next
        if next <= replica.settled.height { return try store.block(at: next)?.bytes }
        return replica.unsettled.first { $0.block.height == next }?.block.bytes
    }

    package func duties() throws -> [Duty] {
        try Federation.duties(
            of: account, in: SQLiteState(store), at: replica.settled.height, genesis: genesis)
    }

    /// CURVE keys and accounts of all members, when they changed since the last call.
    package func changedMembers() throws -> [[UInt8]: String]? {
        guard membersChanged else { return nil }
        membersChanged = false
        var allowed: [[UInt8]: String] = [:]
        for entry in try SQLiteState(store).entries(in: .members, prefix: [], limit: .max) {
            let member = try WireMemberState(strictly: entry.value)
            allowed[[UInt8](member.document.transportKey)] = member.document.account
        }
        return allowed
    }

    /// Where an envelope stands, and what its transactions came to.
    package func status(of envelope: Digest) throws -> WireEnvelopeStatus {
        var status = WireEnvelopeStatus()
        if let (height, outcomes) = try store.outcomes(of: envelope) {
            status.stage = Stage.settled.rawValue
            status.height = height.value
            status.outcomes = outcomes
        } else if let (block, outcomes) = replica.outcomes(of: envelope) {
            let isCertified =
                block.height < replica.head.height || coordinator?.newestCertificate != nil
            status.stage = (isCertified ? Stage.certified : .ordered).rawValue
            status.height = block.height.value
            status.outcomes = outcomes
        } else if coordinator?.holds(envelope) == true {
            status.stage = Stage.accepted.rawValue
        } else {
            status.stage = Stage.unknown.rawValue
        }
        return status
    }

    package func nextSequence(of signer: AccountID) -> WireNextSequence {
        var next = WireNextSequence()
        next.settledHeight = replica.settled.height.value
        next.sequence = coordinator?.nextSequence(of: signer, above: replica) ?? 0
        return next
    }

    // MARK: voting

    /// Considers a proposed block.
    ///
    /// - Returns: this node's vote, durable before it is returned; nil when it withholds one.
    /// - Throws: ``BlockRefusal`` for a block that breaks a rule.
    package func consider(_ bytes: [UInt8]) throws -> Vote? {
        let block: Block
        do {
            block = try Block(strictly: bytes, network: genesis.network)
        } catch { throw BlockRefusal.badBlock(error) }
        return try consider(block)
    }

    /// The stored vote for the head, for a coordinator that may have lost it.
    package func voteForHead() throws -> Vote? {
        replica.unsettled.isEmpty ? nil : try store.vote(at: replica.head.slot)
    }

    private func consider(_ block: Block) throws -> Vote? {
        switch try replica.consider(block, now: clock()) {
        case .vote(let commitment):
            try store.commit(commitment)
            replica.advance(by: commitment)
            if commitment.settled.contains(where: \.changesMembers) { membersChanged = true }
            if let newest = commitment.settled.last { settled.yield(newest.tip.height) }
            return commitment.vote
        case .known:
            let vote = try store.vote(at: block.slot)
            guard vote?.block == block.hash else {
                throw BlockRefusal.otherBlockAtSlot(block.slot)
            }
            return vote
        case .ahead, .withheld: return nil
        case .refused(let refusal): throw refusal
        }
    }

    // MARK: coordinating

    /// Accepts an envelope and promises its inclusion.
    ///
    /// The same envelope again gets the first receipt.
    package func submit(_ bytes: [UInt8]) throws -> WireReceipt {
        guard var coordinator else {
            throw HomeError.foreign("\(account) is not the coordinator")
        }
        let envelope: Envelope
        do {
            envelope = try Envelope(strictly: bytes, network: genesis.network)
        } catch { throw AdmissionRefusal.malformed(error) }
        if let receipt = try store.receipt(of: envelope.id) { return receipt }
        try requireBlobs(of: envelope)
        try coordinator.admit(envelope, above: &replica)
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: replica.head.height,
            promise: UInt64(genesis.agreement.chain.inclusionPromise), network: genesis.network,
            key: keys.signing)
        try store.accept(envelope, receipt: receipt)
        coordinator.keep(envelope)
        self.coordinator = coordinator
        wake.yield()
        return receipt.wire
    }

    /// Refuses what names a blob that is not here: no voter could check such an update, and the
    /// round would never close.
    private func requireBlobs(of envelope: Envelope) throws {
        for transaction in envelope.transactions {
            let named: [Digest?] =
                switch transaction.body {
                case .updateSubmit(let body): [Digest(body.update), Digest(body.manifest)]
                case .referenceOffer(let body): [Digest(body.records)]
                default: []
                }
            for digest in named.compactMap({ $0 }) where !blobs.contains(digest) {
                throw BlobError.missing(digest)
            }
        }
    }

    /// Puts the coordinator's own transactions into the next block.
    ///
    /// - Returns: the id of the envelope, once its block is durable.
    package func contribute(_ transactions: [WireTransaction]) async throws -> Digest {
        guard coordinator != nil else {
            throw HomeError.foreign("\(account) is not the coordinator")
        }
        let size = transactions.reduce(0) { $0 + $1.encoded().count }
        guard size <= Envelope.maximumBytes - (256 << 10) else {
            throw AdmissionRefusal.malformed(.tooLarge(bytes: size))
        }
        guard !isStopping else { throw Self.stopping }
        coordinator?.contribute(transactions)
        wake.yield()
        return try await withCheckedThrowingContinuation { contributors.append($0) }
    }

    /// Counts a vote for the newest proposal.
    package func count(_ bytes: [UInt8]) throws {
        let vote = try Vote(strictly: bytes)
        if try coordinator?.count(vote) == true { wake.yield() }
    }

    /// Proposes the next block when it is due; the coordinator's organisation votes first.
    ///
    /// - Returns: the height of the new proposal; nil when nothing is due.
    package func propose() throws -> Height? {
        guard var coordinator else { return nil }
        if let block = unfinished {
            // Appended before a crash: it is repeated, never replaced.
            unfinished = nil
            coordinator.resume(block)
            self.coordinator = coordinator
            try voteForOwn(block)
            return block.height
        }
        let interval = Duration.milliseconds(genesis.agreement.chain.blockIntervalMs)
        if let lastProposal, ContinuousClock.now - lastProposal < interval { return nil }
        let proposal = try coordinator.propose(above: &replica, now: clock())
        self.coordinator = coordinator
        guard let block = proposal else { return nil }
        guard try store.append(block) else {
            throw HomeError.foreign("another block stands at height \(block.height)")
        }
        self.coordinator?.appended(block)
        lastProposal = .now
        try voteForOwn(block)
        let own = block.envelopes.last { $0.signer == account }?.id ?? block.hash
        for contributor in contributors { contributor.resume(returning: own) }
        contributors = []
        return block.height
    }

    private func voteForOwn(_ block: Block) throws {
        if let vote = try consider(block), try coordinator?.count(vote) == true { wake.yield() }
    }

    /// Tells everybody who waits for the next block that there will be none.
    func releaseContributors() {
        isStopping = true
        for contributor in contributors { contributor.resume(throwing: Self.stopping) }
        contributors = []
    }

    private static let stopping = HomeError.foreign(
        "the coordinator is stopping; run the command again when it is up")

    /// Closes the ledger file; nothing is decided after it.
    package func close() throws {
        releaseContributors()
        settled.finish()
        wake.finish()
        try store.close()
    }
}

extension ExecutedBlock {
    var changesMembers: Bool { execution.changes.keys.contains { $0.table == .members } }
}

extension Replica {
    func holds(_ envelope: Digest) -> Bool { outcomes(of: envelope) != nil }

    /// The unsettled block that holds an envelope, and its transactions' outcomes.
    func outcomes(of envelope: Digest) -> (block: Block, outcomes: [UInt32])? {
        for executed in unsettled
        where executed.block.envelopes.contains(where: { $0.id == envelope }) {
            let own = executed.execution.effects.filter { [UInt8]($0.envelope) == envelope.bytes }
            return (executed.block, own.map(\.outcome))
        }
        return nil
    }
}
