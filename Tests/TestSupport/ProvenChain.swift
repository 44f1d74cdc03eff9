import Contracts
package import Cryptography
package import Ledger
package import Storage
package import Wire

/// A certified chain of several terms, made for proofs by hand: no machine votes for its blocks.
package struct ProvenChain: Sendable {
    package let genesis: Genesis
    package private(set) var blocks: [Block] = []
    /// One per block.
    package private(set) var certificates: [Certificate] = []
    /// Encoded effects, one list per block.
    package private(set) var effects: [[[UInt8]]] = []
    /// Of the log.
    package private(set) var leaves: [Digest] = []
    package private(set) var history: TermHistory
    private var log = MerkleFrontier()
    private var state = DictionaryState()
    private var executed: [ExecutedBlock] = []
    private var members: Set<AccountID> = []
    private var sequence: UInt64 = 0
    private var keys: [VerifyingKey: SigningKey] = [:]

    package var network: NetworkID { genesis.network }

    package init(_ agreement: WireAgreement = testAgreement()) throws {
        genesis = try Genesis(strictly: testGenesis(agreement))
        history = TermHistory(genesis: genesis)
        state.apply(try genesisState(genesis))
        members = Set(Consortium.voters)
        for account in Consortium.voters { try learn(account) }
    }

    private mutating func learn(_ account: AccountID) throws {
        for key in [try voteKey(of: account), try signingKey(of: account)] {
            keys[key.verifyingKey] = key
        }
    }

    /// Adds a block with so many transactions of one envelope to the newest term.
    package mutating func append(_ transactions: Int = 0) throws {
        try append(consents(transactions))
    }

    /// Adds a block with transactions of one envelope of the site east to the newest term.
    package mutating func append(_ transactions: [WireTransaction]) throws {
        try add(transactions, rules: history.newest, opening: nil)
    }

    private func consents(_ count: Int) -> [WireTransaction] {
        (0..<count).map {
            .grant(Digest.sha256(bigEndian((sequence + 1) << 32 | UInt64($0))).bytes)
        }
    }

    /// A decision for a term, the next one unless given, that names a coordinator and who votes.
    package mutating func decide(
        _ coordinator: AccountID, voters: [AccountID], term: UInt64? = nil
    ) throws -> Decision {
        for account in voters + [coordinator] { try learn(account) }
        var wire = WireDecision()
        wire.term = term ?? history.newest.term.value + 1
        wire.coordinator = coordinator.text
        wire.coordinatorKey = data(try signingKey(of: coordinator).verifyingKey.bytes)
        wire.voters =
            VoterSet(
                keys: try Dictionary(
                    uniqueKeysWithValues: voters.map { ($0, try voteKey(of: $0).verifyingKey) }),
                majority: false
            ).wire
        let entering = Set(voters + [coordinator]).subtracting(members).sorted()
        wire.members = try entering.map { data(try memberDocument($0)) }
        return try Decision(strictly: wire.encoded(), network: network)
    }

    /// Opens a term above the newest block.
    package mutating func open(_ decision: Decision) throws {
        var statuses: Set<Status> = []
        for set in history.inForce {
            for voter in set.accounts.prefix(set.quorum) {
                guard let key = set.keys[voter].flatMap({ keys[$0] }) else { continue }
                statuses.insert(
                    try Status(
                        decision: decision, lastVote: blocks.last?.slot,
                        highest: certificates.last, voter: voter, network: network, key: key))
            }
        }
        let opening = Opening(decision: decision, statuses: Array(statuses), network: network)
        let height = Height(UInt64(blocks.count) + 1)
        try add([], rules: history.rules(opening: opening, firstHeight: height), opening: opening)
    }

    private mutating func add(
        _ transactions: [WireTransaction], rules: TermRules, opening: Opening?
    ) throws {
        var envelopes: [Envelope] = []
        if !transactions.isEmpty {
            sequence += 1
            envelopes.append(
                try Envelope(
                    strictly: signedEnvelope(
                        transactions, signer: Consortium.east, sequence: sequence,
                        notAfter: Height(.max), network: network,
                        key: signingKey(of: Consortium.east)),
                    network: network))
        }
        for envelope in envelopes {
            for index in envelope.transactions.indices {
                leaves.append(envelope.logLeaf(index))
                log.append(envelope.logLeaf(index))
            }
        }
        let isFirst = opening != nil || blocks.isEmpty
        history.advance(to: rules, isFirst: isFirst)
        let network = network
        let execution = try Contracts.execute(
            envelopes,
            in: BlockContext(
                network: network, terms: history, height: Height(UInt64(blocks.count) + 1),
                previous: blocks.last?.hash ?? network.digest, opening: opening), on: state,
            isVerified: { $0.isSigned(by: $1, network: network) })
        state.apply(execution.changes)
        members.formUnion((opening?.decision.members ?? []).map(\.account))
        let header = BlockHeader(
            slot: Slot(term: rules.term, height: Height(UInt64(blocks.count) + 1)),
            previous: blocks.last?.hash ?? network.digest,
            timeMilliseconds: genesis.timeMilliseconds + 1_000 * UInt64(blocks.count + 1),
            proposer: rules.coordinator, transactionCount: UInt32(transactions.count),
            logSize: log.size, logRoot: log.root,
            effectsRoot: execution.effectsRoot, stateRoot: .zero,
            voters: rules.voters.hash(network: network),
            parentCertificate: certificates.last?.hash(network: network) ?? .zero,
            opening: opening?.hash ?? (isFirst ? network.digest : nil))
        let block = try Block(
            header: header, envelopes: envelopes, parentCertificate: certificates.last,
            opening: opening, network: network,
            key: keys[rules.coordinatorKey].orThrow("the coordinator's key"))
        blocks.append(block)
        executed.append(
            ExecutedBlock(
                block: block, execution: execution,
                tip: Tip(
                    slot: block.slot, hash: block.hash,
                    timeMilliseconds: header.timeMilliseconds, log: log, terms: history)))
        effects.append(execution.effects.map { $0.encoded() })
        certificates.append(try certificate(of: block, by: history.certifying))
    }

    /// A certificate by just a quorum of each set, of those first who vote in the fewest terms.
    ///
    /// So that no set's quorum is by chance another's as well.
    package func certificate(of block: Block, by sets: [VoterSet]) throws -> Certificate {
        func terms(_ voter: AccountID) -> Int {
            history.terms.count { $0.voters.keys[voter] != nil }
        }
        var entries: [Certificate.Entry] = []
        for set in sets {
            let voters = set.accounts.sorted { (terms($0), $0) < (terms($1), $1) }
            for voter in voters.prefix(set.quorum) {
                guard let key = set.keys[voter].flatMap({ keys[$0] }) else { continue }
                let vote = try Vote(
                    voter: voter, slot: block.slot, block: block.hash, network: network, key: key)
                entries.append(Certificate.Entry(voter: voter, signature: vote.signature))
            }
        }
        return Certificate(slot: block.slot, block: block.hash, entries: entries)
    }

    /// What a ledger holds of the beginnings of the terms up to a block.
    package func handOvers(upTo last: Int) -> [HandOver] {
        blocks.indices.prefix(last + 1).compactMap { index in
            guard let opening = blocks[index].opening else { return nil }
            let next = index + 1
            let hasSecond = next <= last && !blocks[next].isFirst
            return HandOver(
                opening: opening, parent: index == 0 ? nil : SignedHeader(blocks[index - 1]),
                first: SignedHeader(blocks[index]),
                second: hasSecond ? SignedHeader(blocks[next]) : nil,
                certificate: hasSecond ? certificates[next] : nil)
        }
    }

    /// The proof that a block is settled, with a transaction of its only envelope or alone.
    package func proof(
        of height: Int, transaction: Int? = nil, hasLog: Bool = true
    ) throws -> SettlementProof {
        var last = height
        while blocks[last].isFirst { last += 1 }
        return try SettlementProof(
            headers: blocks[(height - 1)...last].map { SignedHeader($0) },
            certificate: certificates[last], terms: handOvers(upTo: last),
            transaction: try transaction.map { try settled($0, in: height, hasLog: hasLog) },
            network: network)
    }

    private func settled(
        _ index: Int, in height: Int, hasLog: Bool
    ) throws -> WireSettledTransaction {
        let block = blocks[height - 1]
        let size = Int(block.header.logSize)
        let place = size - Int(block.header.transactionCount) + index
        var path = InclusionPath(of: UInt64(place))
        for leaf in leaves.prefix(size) { path.append(leaf) }
        let envelope = try block.envelopes.first.orThrow("an envelope")
        return try settledTransaction(
            TransactionID(envelope: envelope.id, index: UInt32(index)), in: block,
            effects: effects[height - 1],
            signerKey: signingKey(of: Consortium.east).verifyingKey,
            log: hasLog ? (UInt64(place), try path.path().orThrow("the path").path) : nil
        ).orThrow("the transaction")
    }

    /// The first so many blocks, to be kept; nothing can be added to them.
    package func prefix(_ count: Int) -> Self {
        var chain = self
        chain.blocks = Array(blocks.prefix(count))
        chain.executed = Array(executed.prefix(count))
        return chain
    }

    /// Keeps the chain in a new ledger file, as a voter that saw one block after the other.
    package func keep(in store: LedgerStore) throws {
        var waiting: [ExecutedBlock] = []
        for (index, block) in executed.enumerated() {
            var settled: [ExecutedBlock] = []
            if index > 1, !blocks[index - 1].isFirst {
                settled = Array(waiting.dropLast())
                waiting = Array(waiting.suffix(1))
            }
            waiting.append(block)
            try store.commit(
                Commitment(
                    block: block, votes: [],
                    journal: Journal(
                        term: block.tip.slot.term,
                        highest: index > 0 ? certificates[index - 1] : nil),
                    settled: settled, dropped: [], rehashed: [:], tree: StateTree()))
        }
    }
}
