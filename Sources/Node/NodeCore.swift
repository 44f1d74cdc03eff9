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
    private let wake: AsyncStream<Void>.Continuation
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
    private var isStopping = false
    /// The ledger was built anew a moment ago: what differs then is no damage.
    private let isRebuilt: Bool
    private var lastProposal: ContinuousClock.Instant?
    /// A proposal that a crash left without a vote.
    private var unfinished: Block?
    private var contributors: [CheckedContinuation<Digest, any Error>] = []
    /// Raised when the registry of members changed.
    var membersChanged = true

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

    // MARK: what others ask

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
    private var certified: Slot {
        let known = coordinator?.newestCertificate?.slot ?? .genesis
        let highest = replica.journal.highest?.slot ?? .genesis
        return max(known, highest, replica.settled.slot)
    }

    package func status() -> WireStatusResponse {
        var status = WireStatusResponse()
        status.network = data(genesis.network.digest.bytes)
        status.account = account.text
        status.term = replica.rules.term.value
        status.headHeight = replica.head.height.value
        status.settledHeight = replica.settled.height.value
        status.headHash = data(replica.head.hash.bytes)
        status.certifiedHeight = certified.height.value
        status.acceptedEnvelopes = UInt64(coordinator?.waiting ?? 0)
        return status
    }

    /// The block after another one, whatever its stage.
    package func block(after height: Height, hash: Digest) throws -> WireBlockResponse {
        var response = WireBlockResponse()
        let next = height.next
        let known: Digest?
        if height <= replica.settled.height {
            known = try store.hash(at: height)
        } else {
            known = replica.unsettled.first { $0.tip.height == height }?.tip.hash
        }
        guard known == hash else {
            // A branch that a term change left behind may be the higher one.
            response.otherBranch = known != nil || height > replica.head.height
            return response
        }
        if next <= replica.settled.height {
            response.block = data(try store.block(at: next)?.bytes ?? [])
            // Whoever was shown another block there believes this one by its certificate alone.
            response.certificate = data(
                next < replica.settled.height
                    ? try store.parentCertificate(at: next.next)
                    : replica.certificateOfSettled?.bytes ?? [])
        } else if let block = replica.unsettled.first(where: { $0.tip.height == next }) {
            response.block = data(block.block.bytes)
            response.certificate = data(certificate(of: block.tip.hash)?.bytes ?? [])
        }
        return response
    }

    /// A block above the settled one, of whatever branch.
    package func block(_ hash: Digest) -> WireBlockResponse {
        var response = WireBlockResponse()
        response.block = data(replica.block(hash)?.bytes ?? [])
        response.certificate = data(certificate(of: hash)?.bytes ?? [])
        return response
    }

    private func certificate(of hash: Digest) -> Certificate? {
        if let highest = replica.journal.highest, highest.block == hash { return highest }
        return replica.unsettled.first { $0.block.header.previous == hash }?
            .block.parentCertificate
    }

    package func duties() throws -> [Duty] {
        try Federation.duties(
            of: account, in: SQLiteState(store), at: replica.settled.height,
            rules: replica.settled.terms.newest)
    }

    /// CURVE keys and accounts of all members, when they changed since the last call.
    ///
    /// Whoever a decision brings in that most voters are for is let in before its term opens, for
    /// it must catch up, and a new coordinator collect statuses; and stays while the term's first
    /// block is not settled.
    package func changedMembers() throws -> MemberDirectory? {
        guard membersChanged else { return nil }
        membersChanged = false
        members = try knownKeys(of: store, terms)
        var directory = MemberDirectory()
        for entry in try SQLiteState(store).entries(in: .members, prefix: [], limit: .max) {
            let member = try WireMemberState(strictly: entry.value)
            guard member.endedHeight == 0 else { continue }
            directory.add(member.document)
        }
        let opened = replica.unsettled.compactMap(\.block.opening?.decision)
        for decision in opened + supportedDecisions() {
            for member in decision.members { directory.add(member.document) }
        }
        return directory
    }

    /// Where an envelope stands, and what its transactions came to.
    package func status(of envelope: Digest) throws -> WireEnvelopeStatus {
        var status = WireEnvelopeStatus()
        if let (height, outcomes) = try store.outcomes(of: envelope) {
            status.stage = Stage.settled.rawValue
            status.height = height.value
            status.outcomes = outcomes
        } else if let (block, outcomes) = replica.outcomes(of: envelope) {
            status.stage = (block.slot <= certified ? Stage.certified : .ordered).rawValue
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

    // MARK: coordinating

    /// Accepts an envelope and promises its inclusion.
    ///
    /// The same envelope again gets the first receipt.
    package func submit(_ bytes: [UInt8]) throws -> WireReceipt {
        guard var coordinator, coordinator.isInOffice(above: replica) else {
            throw HomeError.foreign("\(account) is not the coordinator")
        }
        let sealed: SealedEnvelope
        do {
            sealed = try SealedEnvelope(strictly: bytes, network: genesis.network)
        } catch { throw AdmissionRefusal.malformed(error) }
        if let receipt = try store.receipt(of: sealed.id), isOwn(receipt) { return receipt }
        try coordinator.admit(sealed, above: &replica)
        let envelope: Envelope
        do { envelope = try Envelope(opening: sealed) } catch {
            throw AdmissionRefusal.malformed(error)
        }
        try requireBlobs(of: envelope)
        try coordinator.admit(envelope, above: &replica)
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: replica.head.height,
            block: replica.head.hash,
            promise: UInt64(replica.rules.agreement.chain.inclusionPromise),
            network: genesis.network, key: coordinator.key)
        try store.accept(envelope, receipt: receipt.wire.encoded())
        coordinator.keep(envelope)
        self.coordinator = coordinator
        wake.yield()
        return receipt.wire
    }

    /// Whether this coordinator gave a receipt, and not one before it.
    private func isOwn(_ receipt: WireReceipt) -> Bool {
        keys.all.contains {
            Receipt(receipt, coordinator: $0.verifyingKey, network: genesis.network) != nil
        }
    }

    /// Puts the coordinator's own transactions into the next block.
    ///
    /// - Returns: the id of the envelope, once its block is durable.
    package func contribute(_ transactions: [WireTransaction]) async throws -> Digest {
        guard let coordinator, coordinator.isInOffice(above: replica) else {
            throw HomeError.foreign("\(account) is not the coordinator")
        }
        let size = transactions.reduce(0) { $0 + $1.encoded().count }
        guard size <= Envelope.maximumBytes - (256 << 10) else {
            throw AdmissionRefusal.malformed(.tooLarge(bytes: size))
        }
        guard coordinator.hasRoom(for: transactions) else { throw AdmissionRefusal.poolFull }
        guard !isStopping else { throw Self.stopping }
        self.coordinator?.contribute(transactions)
        wake.yield()
        return try await withCheckedThrowingContinuation { contributors.append($0) }
    }

    /// Counts a vote for the newest proposal.
    package func count(_ bytes: [UInt8]) throws {
        let vote = try Vote(strictly: bytes)
        noteForeign(vote)
        try count(vote)
    }

    private func count(_ vote: Vote) throws {
        guard try coordinator?.count(vote) == true else { return }
        if let certificate = coordinator?.newestCertificate { replica.learn(certificate) }
        wake.yield()
    }

    /// Proposes the next block when it is due; the coordinator's organisation votes first.
    ///
    /// - Returns: the height of the new proposal; nil when nothing is due.
    package func propose() throws -> Height? {
        guard var coordinator else { return nil }
        if let block = unfinished {
            // Appended before a crash: it is repeated, never replaced.
            unfinished = nil
            leaveBehind(by: block)
            return try place(block)
        }
        if let block = try opening(by: &coordinator) {
            self.coordinator = coordinator
            return try append(block)
        }
        let interval = Duration.milliseconds(replica.rules.agreement.chain.blockIntervalMs)
        if let lastProposal, ContinuousClock.now - lastProposal < interval { return nil }
        let proposal = try coordinator.propose(above: &replica, now: clock())
        self.coordinator = coordinator
        guard let block = proposal else { return nil }
        return try append(block)
    }

    /// Lets wait again what a repeated first block leaves behind, as when it was made.
    ///
    /// Else a later envelope of the same signer is ordered first, and their sequences are used.
    private func leaveBehind(by block: Block) {
        guard block.isFirst else { return }
        coordinator?.takeBack(replica.branches(beside: block.header.previous))
    }

    private func append(_ block: Block) throws -> Height? {
        guard try store.append(block) else {
            throw HomeError.foreign("another block stands at \(block.slot)")
        }
        return try place(block)
    }

    /// Executes an appended block, votes for it, and waits for the others' votes.
    ///
    /// A clock that was set back makes this voter withhold its vote; it is tried again.
    private func place(_ block: Block) throws -> Height? {
        let votes: [Vote]
        switch try consider(block) {
        case .executed(let own), .known(let own): votes = own
        case .missingParent, .withheld:
            unfinished = block
            return nil
        }
        guard let tip = replica.tip(of: block.hash) else { return nil }
        coordinator?.appended(block, needing: tip.terms.certifying)
        lastProposal = .now
        for vote in votes { try count(vote) }
        let own = block.envelopes.last { $0.signer == account }?.id ?? block.hash
        for contributor in contributors { contributor.resume(returning: own) }
        contributors = []
        return block.height
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

/// Others hold a vote of this node that its journal does not know.
package struct ForgottenVote: Error, Hashable, CustomStringConvertible {
    package let slot: Slot

    package var description: String {
        "others hold a vote of this node at \(slot) that its own journal lacks: the home is a copy, "
            + "or was restored from a backup. Two journals under one vote key could vote twice. "
            + "Run `tally site restore`, and have the others vote for its new key"
    }
}

extension ExecutedBlock {
    var changesMembers: Bool {
        execution.changes.keys.contains { $0.table == .members }
    }
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
