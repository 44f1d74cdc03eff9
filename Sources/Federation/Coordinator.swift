package import Contracts
package import Cryptography
package import Ledger
package import Wire

/// The coordinator as a machine: it admits envelopes, proposes blocks and collects votes.
///
/// It holds no replica of its own: the organisation's ``Replica`` votes like any other's, and the
/// proposals are built above that replica's head.
package struct Coordinator: Sendable {
    /// Bytes of waiting envelopes in all, and envelopes of one signer: a flood fills its own queue.
    static let poolBytes = 256 << 20
    static let poolPerSigner = 64
    static let blockBytes = Block.maximumBytes - (256 << 10)
    static let dutiesPerBlock = 1_000

    package let account: AccountID
    private let genesis: Genesis
    /// Signs blocks and receipts.
    package private(set) var key: SigningKey
    /// Accepted and not yet in a block, in order of arrival.
    private var pool: [Envelope] = []
    private var poolIDs: Set<Digest> = []
    /// The coordinator's own transactions; they are signed when a block is built.
    private var own: [WireTransaction] = []
    private var proposed: Proposal?

    /// A block that was proposed, and the votes for it.
    private struct Proposal {
        let block: Block
        /// From each of these sets a quorum must vote for it.
        let sets: [VoterSet]
        var entries: Set<Certificate.Entry> = []
        var counted: [Set<AccountID>]
        var certificate: Certificate?
    }

    package init(genesis: Genesis, account: AccountID, key: SigningKey) {
        self.genesis = genesis
        self.account = account
        self.key = key
    }

    /// The newest block that it proposed.
    package var proposal: Block? { proposed?.block }
    /// The certificate of the newest proposal, once a quorum voted.
    package var newestCertificate: Certificate? { proposed?.certificate }

    /// Whether an envelope waits in the pool.
    package func holds(_ envelope: Digest) -> Bool { poolIDs.contains(envelope) }

    /// Looks at the signature before anything is read of the transactions.
    package func admit(
        _ sealed: SealedEnvelope, above replica: inout Replica
    ) throws(AdmissionRefusal) {
        var changes = ChangeSet(above: replica.headState)
        let member = changes.activeMember(sealed.signer)
        if let fault = changes.fault { throw .inadmissible(.state(fault)) }
        guard let key = member.flatMap({ VerifyingKey($0.document.signingKey) }) else {
            throw .inadmissible(.unknownSigner(sealed.signer))
        }
        guard replica.verifies(sealed, key) else {
            throw .inadmissible(.badSignature(sealed.signer, envelope: sealed.id))
        }
    }

    /// Checks an envelope for the pool; the caller keeps it durably and then calls ``keep(_:)``.
    package func admit(
        _ envelope: Envelope, above replica: inout Replica
    ) throws(AdmissionRefusal) {
        let waitingBytes = pool.reduce(envelope.bytes.count) { $0 + $1.bytes.count }
        let ownWaiting = pool.count { $0.signer == envelope.signer }
        let promise = replica.rules.agreement.chain.inclusionPromise
        guard waitingBytes <= Self.waitingLimit(promise: promise),
            ownWaiting < Self.poolPerSigner
        else { throw .poolFull }
        let promised = replica.head.height.advanced(by: UInt64(promise))
        guard envelope.header.notAfterHeight >= promised.value else {
            throw .tooShortLived(notAfter: envelope.header.notAfterHeight, needed: promised)
        }
        var changes = ChangeSet(above: replica.headState)
        let context = replica.nextContext
        var verifier = replica
        do {
            try Contracts.admit(envelope, in: context, to: &changes) { envelope, key in
                verifier.verifies(envelope, key)
            }
        } catch { throw .inadmissible(error) }
        replica = verifier
        if let fault = changes.fault { throw .inadmissible(.state(fault)) }
        let waiting = pool.last { $0.signer == envelope.signer }?.header.sequence ?? 0
        guard envelope.header.sequence > waiting else {
            throw .inadmissible(
                .sequenceUsed(
                    envelope.signer, sequence: envelope.header.sequence,
                    next: Contracts.nextSequence(after: waiting)))
        }
    }

    /// Bytes that may wait so that the last of them still stands in a block as promised.
    ///
    /// A block takes the oldest until the next one does not fit, so never less than this by more
    /// than one envelope.
    private static func waitingLimit(promise: UInt32) -> Int {
        let (bytes, overflow) = (blockBytes - 2 * Envelope.maximumBytes)
            .multipliedReportingOverflow(by: Int(promise))
        return overflow ? poolBytes : min(poolBytes, bytes)
    }

    /// Lets an envelope wait for a block.
    ///
    /// One that a term change took out of a block stands before its signer's later ones: ordered
    /// after them its sequence would be used.
    package mutating func keep(_ envelope: Envelope) {
        guard poolIDs.insert(envelope.id).inserted else { return }
        let later = pool.firstIndex {
            $0.signer == envelope.signer && $0.header.sequence > envelope.header.sequence
        }
        pool.insert(envelope, at: later ?? pool.endIndex)
    }

    /// Lets what dropped blocks held wait again, as it does on the disk; its own is made anew.
    package mutating func takeBack(_ dropped: [ExecutedBlock]) {
        for envelope in dropped.flatMap(\.block.envelopes) where envelope.signer != account {
            keep(envelope)
        }
    }

    /// Envelopes that were accepted and stand in no block yet.
    package var waiting: Int { pool.count }

    /// Whether more of its own transactions fit into its envelope in the next block, beside what it
    /// owes to windows.
    package func hasRoom(for transactions: [WireTransaction]) -> Bool {
        let all = own + transactions
        return all.count <= Envelope.maximumTransactions - Self.dutiesPerBlock
            && all.reduce(0) { $0 + $1.encoded().count } <= Envelope.maximumBytes - (256 << 10)
    }

    /// Queues the coordinator's own transactions for the next block.
    package mutating func contribute(_ transactions: [WireTransaction]) {
        own += transactions
    }

    /// The next free sequence of a signer, envelopes in the pool included.
    package func nextSequence(of signer: AccountID, above replica: Replica) -> UInt64 {
        var changes = ChangeSet(above: replica.headState)
        let waiting = pool.last { $0.signer == signer }?.header.sequence ?? 0
        return Contracts.nextSequence(after: max(changes.lastSequence(of: signer), waiting))
    }

    /// Signs with another key of its own from now on: the one that a decision names.
    package mutating func use(_ key: SigningKey) { self.key = key }

    /// Whether this is the coordinator of the head's term.
    package func isInOffice(above replica: Replica) -> Bool {
        replica.rules.coordinator == account && replica.rules.coordinatorKey == key.verifyingKey
    }

    /// Takes a block that it proposed, now or before a restart, and waits for the votes it needs.
    package mutating func resume(_ block: Block, needing sets: [VoterSet]) {
        proposed = Proposal(block: block, sets: sets, counted: sets.map { _ in [] })
        drop(block.envelopes)
    }

    /// Counts a vote for the newest proposal; others are late or meant for another block.
    ///
    /// - Returns: whether this vote completed the certificate.
    package mutating func count(_ vote: Vote) throws(VoteFault) -> Bool {
        guard var proposal = proposed, vote.slot == proposal.block.slot,
            vote.block == proposal.block.hash
        else { return false }
        let entry = Certificate.Entry(voter: vote.voter, signature: vote.signature)
        guard !proposal.entries.contains(entry) else { return false }
        try vote.verify(by: proposal.sets, network: genesis.network)
        proposal.entries.insert(entry)
        for (index, set) in proposal.sets.enumerated() {
            guard let key = set.keys[vote.voter],
                vote.isSigned(by: key, network: genesis.network)
            else { continue }
            proposal.counted[index].insert(vote.voter)
        }
        let isComplete = zip(proposal.sets, proposal.counted).allSatisfy { $1.count >= $0.quorum }
        let wasComplete = proposal.certificate != nil
        if isComplete, !wasComplete {
            proposal.certificate = Certificate(
                slot: vote.slot, block: vote.block, entries: proposal.entries)
        }
        proposed = proposal
        return isComplete && !wasComplete
    }

    /// Builds the next block when it is due; the caller asks at most once a block interval.
    ///
    /// It is due when the newest one is certified and something waits: transactions, a window, or a
    /// block with transactions or an opening that is not settled yet. A clock that was set back
    /// delays nothing: the block's time is then one interval after its parent's.
    ///
    /// - Parameters:
    ///   - replica: of the coordinator's own organisation.
    ///   - now: milliseconds since 1970.
    /// - Returns: nil when no block is due.
    /// - Throws: what makes it impossible to build a block: an unreadable state, a failing key.
    package mutating func propose(
        above replica: inout Replica, now: UInt64
    ) throws -> Block? {
        let head = replica.head
        guard isInOffice(above: replica) else { return nil }
        if head.slot == .genesis {
            guard proposed == nil else { return nil }
        } else {
            guard let proposed, proposed.block.hash == head.hash, proposed.certificate != nil
            else { return nil }
        }
        let height = head.height.next
        let due = try openWindows(replica)
        let isSettling = replica.unsettled.contains {
            $0.block.header.transactionCount > 0 || $0.block.opening != nil
        }
        guard !pool.isEmpty || !own.isEmpty || !due.isEmpty || isSettling else { return nil }
        let duties = due.filter { $0.height <= height.value }.compactMap(\.transaction)
        let envelopes = try select(duties: duties, above: &replica)
        let isFirst = head.slot == .genesis
        return try build(
            envelopes, above: head, rules: head.terms.newest, isFirst: isFirst, opening: nil,
            certificate: isFirst ? nil : proposed?.certificate, replica: &replica, now: now)
    }

    /// Builds the first block of a term, which this coordinator opens.
    ///
    /// It holds no transaction: what waits follows in the blocks above it.
    ///
    /// - Parameters:
    ///   - opening: its decision names this coordinator.
    ///   - parent: the block with the highest certificate reported; its chain is in the replica.
    ///   - certificate: of the parent; nil when that is genesis.
    ///   - replica: of the coordinator's own organisation.
    ///   - now: milliseconds since 1970.
    /// - Returns: the block; the caller keeps it with the opening before it leaves.
    /// - Throws: why the term cannot be opened there.
    package mutating func open(
        _ opening: Opening, above parent: Tip, certificate: Certificate?,
        replica: inout Replica, now: UInt64
    ) throws -> Block {
        try opening.verify(
            above: parent.slot, inForce: parent.terms.inForce, network: genesis.network)
        takeBack(replica.branches(beside: parent.hash))
        let rules = parent.terms.rules(opening: opening, firstHeight: parent.height.next)
        return try build(
            [], above: parent, rules: rules, isFirst: true, opening: opening,
            certificate: certificate, replica: &replica, now: now)
    }

    private func build(
        _ envelopes: [Envelope], above parent: Tip, rules: TermRules, isFirst: Bool,
        opening: Opening?, certificate: Certificate?, replica: inout Replica, now: UInt64
    ) throws -> Block {
        var terms = parent.terms
        terms.advance(to: rules, isFirst: isFirst)
        let outcome = try replica.compute(
            envelopes, above: parent, terms: terms, opening: opening)
        let interval = UInt64(rules.agreement.chain.blockIntervalMs)
        let header = BlockHeader(
            slot: Slot(term: rules.term, height: parent.height.next), previous: parent.hash,
            timeMilliseconds: max(parent.timeMilliseconds &+ interval, now), proposer: account,
            transactionCount: UInt32(outcome.execution.effects.count),
            logSize: outcome.log.size, logRoot: outcome.log.root,
            effectsRoot: outcome.execution.effectsRoot, stateRoot: outcome.stateRoot,
            voters: rules.voters.hash(network: genesis.network),
            parentCertificate: certificate?.hash(network: genesis.network) ?? .zero,
            opening: isFirst ? opening?.hash ?? genesis.network.digest : nil)
        return try Block(
            header: header, envelopes: envelopes, parentCertificate: certificate,
            opening: opening, network: genesis.network, key: key)
    }

    /// Moves on to a block that is durably appended and that the own voter has executed.
    package mutating func appended(_ block: Block, needing sets: [VoterSet]) {
        resume(block, needing: sets)
        own = []
    }

    private mutating func drop(_ envelopes: [Envelope]) {
        let ids = Set(envelopes.map(\.id))
        pool.removeAll { ids.contains($0.id) }
        poolIDs.subtract(ids)
    }

    /// What fits into a block, oldest first, and last an envelope of the coordinator's own.
    private mutating func select(
        duties: [WireTransaction], above replica: inout Replica
    ) throws -> [Envelope] {
        var changes = ChangeSet(above: replica.headState)
        let context = replica.nextContext
        var chosen: [Envelope] = []
        var dropped: [Envelope] = []
        var bytes = 0
        var sequences: [AccountID: UInt64] = [:]
        var verifier = replica
        for envelope in pool {
            guard bytes + envelope.bytes.count <= Self.blockBytes - Envelope.maximumBytes else {
                break
            }
            do {
                try Contracts.admit(envelope, in: context, to: &changes) { envelope, key in
                    verifier.verifies(envelope, key)
                }
                guard envelope.header.sequence > sequences[envelope.signer] ?? 0 else {
                    dropped.append(envelope)
                    continue
                }
            } catch {
                if case .state(let fault) = error { throw fault }
                dropped.append(envelope)
                continue
            }
            sequences[envelope.signer] = envelope.header.sequence
            bytes += envelope.bytes.count
            chosen.append(envelope)
        }
        replica = verifier
        drop(dropped)
        let transactions = own + duties
        guard !transactions.isEmpty else { return chosen }
        let last = max(changes.lastSequence(of: account), sequences[account] ?? 0)
        let raw = try signedEnvelope(
            transactions, signer: account, sequence: Contracts.nextSequence(after: last),
            notAfter: context.height,
            network: genesis.network, key: key)
        chosen.append(try Envelope(strictly: raw, network: genesis.network))
        return chosen
    }

    /// What waits for a height, soonest first.
    private func openWindows(_ replica: Replica) throws(StateFault) -> [DueEntry] {
        try replica.headState
            .entries(in: .due, prefix: [], limit: Self.dutiesPerBlock)
            .compactMap(DueEntry.init)
    }
}

/// An entry of the table `due`.
struct DueEntry {
    let height: UInt64
    let kind: DueKind
    let id: String

    init?(_ entry: StateEntry) {
        let key = entry.key.key
        guard key.count > 9, let kind = DueKind(rawValue: key[8]),
            let id = String(validating: key[9...], as: UTF8.self)
        else { return nil }
        height = key[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        self.kind = kind
        self.id = id
    }

    /// What the coordinator sends once the height is reached; nil where others act.
    var transaction: WireTransaction? {
        var transaction = WireTransaction()
        switch kind {
        case .item: transaction.itemClose.item = id
        case .window: transaction.windowExpire.window = id
        case .period: transaction.periodClose.period = UInt32(id) ?? 0
        case .offers, .round: return nil
        }
        return transaction
    }
}
