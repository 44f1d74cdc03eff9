package import Contracts
import Cryptography
import Federation
import Foundation
package import Ledger
import Replay
package import Storage
import Wire

/// A node's replica with its ledger file, and at the coordinator the machine that proposes.
///
/// One actor makes every decision, so that no wait splits one; it runs on a queue of its own, for
/// it waits for the disk. An error of the ledger file is final: whoever gets it stops the node.
package actor NodeCore {
    package let genesis: Genesis
    package let account: AccountID
    /// Whether the ledger began with a snapshot whose history is not complete.
    package nonisolated let isPartial: Bool
    /// Something settled since it was last looked at.
    package nonisolated let settlements: AsyncStream<Height>
    /// The coordinator may have something to propose.
    package nonisolated let wakeUps: AsyncStream<Void>

    private let executor = QueueExecutor(label: "tally.ledger")
    let store: LedgerStore
    let blobs: BlobStore
    let keys: KeyRing
    let clock: @Sendable () -> UInt64
    private let settled: AsyncStream<Height>.Continuation
    let wake: AsyncStream<Void>.Continuation
    var replica: Replica
    var coordinator: Coordinator?
    /// What members told each other of terms to come.
    var desk = TermDesk()
    /// What members signed, and who lied.
    var evidence: EvidenceDesk
    /// Whose keys the chain knows, those of the past included.
    var members: KnownKeys
    /// Envelopes whose receipts were held against the chain once.
    var judgedPromises: Set<Digest> = []
    /// Offences that others showed first.
    var shownOffences: Set<Digest> = []
    /// Offences whose evidence was asked for in the last minute, and when that minute began.
    var ignoredOffences: Set<Digest> = []
    var ignoredSince: UInt64 = 0
    var isStopping = false
    /// The ledger was built anew a moment ago: what differs then is no damage.
    private let isRebuilt: Bool
    var lastProposal: ContinuousClock.Instant?
    /// A proposal that a crash left without a vote.
    var unfinished: Block?
    var contributors: [CheckedContinuation<Digest, any Error>] = []
    /// Raised when the registry of members changed.
    var membersChanged = true
    /// Above it a voter that has left is let in no more; nil while there is none.
    var leaversEnd: Height?

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Opens a node's replica where it stopped; the clock gives milliseconds since 1970 UTC.
    ///
    /// A node whose vote key no voter set lists follows without voting: a new site before the
    /// decision that brings it in, or one that was restored from a backup.
    package init(
        store: LedgerStore, blobs: BlobStore, keys: KeyRing, isRebuilt: Bool = false,
        clock: @escaping @Sendable () -> UInt64
    ) throws {
        let genesis = store.genesis
        guard keys.account.role?.votes == true else {
            throw HomeError.foreign(
                "\(keys.account) is no voter; only sites and coordinators run a node")
        }
        self.store = store
        self.blobs = blobs
        self.keys = keys
        self.isRebuilt = isRebuilt
        self.clock = clock
        self.genesis = genesis
        account = keys.account
        isPartial = try store.snapshot() != nil
        (settlements, settled) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        var replica = Replica(
            genesis: genesis, account: keys.account,
            // Not before the history shows which votes its key has given.
            voteKeys: isPartial ? [] : keys.voteKeys,
            journal: try store.journal(), settled: try store.tip(), state: SQLiteState(store),
            tree: try store.stateTree())
        for block in try store.pendingBlocks() { try replica.restore(block) }
        self.replica = replica
        evidence = EvidenceDesk(network: genesis.network)
        members = try knownKeys(of: store, replica.head.terms)
        for decision in try store.decisions(above: replica.rules.term) {
            desk.add(decision)
            for ballot in try store.ballots(for: decision.hash) { desk.add(ballot) }
        }
        for report in try store.statusReports() { desk.add(report) }
        for executed in replica.unsettled {
            guard let parent = replica.tip(of: executed.block.header.previous) else { continue }
            evidence.note(executed, above: parent)
        }
        // What a copied home's keys proposed since is not in it: they are in no office any more.
        guard keys.account.role == .coordinator, let first = keys.proposing.first else { return }
        let office = keys.proposing.first { $0.verifyingKey == replica.rules.coordinatorKey }
        var coordinator = Coordinator(
            genesis: genesis, account: keys.account, key: office ?? first)
        for envelope in try store.waitingEnvelopes() where !replica.holds(envelope.id) {
            coordinator.keep(envelope)
        }
        if let head = replica.unsettled.last, head.block.header.proposer == account {
            coordinator.resume(head.block, needing: head.tip.terms.certifying)
            for vote in replica.votes(for: head.tip.hash) { _ = try coordinator.count(vote) }
        }
        self.coordinator = coordinator
        unfinished = try store.proposals().first {
            replica.block($0.hash) == nil && replica.tip(of: $0.header.previous) != nil
        }
    }

    package var head: Tip { replica.head }
    package var settledTip: Tip { replica.settled }
    var headState: LayeredState { replica.headState }

    /// Keeps the parameters that every run of the agreement starts from.
    func keepInitialModel() throws -> Digest {
        try blobs.put(try initialModel(of: replica.rules.agreement.training))
    }

    /// Has the coordinator look whether a block is due.
    nonisolated func wakeUp() { wake.yield() }

    /// The highest certified block of the head's chain, as far as this node knows.
    var certified: Slot {
        let known = coordinator?.newestCertificate?.slot ?? .genesis
        let highest = replica.journal.highest?.slot ?? .genesis
        return max(known, highest, replica.settled.slot)
    }

    // MARK: voting

    /// What came of a block that another node sent.
    package enum Considered: Sendable {
        /// This node's votes, durable before they are returned; none when it follows only.
        case executed([Vote])
        case known([Vote])
        case missingParent
        case withheld
    }

    /// Considers a block.
    ///
    /// - Parameters:
    ///   - bytes: of the block.
    ///   - certificate: bytes of its certificate; empty when the sender knows none.
    /// - Returns: what came of it.
    /// - Throws: ``BlockRefusal`` for a block that breaks a rule.
    package func consider(_ bytes: [UInt8], certificate: [UInt8] = []) throws -> Considered {
        let block: Block
        do {
            block = try Block(strictly: bytes, network: genesis.network)
        } catch {
            try noteRefused(bytes, .badBlock(error))
            throw BlockRefusal.badBlock(error)
        }
        let known = certificate.isEmpty ? nil : try? Certificate(strictly: certificate)
        try requireOwnVotes(in: known)
        do {
            return try consider(block, certificate: known)
        } catch let refusal as BlockRefusal {
            if case .wrongRoot(let root) = refusal, known != nil, !isRebuilt {
                // A quorum executed it and says otherwise: it is this node's state that changed.
                throw DamagedLedger(
                    place: "a quorum certified block \(block.height) with another \(root)")
            }
            try noteRefused(bytes, refusal)
            throw refusal
        }
    }

    /// Stops a voter whose ledger file is older than the last use of its vote key.
    ///
    /// A vote is in the journal before it leaves, so one that others hold and the journal lacks was
    /// given by a copy of this home, or before it was restored.
    func requireOwnVotes(in certificate: Certificate?) throws {
        guard let certificate, certificate.slot > replica.journal.lastVote ?? .genesis else {
            return
        }
        for vote in certificate.votes where vote.voter == account {
            guard
                !keys.voteKeys.contains(where: {
                    vote.isSigned(by: $0.verifyingKey, network: genesis.network)
                })
            else { throw ForgottenVote(slot: vote.slot) }
        }
    }

    /// The votes for the head, for a coordinator that may have lost them.
    package func votesForHead() -> [Vote] { replica.votes(for: replica.head.hash) }

    func consider(_ block: Block, certificate: Certificate? = nil) throws -> Considered {
        let parent = replica.tip(of: block.header.previous)
        switch try replica.consider(block, certificate: certificate, now: clock()) {
        case .commit(let commitment):
            let before = [replica.settled.terms.newest, replica.rules]
            try store.commit(commitment)
            if let parent { evidence.note(commitment.block, above: parent) }
            replica.advance(by: commitment)
            coordinator?.takeBack(commitment.dropped)
            if commitment.settled.contains(where: \.changesMembers) { membersChanged = true }
            // Whom the opening of a term brings in is listed before its first block is settled.
            if [replica.settled.terms.newest, replica.rules] != before { membersChanged = true }
            if let newest = commitment.settled.last { settled.yield(newest.tip.height) }
            return .executed(commitment.votes)
        case .known: return .known(replica.votes(for: block.hash))
        case .missingParent: return .missingParent
        case .withheld: return .withheld
        case .refused(let refusal): throw refusal
        }
    }

    /// Closes the ledger file; nothing is decided after it.
    package func close() throws {
        releaseContributors()
        settled.finish()
        wake.finish()
        try store.close()
    }
}

/// Others hold a vote of this node that its journal does not know.
package struct ForgottenVote: Error, Hashable, CustomStringConvertible {
    package let slot: Slot

    package var description: String {
        "others hold a vote of this node at \(slot) that its own journal lacks: the home is a copy, "
            + "or was restored from a backup. Two journals under one vote key could vote twice. "
            + "Run `tally site restore`, and have the others vote for its new keys"
    }
}

extension ExecutedBlock {
    var changesMembers: Bool {
        execution.changes.keys.contains { $0.table == .members }
    }
}
