import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
import Storage
import Wire

/// Builds a node's ledger anew beside the old file, by executing every block again.
///
/// Blocks come from the old file as long as they are whole there, else from other nodes: it makes
/// no difference, for each is checked as if a stranger had sent it. A repair votes for nothing; a
/// site that joined with a snapshot, and has signed nothing, keeps its votes as it had followed.
actor LedgerRebuild {
    private let executor = QueueExecutor(label: "tally.repair")
    private let old: SalvagedLedger
    private let store: LedgerStore
    private let clock: @Sendable () -> UInt64
    private var replica: Replica
    private(set) var ownBlocks = 0
    private(set) var fetchedBlocks = 0
    /// The highest block that the old file tells of; nil when it tells nothing.
    nonisolated let target: Height?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(
        at path: String, of genesis: Genesis, account: AccountID, voteKeys: [SigningKey] = [],
        from old: SalvagedLedger, clock: @escaping @Sendable () -> UInt64
    ) throws {
        self.old = old
        self.clock = clock
        target = old.highest
        store = try LedgerStore.create(at: path, genesis: genesis)
        replica = Replica(
            genesis: genesis, account: account, voteKeys: voteKeys, journal: try store.journal(),
            settled: try store.tip(), state: SQLiteState(store), tree: try store.stateTree())
        for block in try store.pendingBlocks() { try replica.restore(block) }
    }

    var head: Tip { replica.head }

    /// Whether the head is as high as what the old file tells of.
    ///
    /// What came later is left to the worker, which votes for it.
    var isComplete: Bool { target.map { replica.head.height >= $0 } ?? false }

    /// Whether a block stands at a height, settled or above.
    func holds(_ hash: Digest, at height: Height) throws -> Bool {
        try store.hash(at: height) == hash || replica.block(hash) != nil
    }

    /// Takes blocks of the old file as long as they follow on the head.
    ///
    /// - Parameter pending: whether those above the settled ones, too, which may still be dropped.
    /// - Throws: an error of the new file.
    func takeOwnBlocks(pending: Bool = true) throws {
        while !Task.isCancelled, let block = old.block(at: replica.head.height.next),
            try take(block, nil)
        {
            ownBlocks += 1
        }
        guard pending else { return }
        for block in old.pendingBlocks where try take(block, nil) { ownBlocks += 1 }
    }

    /// Takes a block that another node sent.
    ///
    /// - Returns: whether it follows on the head, and breaks no rule.
    func take(fetched bytes: [UInt8], certificate: [UInt8]) throws -> Bool {
        guard let block = try? Block(strictly: bytes, network: store.genesis.network) else {
            return false
        }
        let known = certificate.isEmpty ? nil : try? Certificate(strictly: certificate)
        guard try take(block, known) else { return false }
        fetchedBlocks += 1
        return true
    }

    private func take(_ block: Block, _ certificate: Certificate?) throws -> Bool {
        let verdict = try replica.consider(block, certificate: certificate, now: clock())
        guard case .commit(let commitment) = verdict else { return false }
        try store.commit(commitment)
        replica.advance(by: commitment)
        return true
    }

    /// Where other nodes listen, as far as the blocks so far and the old file tell.
    func directory() throws -> MemberDirectory {
        var directory = MemberDirectory()
        for bytes in old.stateValues(kind: StateTable.members.rawValue) {
            if let member = try? WireMemberState(strictly: bytes) { directory.add(member.document) }
        }
        for entry in try SQLiteState(store).entries(in: .members, prefix: [], limit: .max) {
            directory.add(try WireMemberState(strictly: entry.value).document)
        }
        return directory
    }

    func listed(_ account: AccountID) throws -> [UInt8]? {
        try store.listedMember(account).map { [UInt8]($0.signingKey) }
    }

    func takeJournal() throws { try store.takeJournal(of: old) }

    func takeHeard() throws { try store.takeHeard(of: old) }

    func dropJournal() throws {
        try store.dropJournal(
            of: old, keeping: replica.unsettled.map(\.block), highest: replica.journal.highest)
    }

    func close() throws {
        old.close()
        try store.close()
    }
}
