import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// A refusal that the service tells in words.
struct Refused: Error, CustomStringConvertible {
    let code: String
    let description: String

    init(_ code: String, _ description: String = "") {
        self.code = code
        self.description = description.isEmpty ? code : description
    }
}

/// A running node: the machines and what the service keeps beside them in memory.
///
/// It drives them as the service does: a durable write, then the machine moves on, then its
/// signatures leave. All that it holds is lost when the process ends.
class Core {
    unowned let node: Node
    unowned let world: World
    let genesis: Genesis
    let account: AccountID
    let keys: KeyRing
    let disk: Disk

    var replica: Replica
    var coordinator: Coordinator?
    var desk = TermDesk()
    /// A proposal that a crash left without a vote.
    var unfinished: Block?
    var lastProposal: Moment?
    var isLooking = false
    var membersChanged = true
    /// Whom this node follows.
    var followed: AccountID
    /// Everybody with keys that it lets in.
    var directory: Set<AccountID> = []

    var requests: [UInt64: Pending] = [:]
    var sync: Sync?
    var isWoken = false
    /// Whom to ask besides the one that is followed, while nothing new comes from there.
    var aside: AccountID?
    private var asides = 0
    private var lastHead = Digest.zero
    var handIn: [Envelope] = []
    var isHandingIn = false
    var reported: [Duty: Moment] = [:]
    var rounds = RoundDesk()
    var submitter: Submitter
    var knownHead: (tip: Digest, head: Head)?

    init(node: Node, keys: KeyRing) throws {
        self.node = node
        world = node.world
        disk = node.disk
        genesis = disk.genesis
        account = node.account
        self.keys = keys
        submitter = Submitter(account: account, key: keys.signing)
        var replica = Replica(
            genesis: genesis, account: account, voteKeys: keys.voteKeys, journal: disk.journal(),
            settled: disk.tip(), state: disk.state, tree: disk.stateTree())
        for block in disk.tables.pending {
            do {
                try replica.restore(block)
            } catch {
                throw Violation("restart", "\(node.account) cannot take back a block: \(error)")
            }
        }
        self.replica = replica
        followed = replica.rules.coordinator
        for decision in disk.decisions(above: replica.rules.term) {
            desk.add(decision)
            for ballot in disk.ballots(for: decision.hash) { desk.add(ballot) }
        }
        for report in try disk.statusReports() { desk.add(report) }
        guard account.role == .coordinator else { return }
        let office = [keys.signing, keys.next].compactMap { $0 }
            .first { $0.verifyingKey == replica.rules.coordinatorKey }
        var coordinator = Coordinator(
            genesis: genesis, account: account, key: office ?? keys.signing)
        for envelope in disk.waitingEnvelopes() where !holds(envelope.id) {
            coordinator.keep(envelope)
        }
        if let head = replica.unsettled.last, head.block.header.proposer == account {
            coordinator.resume(head.block, needing: head.tip.terms.certifying)
            for vote in replica.votes(for: head.tip.hash) { _ = try coordinator.count(vote) }
        }
        self.coordinator = coordinator
        unfinished = disk.proposals().first {
            self.replica.block($0.hash) == nil && self.replica.tip(of: $0.header.previous) != nil
        }
    }

    var now: UInt64 { node.clock.milliseconds(at: world.now) }
    var terms: TermHistory { replica.head.terms }
    var isFollowedByItself: Bool { followed == account }

    func holds(_ envelope: Digest) -> Bool {
        replica.unsettled.contains { $0.block.envelopes.contains { $0.id == envelope } }
    }

    // MARK: considering blocks

    enum Considered {
        case executed([Vote])
        case known([Vote])
        case missingParent
        case withheld
    }

