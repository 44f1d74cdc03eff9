package import Contracts
package import Cryptography
package import Ledger
package import Wire

/// A whole consortium in memory: deterministic keys, and a state that grows block by block.
///
/// A value: a copy goes its own way, so that one history can be continued in many directions.
package struct Consortium: Sendable {
    package static let coordinator = AccountID(.coordinator, "office")
    package static let east = AccountID(.site, "east")
    package static let north = AccountID(.site, "north")
    package static let west = AccountID(.site, "west")
    /// Ascending.
    package static let sites = [east, north, west]
    package static let voters = [coordinator] + sites
    package static let developer = AccountID(.developer, "lab")
    /// Named in the test agreement and a founding member, like the developer.
    package static let treasurer = AccountID(.treasurer, "office")

    /// The four readers of a site, ascending.
    package static func readers(of site: AccountID) -> [AccountID] {
        (1...4).map { AccountID(.annotator, "\(site.name)-\($0)") }
    }

    /// A block was asked for below the newest one.
    package struct HeightUsed: Error { let height: UInt64 }
    /// A transaction that a test needs applied was rejected.
    package struct Refused: Error {
        package let index: Int
        package let rejection: Rejection?
    }

    package let genesis: Genesis
    /// Ascending.
    package let sites: [AccountID]
    package private(set) var state = DictionaryState()
    /// Of the newest block; 1 once readers are enrolled.
    package private(set) var height = Height.genesis
    /// What the newest block changed.
    package private(set) var changes: StateChanges = [:]
    package private(set) var book: Book
    private var sequences: [AccountID: UInt64] = [:]
    /// Of the next block.
    package private(set) var terms: TermHistory

    package var network: NetworkID { genesis.network }
    /// The coordinator first, then the sites.
    package var voters: [AccountID] { [Self.coordinator] + sites }
    package var agreement: WireAgreement { genesis.agreement }

    /// Founds the network; `enrolling` has block 1 enrol four readers a site.
    package init(
        _ agreement: WireAgreement = testAgreement(), sites: [AccountID] = Self.sites,
        enrolling: Bool = true
    ) throws {
        self.sites = sites
        genesis = try Genesis(strictly: testGenesis(agreement, sites: sites))
        terms = TermHistory(genesis: genesis)
        book = Book(supply: agreement.rewards.supplyMicrotokens)
        state.apply(try genesisState(genesis))
        guard enrolling else { return }
        for site in sites {
            try applied(
                Self.readers(of: site).map { .enrol(try memberDocument($0)) }, by: site, at: 1)
        }
    }

    package func context(at height: UInt64) -> BlockContext {
        BlockContext(
            network: network, terms: terms, height: Height(height),
            previous: Self.blockHash(height - 1))
    }

    /// A decision of the voters puts another agreement in force from the next block on.
    ///
    /// - Throws: what makes the decision impossible.
    package mutating func decide(_ change: (inout WireAgreement) -> Void) throws {
        var wire = WireDecision()
        wire.term = terms.newest.term.value + 1
        wire.coordinator = Self.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Self.coordinator).verifyingKey.bytes)
        wire.voters = genesis.voters.wire
        wire.agreement = terms.newest.agreement
        change(&wire.agreement)
        wire.reason = "the study goes on otherwise"
        let decision = try Decision(strictly: wire.encoded(), network: network)
        try Contracts.check(
            decision, on: state, at: height.next, inForce: terms.newest.agreement)
        let rules = terms.rules(
            opening: Opening(decision: decision, statuses: [], network: network),
            firstHeight: height.next)
        terms.advance(to: rules, isFirst: true)
    }

    /// What stands for the hash of the block at a height; genesis has the network's id.
    package static func blockHash(_ height: UInt64) -> Digest {
        Digest.sha256(Array("block \(height)".utf8))
    }

    /// Signs transactions as the member's next envelope.
    package mutating func envelope(
        _ transactions: [WireTransaction], by account: AccountID, sequence: UInt64? = nil,
        notAfter: UInt64 = .max
    ) throws -> Envelope {
        let next = sequence ?? sequences[account, default: 0] + 1
        sequences[account] = next
        return try Envelope(
            strictly: signedEnvelope(
                transactions, signer: account, sequence: next, notAfter: Height(notAfter),
                network: network, key: signingKey(of: account)),
            network: network)
    }

    /// Executes a block, checks every signature, and keeps what it changed.
    ///
    /// The block's height is the next one unless given; the newest height again continues the
    /// newest block.
    @discardableResult
    package mutating func execute(_ envelopes: [Envelope], at: UInt64? = nil) throws -> Execution {
        let target = at.map { Height($0) } ?? height.next
        guard target >= height else { throw HeightUsed(height: target.value) }
        let network = network
        let execution = try Contracts.execute(
            envelopes, in: context(at: target.value), on: state,
            isVerified: { $0.isSigned(by: $1, network: network) })
        state.apply(execution.changes)
        changes = execution.changes
        book.post(execution.effects)
        height = target
        return execution
    }

    /// Signs transactions as one envelope and executes it as a block.
    @discardableResult
    package mutating func apply(
        _ transactions: [WireTransaction], by account: AccountID, at: UInt64? = nil
    ) throws -> [WireEffect] {
        try execute([envelope(transactions, by: account)], at: at).effects
    }

    /// As ``apply(_:by:at:)``, for what a test needs applied.
    ///
    /// The first transaction that a contract rejects is thrown as ``Refused``.
    @discardableResult
    package mutating func applied(
        _ transactions: [WireTransaction], by account: AccountID, at: UInt64? = nil
    ) throws -> [WireEffect] {
        let effects = try apply(transactions, by: account, at: at)
        for (index, effect) in effects.enumerated() where effect.outcome != 0 {
            throw Refused(index: index, rejection: Rejection(rawValue: effect.outcome))
        }
        return effects
    }

    /// One transaction's outcome.
    ///
    /// Nil when it was applied.
    package mutating func outcome(
        _ transaction: WireTransaction, by account: AccountID, at: UInt64? = nil
    ) throws -> Rejection? {
        try apply([transaction], by: account, at: at).first.flatMap {
            Rejection(rawValue: $0.outcome)
        }
    }

    /// Applies one transaction by itself, without envelope and signature, under a reward policy of
    /// its own; the height may be any.
    ///
    /// Nil when it was applied.
    package mutating func execute(
        _ transaction: WireTransaction, id: TransactionID, by account: AccountID, at: UInt64,
        policy: WireRewardRule
    ) -> Rejection? {
        let context = BlockContext(
            network: network, terms: terms, height: Height(at),
            previous: Self.blockHash(at - 1), policy: policy)
        var overlay = ChangeSet(above: state)
        do throws(Rejection) {
            try Contracts.apply(transaction, id: id, signer: account, in: context, to: &overlay)
        } catch { return error }
        var effect = WireEffect()
        effect.postings = overlay.postings
        _ = overlay.commit()
        state.apply(overlay.changes)
        book.post([effect])
        return nil
    }

    /// Puts a value into the state that no transaction would put there.
    package mutating func corrupt(_ table: StateTable, _ key: [UInt8], _ bytes: [UInt8]?) {
        state.apply([StateKey(table, key): bytes])
    }

    /// Changes the state without a transaction, as the opening of a term does.
    package mutating func change(_ body: (inout ChangeSet) throws -> Void) rethrows {
        var overlay = ChangeSet(above: state)
        try body(&overlay)
        _ = overlay.commit()
        state.apply(overlay.changes)
    }

    package func read<Result>(_ body: (inout ChangeSet) throws -> Result) rethrows -> Result {
        var changes = ChangeSet(above: state)
        return try body(&changes)
    }

    package func value<Value: WireValue>(
        _ type: Value.Type, _ table: StateTable, _ key: [UInt8]
    ) -> Value? {
        read { $0.value(type, table, key) }
    }

    package func item(_ item: ItemID) -> WireItemState? { read { $0.item(item) } }
    package func run(_ number: UInt32) -> WireRunState? { read { $0.run(number) } }
    package func round(_ run: UInt32, _ round: UInt32) -> WireRoundState? {
        read { $0.round(run, round) }
    }
    package func openPeriod() -> WirePeriodState { read { $0.openPeriod() } }

    package func balance(_ account: AccountID, at height: UInt64? = nil) -> UInt64 {
        read { $0.balance(of: account, at: height ?? self.height.value).microtokens }
    }

    /// Available and pending.
    package func held(_ account: AccountID) -> UInt64 {
        let state = value(WireBalanceState.self, .balances, Array(account.text.utf8))
        return state.map { $0.available(at: .max) } ?? 0
    }

    /// Envelopes that `account` has signed so far.
    package func sequence(of account: AccountID) -> UInt64 { sequences[account, default: 0] }
}

