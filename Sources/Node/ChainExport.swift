import Contracts
import Cryptography
import Foundation
import Ledger
package import Storage

/// Writes a ledger's blocks as one file, the settled ones and those above them.
///
/// The form is that of `Protocols/ledger.md`, "Exported chain". The file stands there whole or not
/// at all.
///
/// - Parameters:
///   - store: opened for reading; its worker may be running.
///   - path: of the file.
///   - progress: told the height now and then.
/// - Returns: height of the last block, and of the last settled one.
/// - Throws: what makes the ledger unreadable or the file impossible to write.
package func exportChain(
    of store: LedgerStore, to path: String, progress: (AuditProgress) -> Void = { _ in }
) throws -> (height: UInt64, settled: UInt64) {
    try store.requireHistory()
    let temporary = path + ".partial"
    guard FileManager.default.createFile(atPath: temporary, contents: nil) else {
        throw CocoaError(.fileWriteNoPermission, userInfo: [NSFilePathErrorKey: path])
    }
    defer { try? FileManager.default.removeItem(atPath: temporary) }
    let file = try FileHandle(forWritingTo: URL(filePath: temporary))
    defer { try? file.close() }
    try file.write(
        contentsOf: Data(Array("tally/chain/v1".utf8) + [0] + store.genesis.network.digest.bytes))
    // What settles while this is written stands in the file as settled; nothing is left out.
    var height = Height.genesis
    while let block = try store.block(at: height.next) {
        try write(block, to: file)
        height = height.next
        progress(AuditProgress(stage: .chain, done: height.value, total: height.value))
    }
    let settled = height
    for block in try store.branch() where block.height == height.next {
        try write(block, to: file)
        height = height.next
    }
    try file.synchronize()
    guard rename(temporary, path) == 0 else {
        throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
    }
    return (height.value, settled.value)
}

/// Writes the effects of all settled transactions as one file.
///
/// The form is that of `Protocols/effects.md`, "Exported effects".
///
/// - Parameters:
///   - store: opened for reading; its worker may be running.
///   - path: of the file.
/// - Returns: the settled height, and the number of effects.
/// - Throws: what makes the ledger unreadable or the file impossible to write.
package func exportEffects(
    of store: LedgerStore, to path: String
) throws -> (height: UInt64, count: UInt64) {
    let temporary = path + ".partial"
    guard FileManager.default.createFile(atPath: temporary, contents: nil) else {
        throw CocoaError(.fileWriteNoPermission, userInfo: [NSFilePathErrorKey: path])
    }
    defer { try? FileManager.default.removeItem(atPath: temporary) }
    let file = try FileHandle(forWritingTo: URL(filePath: temporary))
    defer { try? file.close() }
    try file.write(
        contentsOf: Data(Array("tally/effects/v1".utf8) + [0] + store.genesis.network.digest.bytes))
    let tip = try store.tip()
    var next: UInt64 = 0
    while next < tip.log.size {
        let effects = try store.effects(from: next, below: min(tip.log.size, next + 4_096))
        guard !effects.isEmpty else { break }
        var bytes: [UInt8] = []
        for effect in effects { bytes += bigEndian(UInt32(effect.count)) + effect }
        try file.write(contentsOf: Data(bytes))
        next += UInt64(effects.count)
    }
    try file.synchronize()
    guard rename(temporary, path) == 0 else {
        throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
    }
    return (tip.height.value, next)
}

private func write(_ block: Block, to file: FileHandle) throws {
    try file.write(contentsOf: Data(bigEndian(UInt32(block.bytes.count)) + block.bytes))
}
