import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

/// The consortium of the tests, and documents of every kind that its members made.
struct FuzzWorld: Sendable {
    let chain: ProvenChain
    let evidence: [Evidence]
    let decisions: [Decision]
    /// By account.
    let signing: [AccountID: SigningKey]
    let voting: [AccountID: SigningKey]

    static let second = AccountID(.coordinator, "second")
    static let third = AccountID(.coordinator, "third")
    static let south = AccountID(.site, "south")

    var genesis: Genesis { chain.genesis }
    var network: NetworkID { chain.network }

    /// Three terms: the second changes the coordinator's organisation, the third a site as well.
    init() throws {
        var chain = try ProvenChain()
        for count in [3, 0, 2] { try chain.append(count) }
        let first = try chain.decide(Self.second, voters: [Self.second] + Consortium.sites)
        try chain.open(first)
        for count in [1, 0, 2] { try chain.append(count) }
        let second = try chain.decide(
            Self.third, voters: [Self.third, Consortium.east, Consortium.north, Self.south],
            term: 7)
        try chain.open(second)
        for count in [2, 0, 1, 0, 0] { try chain.append(count) }
        self.chain = chain
        decisions = [first, second]
        evidence = try chain.plantedOffences()
        let all = Consortium.voters + [Self.second, Self.third, Self.south, Consortium.developer]
        signing = try Dictionary(uniqueKeysWithValues: all.map { ($0, try signingKey(of: $0)) })
        voting = try Dictionary(uniqueKeysWithValues: all.map { ($0, try voteKey(of: $0)) })
    }

    static let shared = Result { () throws -> FuzzWorld in try FuzzWorld() }

    var keys: KnownKeys {
        var keys = KnownKeys(genesis: genesis)
        for decision in decisions { keys.add(decision) }
        return keys
    }

    var openings: [Opening] { chain.blocks.compactMap(\.opening) }

    /// An envelope of transactions of all kinds.
    func envelope(_ transactions: [WireTransaction], _ sequence: UInt64 = 1) throws -> [UInt8] {
        try signedEnvelope(
            transactions, signer: Consortium.east, sequence: sequence, notAfter: Height(1_000),
            network: network, key: signingKey(of: Consortium.east))
    }

    func receipt() throws -> Receipt {
        try Receipt(
            envelope: Digest.sha256(Array("envelope".utf8)), acceptedAfter: Height(3),
            block: chain.blocks[2].hash, promise: 8, network: network,
            key: signingKey(of: Consortium.coordinator))
    }

    func head() throws -> Head {
        try Head(
            account: Consortium.east, settled: Slot(term: .first, height: Height(2)),
            block: chain.blocks[1].hash, logSize: 3, logRoot: chain.blocks[1].header.logRoot,
            network: network, key: signingKey(of: Consortium.east))
    }

    func vote(_ block: Block, by account: AccountID = Consortium.east) throws -> Vote {
        try Vote(
            voter: account, slot: block.slot, block: block.hash, network: network,
            key: voteKey(of: account))
    }

    /// A signature of a member's signing or voting key, or none where it has none.
    func sign(
        _ bytes: [UInt8], _ kind: PayloadKind, by account: String, votes: Bool
    ) -> [UInt8]? {
        guard let account = AccountID(account), let key = (votes ? voting : signing)[account] else {
            return nil
        }
        return try? key.sign(payload(kind, network: network, bytes)).bytes
    }
}

/// Transactions of every kind, filled as a site would.
func sampleTransactions() throws -> [WireTransaction] {
    let patient = named("patient")
    var waived = WireTransaction.grant(patient, waive: true, notAfter: 99)
    waived.consentGrant.purposes = [.training, .evaluation]
    return [
        .enrol(try memberDocument(Consortium.developer)),
        .rekey(try memberDocument(Consortium.east)), .revoke("annotator/east-1"),
        .grant(patient), waived, .withdraw(patient, [.training]),
        .register("east/a", of: patient, readers: ["annotator/east-1", "annotator/east-2"]),
        .register("east/b", of: patient, tag: named("tag"), use: .evaluation, readers: []),
        .commit("east/a", named("commitment")), .reveal("east/a", 3, salt: named("salt")),
        .closeItem("east/a"), .closePeriod(1), .startRun(1, from: named("model"), rounds: 20),
        .stopRun(1), .offer(1, named("records"), count: 2), .fix(1, named("root")),
        .openRound(1, 1, base: named("model")),
        .submit(1, 1, update: named("update"), manifest: named("manifest"), examples: 500),
        .checked(1, 1, model: named("model"), values: named("values")),
        .closeRound(1, 1, model: named("model"), values: named("values")), .expire("penalty/1"),
    ]
}
