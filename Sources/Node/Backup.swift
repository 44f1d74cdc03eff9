import Contracts
import Cryptography
import Foundation
import Ledger
import Storage

/// What `tally backup` made.
package struct BackupReport: Codable, Hashable, Sendable {
    package let folder: String
    /// Of the newest block that the copy holds as settled.
    package let settledHeight: UInt64
    package let settledHash: String
    package let blobs: Int
    /// Blobs whose bytes no longer hash to their names; they are not in the copy.
    package let damagedBlobs: [String]
    package let withKeys: Bool
}

/// Copies a node's home, while its worker may be running.
///
/// The ledger is copied first: blobs, patients and evidence only grow, so that whatever it names is
/// found after it. The copy gets its name when all of it is on the disk. It lists its voting keys
/// as given up, for it lacks what they sign from now on.
///
/// - Parameters:
///   - home: of a node.
///   - folder: where nothing is yet.
///   - withKeys: whether the private keys are copied, too.
///   - progress: told from time to time, on the calling thread.
/// - Returns: what the copy holds.
/// - Throws: ``HomeError``, ``StorageError`` or ``BlobError``; then there is no copy.
package func backup(
    home: Home, to folder: String, withKeys: Bool, progress: (AuditProgress) -> Void = { _ in }
) throws -> BackupReport {
    let target = Home(folder)
    let unfinished = Home(target.path + ".unfinished")
    guard !home.exists(target.path) else { throw HomeError.exists(file: target.path) }
    guard !home.exists(unfinished.path) else {
        throw HomeError.foreign(
            "\(unfinished.path) is what an interrupted backup left; delete it and run this again")
    }
    guard home.exists(home.ledger) else { throw StorageError.missing(path: home.ledger) }
    do {
        let report = try fill(unfinished, from: home, withKeys: withKeys, progress)
        try renameDurably(unfinished.path, to: target.path)
        return report.named(target.path)
    } catch {
        try? FileManager.default.removeItem(atPath: unfinished.path)
        throw error
    }
}

private func fill(
    _ copy: Home, from home: Home, withKeys: Bool, _ progress: (AuditProgress) -> Void
) throws -> BackupReport {
    try makeFolder(copy.path)
    try makeFolder(copy.blobs)
    // Before anything that could be started: the copy's keys vote no more.
    try copy.retire(try home.keysToRetire())
    try copyDatabase(at: home.ledger, to: copy.ledger)
    if home.exists(home.patients) { try copyDatabase(at: home.patients, to: copy.patients) }
    for name in try regularFiles(in: home.path)
    where name.hasSuffix("member") || ["genesis.tally", "site"].contains(name) {
        _ = try copyFile(at: "\(home.path)/\(name)", to: "\(copy.path)/\(name)")
    }
    try copyFiles(of: home.evidence, to: copy.evidence)
    if withKeys {
        try copyFiles(of: home.keys, to: copy.keys)
        for number in stride(from: 1, through: home.rotations, by: 1) {
            try copyFiles(of: home.rotation(number), to: copy.rotation(number))
        }
    }
    let (blobs, damaged) = try copyBlobs(of: home, to: copy, progress)
    for folder in [copy.blobs, copy.path] { try synchroniseFolder(folder) }
    let ledger = try LedgerStore.reading(at: copy.ledger)
    let tip = try ledger.tip()
    try ledger.close()
    // What reading left; it holds nothing.
    for suffix in ["-wal", "-shm"] where copy.exists(copy.ledger + suffix) {
        try FileManager.default.removeItem(atPath: copy.ledger + suffix)
    }
    return BackupReport(
        folder: copy.path, settledHeight: tip.height.value, settledHash: tip.hash.hex,
        blobs: blobs, damagedBlobs: damaged, withKeys: withKeys)
}

private func copyFiles(of folder: String, to copy: String) throws {
    let names = try regularFiles(in: folder).filter { !$0.hasSuffix(".new") }
    guard !names.isEmpty else { return }
    try makeFolder(copy)
    for name in names { _ = try copyFile(at: "\(folder)/\(name)", to: "\(copy)/\(name)") }
    try synchroniseFolder(copy)
}

/// Copies blobs that are whole, and names the others.
private func copyBlobs(
    of home: Home, to copy: Home, _ progress: (AuditProgress) -> Void
) throws -> (count: Int, damaged: [String]) {
    let names = try regularFiles(in: home.blobs).filter { Digest(hex: $0) != nil }
    var damaged: [String] = []
    for (index, name) in names.enumerated() {
        let file = "\(copy.blobs)/\(name)"
        if try copyFile(at: "\(home.blobs)/\(name)", to: file).hex != name {
            damaged.append(name)
            try FileManager.default.removeItem(atPath: file)
        }
        progress(
            AuditProgress(stage: .blobs, done: UInt64(index + 1), total: UInt64(names.count)))
    }
    return (names.count - damaged.count, damaged)
}

extension BackupReport {
    fileprivate func named(_ folder: String) -> Self {
        Self(
            folder: folder, settledHeight: settledHeight, settledHash: settledHash, blobs: blobs,
            damagedBlobs: damagedBlobs, withKeys: withKeys)
    }
}
