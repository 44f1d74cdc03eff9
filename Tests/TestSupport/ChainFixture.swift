import Contracts
package import Cryptography
package import Federation
import Foundation
package import Ledger
import Replay
package import Storage
import Training
package import Wire

/// A voter of the test consortium with its home on the disk.
package struct StoredVoter {
    package let account: AccountID
    /// Holds `genesis.tally`, a member document, `keys/`, `ledger.sqlite` and `blobs/`.
    package let home: String
    package let blobs: BlobStore
    package private(set) var store: LedgerStore
    package internal(set) var replica: Replica

    package var ledger: String { home + "/ledger.sqlite" }

    init(_ account: AccountID, in folder: String, genesis: Genesis) throws {
        self.account = account
        home = "\(folder)/\(account.name)"
        try FileManager.default.createDirectory(
            atPath: home + "/keys", withIntermediateDirectories: true)
        try Data(genesis.bytes).write(to: URL(filePath: home + "/genesis.tally"))
        try Data(memberDocument(account)).write(
            to: URL(filePath: "\(home)/\(account.name).member"))
        _ = FileManager.default.createFile(
            atPath: home + "/keys/content.key", contents: Data(StoredChain.contentKey),
            attributes: [.posixPermissions: 0o600])
        blobs = try BlobStore(folder: home + "/blobs")
        store = try LedgerStore.create(at: home + "/ledger.sqlite", genesis: genesis)
        replica = try Self.replica(account, store)
    }

    private static func replica(_ account: AccountID, _ store: LedgerStore) throws -> Replica {
        var replica = Replica(
            genesis: store.genesis, account: account, voteKeys: [try voteKey(of: account)],
            journal: try store.journal(), settled: try store.tip(), state: SQLiteState(store),
            tree: try store.stateTree())
        for block in try store.pendingBlocks() { try replica.restore(block) }
        return replica
    }

    /// Considers a block and keeps what its vote stands on.
    package mutating func consider(_ block: Block, now: UInt64) throws -> Vote? {
        guard case .commit(let commitment) = try replica.consider(block, now: now) else {
            return nil
        }
        try store.commit(commitment)
        replica.advance(by: commitment)
        return commitment.votes.first
    }

    /// Closes the ledger and opens it again, as a restart does.
    package mutating func restart() throws {
        try store.close()
        store = try LedgerStore.open(at: ledger)
        replica = try Self.replica(account, store)
    }
}

/// A coordinator and three sites with ledgers on the disk, stepped by hand; the same every time.
package struct StoredChain {
    package static let contentKey = named("content key")

    package let genesis: Genesis
    package var coordinator: Coordinator
    /// In the order of ``Consortium/voters``.
    package var voters: [StoredVoter]
    package var now: UInt64
    private var sequences: [AccountID: UInt64] = [:]

    package init(in folder: String, _ agreement: WireAgreement = chainAgreement()) throws {
        let genesis = try Genesis(strictly: testGenesis(agreement))
        self.genesis = genesis
        coordinator = Coordinator(
            genesis: genesis, account: Consortium.coordinator,
            key: try signingKey(of: Consortium.coordinator))
        voters = try Consortium.voters.map { try StoredVoter($0, in: folder, genesis: genesis) }
        now = genesis.timeMilliseconds
    }

    package var replica: Replica { voters[0].replica }
    package var network: NetworkID { genesis.network }

    /// Settled contract state, as the coordinator's ledger has it.
    package var settled: SQLiteState { SQLiteState(voters[0].store) }

    package func close() throws {
        for voter in voters { try voter.store.close() }
    }

    package mutating func envelope(
        _ transactions: [WireTransaction], by account: AccountID
    ) throws -> Envelope {
        let next = sequences[account, default: 0] + 1
        sequences[account] = next
        return try Envelope(
            strictly: signedEnvelope(
                transactions, signer: account, sequence: next, notAfter: Height(1 << 40),
                network: network, key: signingKey(of: account)), network: network)
    }

    /// The coordinator accepts an envelope durably, with a receipt; its own need none.
    ///
    /// Gives the envelope's id; the coordinator signs its own with the next block.
    @discardableResult
    package mutating func submit(
        _ transactions: [WireTransaction], by account: AccountID
    ) throws -> Digest? {
        guard account != Consortium.coordinator else {
            coordinator.contribute(transactions)
            return nil
        }
        let envelope = try envelope(transactions, by: account)
        try coordinator.admit(envelope, above: &voters[0].replica)
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: replica.head.height, block: replica.head.hash,
            promise: UInt64(genesis.agreement.chain.inclusionPromise), network: network,
            key: signingKey(of: Consortium.coordinator))
        try voters[0].store.accept(envelope, receipt: receipt.wire.encoded())
        coordinator.keep(envelope)
        return envelope.id
    }

    /// Time goes by; a block that is due is proposed and voted for by all.
    @discardableResult
    package mutating func step() throws -> Block? {
        now += UInt64(genesis.agreement.chain.blockIntervalMs)
        guard let block = try coordinator.propose(above: &voters[0].replica, now: now) else {
            return nil
        }
        try take(block)
        return block
    }

    /// Keeps a proposal, and has all vote for it.
    mutating func take(_ block: Block) throws {
        guard try voters[0].store.append(block) else { throw AnotherProposal() }
        coordinator.appended(block, needing: [genesis.voters])
        for index in voters.indices {
            guard let vote = try voters[index].consider(block, now: now) else { continue }
            _ = try coordinator.count(vote)
        }
    }

    package struct AnotherProposal: Error {}

    /// Makes blocks until what waits is settled.
    package mutating func settle(atMost limit: Int = 3) throws {
        for _ in 0..<limit {
            guard try step() != nil else { return }
        }
    }

    /// Keeps a blob at every voter.
    package func share(_ bytes: [UInt8]) throws -> Digest {
        for voter in voters { _ = try voter.blobs.put(bytes) }
        return Digest.sha256(bytes)
    }
}

/// The test agreement with a checkpoint every few blocks.
package func chainAgreement() -> WireAgreement {
    var agreement = testAgreement()
    agreement.chain.checkpointInterval = 7
    agreement.training.rounds = 2
    agreement.training.localSteps = 3
    return agreement
}