    func consider(_ bytes: [UInt8], certificate: [UInt8], from peer: AccountID) throws
        -> Considered
    {
        let block: Block
        do {
            block = try Block(strictly: bytes, network: genesis.network)
        } catch {
            let refusal = BlockRefusal.badBlock(error)
            try world.auditor.refused(refusal, bytes: bytes, by: node)
            throw refusal
        }
        let known = certificate.isEmpty ? nil : try? Certificate(strictly: certificate)
        do {
            return try consider(block, certificate: known)
        } catch let refusal as BlockRefusal {
            try world.auditor.refused(refusal, bytes: bytes, by: node)
            throw refusal
        }
    }

    func consider(_ block: Block, certificate: Certificate? = nil) throws -> Considered {
        let verdict: Verdict
        do {
            verdict = try replica.consider(block, certificate: certificate, now: now)
        } catch { throw Violation("state", "\(account): \(error)") }
        switch verdict {
        case .commit(let commitment):
            let commitment = world.planted(in: commitment, replica: replica)
            let before = [replica.settled.terms.newest, replica.rules]
            try disk.commit(commitment, altering: world.altered)
            for vote in commitment.votes { try world.auditor.cast(vote, by: node) }
            replica.advance(by: commitment)
            coordinator?.takeBack(commitment.dropped)
            if commitment.settled.contains(where: \.changesMembers) { membersChanged = true }
            if [replica.settled.terms.newest, replica.rules] != before { membersChanged = true }
            world.trace { "\(account) executes \(block.slot) \(block.hash.short)" }
            return .executed(commitment.votes)
        case .known: return .known(replica.votes(for: block.hash))
        case .missingParent: return .missingParent
        case .withheld: return .withheld
        case .refused(let refusal):
            world.trace { "\(account) refuses \(block.slot) \(block.hash.short): \(refusal)" }
            throw refusal
        }
    }

    // MARK: coordinating