/// A member's signing key; the same in every test.
package func signingKey(of account: AccountID) throws -> SigningKey {
    try SigningKey(seed: Digest.sha256(Array("signing \(account)".utf8)).bytes)
}

package func voteKey(of account: AccountID) throws -> SigningKey {
    try SigningKey(seed: Digest.sha256(Array("vote \(account)".utf8)).bytes)
}

/// The signed document of a member with its own keys.
package func memberDocument(_ account: AccountID) throws -> [UInt8] {
    try signedMember(
        account: account, signing: signingKey(of: account),
        vote: account.role?.votes == true ? voteKey(of: account) : nil,
        transport: Digest.sha256(Array("transport \(account)".utf8)).bytes, endpoint: "")
}

/// A founding document with a coordinator, three sites, or others, and whom the agreement names.
package func testGenesis(
    _ agreement: WireAgreement = testAgreement(), sites: [AccountID] = Consortium.sites
) throws -> [UInt8] {
    genesisDocument(
        agreement: agreement,
        members: try ([Consortium.coordinator] + sites + agreement.namedAccounts).map {
            try Member(strictly: memberDocument($0))
        },
        timeMilliseconds: 1_700_000_000_000, nonce: Digest.sha256(Array("nonce".utf8)).bytes)
}

/// An agreement with short windows and the rules of the main study.
package func testAgreement() -> WireAgreement {
    var agreement = WireAgreement()
    agreement.study = "test"
    agreement.chain.blockIntervalMs = 50
    agreement.chain.checkpointInterval = 1000
    agreement.chain.inclusionPromise = 8
    agreement.annotation.rule = "annotation/1"
    agreement.annotation.answer = "ordinal"
    agreement.annotation.classes = 5
    agreement.annotation.panel = "own-site"
    agreement.annotation.commitWindow = 4
    agreement.annotation.revealWindow = 3
    agreement.annotation.minimumAnswers = 3
    agreement.annotation.nearShareNumerator = 2
    agreement.annotation.nearShareDenominator = 3
    agreement.annotation.nearDistance = 1
    agreement.annotation.maximumSpread = 2
    agreement.annotation.periodItems = 1000
    agreement.training.trainer = "logistic-regression"
    agreement.training.features = ["diameter", "volume"]
    agreement.training.positiveAbove = 3
    agreement.training.negativeBelow = 3
    agreement.training.rounds = 20
    agreement.training.localSteps = 1
    agreement.training.learningRateMillionths = 100_000
    agreement.training.normBoundMillionths = 10_000_000
    agreement.training.roundDeadline = 5
    agreement.training.aggregation = "fedavg"
    agreement.training.utility = "concordance"
    agreement.rewards.supplyMicrotokens = 1_000_000_000_000
    agreement.rewards.roundPoolMicrotokens = 1_000_003
    agreement.rewards.patientsBasisPoints = 4000
    agreement.rewards.annotatorsBasisPoints = 3000
    agreement.rewards.sitesBasisPoints = 1500
    agreement.rewards.developersBasisPoints = 1500
    var lab = WireDeveloperShare()
    lab.account = Consortium.developer.text
    lab.weight = 1
    agreement.rewards.developers = [lab]
    agreement.rewards.warmUpRounds = 1
    agreement.rewards.appealWindow = 6
    agreement.rewards.stakeMicrotokens = 10_000_000
    agreement.rewards.treasurer = Consortium.treasurer.text
    agreement.rewards.parentBasisPoints = 2_000
    return agreement
}
