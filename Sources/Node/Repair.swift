import Contracts
import Cryptography
import Foundation
import Glibc
package import Ledger
package import Logging
import Messaging
import Replay
import Storage
import Wire

/// What `tally repair` did.
package struct RepairReport: Codable, Hashable, Sendable {
    package enum Journal: String, Codable, Sendable { case kept, lost }

    /// Of the newest block in the rebuilt ledger.
    package let height: UInt64
    package let ownBlocks: Int
    package let fetchedBlocks: Int
    /// Whether all that this node signed is still there; when it is lost, or was before, its keys
    /// vote no more.
    package let journal: Journal
    package let reason: String?
    /// Where the damaged file is kept; nil when there was none.
    package let damagedFile: String?
    package let blobsFetched: Int
    /// Blobs that no node had; they are missing here.
    package let blobsMissing: [String]
}

/// Why a ledger could not be repaired; the home is as it was.
package enum RepairFault: Error, Hashable, Sendable, CustomStringConvertible {
    case nobodyHas(Height, reasons: [String])
    case notSound(String)

    package var description: String {
        switch self {
        case .nobodyHas(let height, let reasons):
            "block \(height) is not whole here, and no other node gave it"
                + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))")
                + "; run this again when one can be reached. The ledger file is as it was"
        case .notSound(let finding):
            "the rebuilt ledger is not sound: \(finding). The ledger file is as it was"
        }
    }
}

/// Repairs a node's ledger and blobs; its worker must not be running.
///
/// The ledger is built anew beside the old file and takes its place only when it is sound. What the
/// node signed is known to no peer: it is taken over when all of it is there and fits every block,
/// else the keys are given up first.
///
/// - Parameters:
///   - home: of a node, with its keys and `genesis.tally`.
///   - passphrase: of the key files.
///   - logger: told what goes on.
/// - Returns: what was done.
/// - Throws: ``RepairFault``, ``HomeError``, ``StorageError`` or ``BlobError``.
package func repair(
    home: Home, passphrase: String?, logger: Logger
) async throws -> RepairReport {
    umask(0o077)
    let lock = try HomeLock(home)
    defer { withExtendedLifetime(lock) {} }
    let files = RepairFiles(home: home)
    try files.begin()
    let genesis = try home.genesisDocument()
    let account = try home.member().account
    let source = files.source
    let lostLog = writeAheadLogFault(ofLedger: source)
    let old = SalvagedLedger(path: source, network: genesis.network)
    if let known = old.genesis, known.network != genesis.network {
        throw StorageError.foreignNetwork(path: source)
    }
    let rebuild = try LedgerRebuild(
        at: files.new, of: genesis, account: account, from: old, clock: currentMilliseconds)
    let peers = RepairPeers(home: home, passphrase: passphrase, account: account, logger: logger)
    do {
        try await collectBlocks(rebuild, peers)
        let lost = try await settleJournal(rebuild, files, home, lostLog, logger)
        let head = await rebuild.head.height
        let (own, fetched) = await (rebuild.ownBlocks, rebuild.fetchedBlocks)
        try await rebuild.close()
        if lost != nil, let fault = ledgerFindings(at: files.new, of: home).list.first {
            throw RepairFault.notSound("\(fault)")
        }
        let given =
            try home.firstVoteKeyInUse() == nil ? "its voting keys were given up before" : nil
        try files.swap()
        let blobs = try await repairBlobs(of: home, peers, logger)
        await peers.close()
        return RepairReport(
            height: head.value, ownBlocks: own, fetchedBlocks: fetched,
            journal: lost ?? given == nil ? .kept : .lost, reason: lost ?? given,
            damagedFile: home.exists(files.damaged) ? files.damaged : nil,
            blobsFetched: blobs.fetched, blobsMissing: blobs.missing)
    } catch {
        await peers.close()
        try? await rebuild.close()
        throw error
    }
}