    /// Accepts an envelope and promises its inclusion.
    func submit(_ bytes: [UInt8]) throws -> WireReceipt {
        guard let coordinator, coordinator.isInOffice(above: replica) else {
            throw Refused("refused", "\(account) is not the coordinator")
        }
        let envelope: Envelope
        do {
            envelope = try Envelope(strictly: bytes, network: genesis.network)
        } catch { throw Refused("malformed", "\(error)") }
        if let receipt = disk.receipt(of: envelope.id), isOwn(receipt) { return receipt }
        for blob in blobsNamed(by: envelope) where !disk.tables.blobs.contains(blob) {
            throw Refused("blobMissing", blob.hex)
        }
        do throws(AdmissionRefusal) {
            try coordinator.admit(envelope, above: &replica)
        } catch { throw Refused(error.code, "\(error)") }
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: replica.head.height, block: replica.head.hash,
            promise: UInt64(replica.rules.agreement.chain.inclusionPromise),
            network: genesis.network, key: coordinator.key)
        if world.fault != .acceptedNotDurable {
            try disk.accept(envelope, receipt: receipt.wire.encoded())
        }
        self.coordinator?.keep(envelope)
        world.auditor.accepted(envelope, receipt, by: node, term: replica.rules.term)
        wakeUp()
        return receipt.wire
    }

    private func isOwn(_ receipt: WireReceipt) -> Bool {
        [keys.signing, keys.next].compactMap { $0 }.contains {
            Receipt(receipt, coordinator: $0.verifyingKey, network: genesis.network) != nil
        }
    }

    /// Puts the coordinator's own transactions into the next block.
    func contribute(_ transactions: [WireTransaction]) throws {
        guard let coordinator, coordinator.isInOffice(above: replica) else {
            throw Refused("refused", "\(account) is not the coordinator")
        }
        self.coordinator?.contribute(transactions)
        wakeUp()
    }

    func count(_ bytes: [UInt8]) throws {
        try count(try Vote(strictly: bytes))
    }

    func count(_ vote: Vote) throws {
        guard try coordinator?.count(vote) == true else { return }
        if let certificate = coordinator?.newestCertificate { replica.learn(certificate) }
        wakeUp()
    }

    /// Has the coordinator look whether a block is due.
    func wakeUp() {
        guard coordinator != nil, !isLooking else { return }
        isLooking = true
        world.schedule(.look(self), after: 1)
    }

    /// Proposes the next block when it is due; the coordinator's organisation votes first.
    func propose() throws {
        guard var coordinator else { return }
        if let block = unfinished {
            unfinished = nil
            if block.isFirst {
                self.coordinator?.takeBack(replica.branches(beside: block.header.previous))
            }
            return try place(block)
        }
        if let block = try opening(by: &coordinator) {
            self.coordinator = coordinator
            return try append(block)
        }
        let interval = UInt64(replica.rules.agreement.chain.blockIntervalMs)
        if let lastProposal, world.now < lastProposal + interval { return }
        let proposal: Block?
        do {
            proposal = try coordinator.propose(above: &replica, now: now)
        } catch { throw Violation("state", "\(account) cannot propose: \(error)") }
        self.coordinator = coordinator
        guard let block = proposal else { return }
        try append(made(block))
    }

    /// The block that is appended; a liar makes another one of it.
    func made(_ block: Block) -> Block { block }

    private func append(_ block: Block) throws {
        guard try disk.append(block) else {
            throw Violation("orderer", "\(account) finds another block at \(block.slot)")
        }
        try place(block)
    }

    /// Executes an appended block, votes for it, and waits for the others' votes.
    func place(_ block: Block) throws {
        try world.auditor.proposed(block, by: node)
        let votes: [Vote]
        do {
            switch try consider(block) {
            case .executed(let own), .known(let own): votes = own
            case .missingParent, .withheld:
                unfinished = block
                return
            }
        } catch let refusal as BlockRefusal {
            try world.auditor.refusedOwn(block, refusal, by: node)
            return
        }
        guard let tip = replica.tip(of: block.hash) else { return }
        coordinator?.appended(block, needing: world.planted(in: tip.terms.certifying))
        lastProposal = world.now
        for vote in votes { try world.auditor.voted(vote, by: node) }
        for vote in votes { try count(vote) }
        world.hint(from: node)
        didPlace(block)
    }

    /// For a liar.
    func didPlace(_ block: Block) {}

    // MARK: what a liar does otherwise

    /// Answers a request; nil when the answer comes later, or never.
    func answer(_ request: Request, from peer: AccountID, id: UInt64) throws -> Response? {
        try honestAnswer(request, from: peer, id: id)
    }

    /// The votes that leave for a block that was considered.
    func votesToSend(_ votes: [Vote], for block: Digest?) -> [Vote] { votes }

    func signStatuses() throws { try signHonestStatuses() }

    func newExchange() throws -> WireExchange { try honestExchange() }

    /// The manifest of an answer to a round that was opened at a height.
    func manifestToSend(_ manifest: WireManifest, openedAt height: UInt64) -> WireManifest {
        manifest
    }

    /// What a voter says that a round came to.
    func modelToVouchFor(_ model: Digest) -> Digest { model }

    /// The heartbeat: tells the others, and hands in again what waits.
    func beat() throws {
        try refreshMembers()
        let exchange = try newExchange()
        for peer in others { _ = ask(peer, .exchange(exchange), .exchange(with: peer)) }
        followed = chosenCoordinator()
        askAside()
        try handInAgain()
    }

    /// While nothing new comes, the next pass asks one other node in turn.
    private func askAside() {
        defer { lastHead = replica.head.hash }
        let rest = others.filter { $0 != followed }
        guard lastHead == replica.head.hash, !rest.isEmpty else { return aside = nil }
        asides += 1
        aside = rest[asides % rest.count]
    }
}

extension ExecutedBlock {
    var changesMembers: Bool {
        execution.changes.keys.contains { $0.table == .members }
    }
}

/// The blobs that an envelope's transactions name.
func blobsNamed(by envelope: Envelope) -> [Digest] {
    envelope.transactions.flatMap { transaction -> [Digest] in
        switch transaction.body {
        case .updateSubmit(let body):
            [Digest(body.update), Digest(body.manifest)].compactMap { $0 }
        case .referenceOffer(let body): [Digest(body.records)].compactMap { $0 }
        default: []
        }
    }
}