private func collectBlocks(
    _ rebuild: LedgerRebuild, _ peers: RepairPeers
) async throws {
    while true {
        try await rebuild.takeOwnBlocks()
        if await rebuild.isComplete { return }
        let before = await rebuild.head.height
        let answers = try await peers.fetchNext(rebuild)
        guard await rebuild.head.height == before else { continue }
        // Without a word of how high the old file was, the height of those who answer must do.
        if rebuild.target == nil, answers.answered > 0 { return }
        throw RepairFault.nobodyHas(before.next, reasons: answers.failures)
    }
}

/// Takes the journal over, as much as there is of it.
///
/// - Returns: why it is lost; nil when it is not.
private func settleJournal(
    _ rebuild: LedgerRebuild, _ files: RepairFiles, _ home: Home, _ lostLog: String?,
    _ logger: Logger
) async throws -> String? {
    var reason = lostLog
    if reason == nil {
        do {
            try await rebuild.takeJournal()
            let findings = ledgerFindings(at: files.new, of: home)
            guard let first = findings.list.first else { return nil }
            reason = "\(first)"
        } catch let fault as TableFault { reason = "\(fault)" }
    }
    logger.error(
        "what this node signed is not whole: its voting key is given up",
        metadata: ["reason": "\(reason ?? "")", "remedy": "tally site restore"])
    try await rebuild.dropJournal()
    try home.retireKeys()
    return reason ?? "it is not there"
}

/// Fetches blobs that changed on this disk, and those that the chain names and are not here.
private func repairBlobs(
    of home: Home, _ peers: RepairPeers, _ logger: Logger
) async throws -> (fetched: Int, missing: [String]) {
    let store = try BlobStore(folder: home.blobs)
    for fault in checkBlobs(in: home.blobs, progress: { _, _ in }).faults {
        guard let name = fault.path.split(separator: "/").last, let digest = Digest(hex: "\(name)")
        else { continue }
        logger.warning("a blob is damaged", metadata: ["blob": "\(name)"])
        try store.discardDamaged(digest)
    }
    let ledger = try LedgerStore.reading(at: home.ledger)
    let named = try namedBlobs(in: SQLiteState(ledger))
    try ledger.close()
    var fetched = 0
    var missing: [String] = []
    for blob in named where !store.contains(blob.digest) {
        if try await peers.fetch(blob.digest, into: store) {
            fetched += 1
        } else {
            missing.append(blob.digest.hex)
        }
    }
    return (fetched, missing)
}

/// The files that a repair makes and renames.
struct RepairFiles {
    let home: Home

    /// The ledger that is built.
    var new: String { home.ledger + ".repair" }
    /// The old file, once the new one took its place.
    var damaged: String { home.ledger + ".damaged" }
    /// What is repaired: an earlier repair may have been cut short between two renames.
    var source: String { home.exists(home.ledger) ? home.ledger : damaged }

    /// Ends what an earlier repair left.
    func begin() throws {
        for suffix in ["", "-wal", "-shm"] { try remove(new + suffix) }
        let log = home.ledger + "-wal"
        // The log goes where its file went: it must never meet another file of this name.
        if !home.exists(home.ledger), home.exists(log), home.exists(damaged) {
            try renameDurably(log, to: damaged + "-wal")
        }
    }

    /// Puts the new ledger in the place of the old one.
    func swap() throws {
        if home.exists(home.ledger) {
            for suffix in ["-wal", "-shm"] { try remove(damaged + suffix) }
            try renameDurably(home.ledger, to: damaged)
        }
        if home.exists(home.ledger + "-wal") {
            try renameDurably(home.ledger + "-wal", to: damaged + "-wal")
        }
        // The new file is closed, so that its log holds nothing.
        for file in [home.ledger + "-shm", new + "-wal", new + "-shm"] { try remove(file) }
        try renameDurably(new, to: home.ledger)
    }

    private func remove(_ file: String) throws {
        if home.exists(file) { try FileManager.default.removeItem(atPath: file) }
    }
}
