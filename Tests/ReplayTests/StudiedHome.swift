import Contracts
import Foundation
import GRDB
import Ledger
import Node
import Storage
import TestSupport

/// How a worker left its ledger.
enum Ending: Hashable { case closed, killed }

/// The files of every voter's home after the test study, made once.
private let studied = Result<[Ending: [AccountID: [String: Data]]], any Error> {
    let folder = try TemporaryFolder()
    var chain = try StoredChain(in: folder.path)
    try chain.study()
    let killed = try files(of: chain)
    try chain.close()
    return [.killed: killed, .closed: try files(of: chain)]
}

/// Every voter's files by name, without the index of a write-ahead log, which a crash loses.
private func files(of chain: StoredChain) throws -> [AccountID: [String: Data]] {
    var homes: [AccountID: [String: Data]] = [:]
    for voter in chain.voters {
        let names = try FileManager.default.subpathsOfDirectory(atPath: voter.home)
        for name in names where !name.hasSuffix("-shm") {
            let path = "\(voter.home)/\(name)"
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
                !isFolder.boolValue
            else { continue }
            homes[voter.account, default: [:]][name] = try Data(contentsOf: URL(filePath: path))
        }
    }
    return homes
}

/// A folder that goes with its owner.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "tally-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A voter's home after the test study; what a test does to it is its own.
final class StudiedHome: Sendable {
    private let folder: TemporaryFolder
    let home: Home

    init(of account: AccountID = Consortium.coordinator, _ ending: Ending = .closed) throws {
        folder = try TemporaryFolder()
        home = Home(folder.path)
        for (name, content) in try studied.get()[ending]?[account] ?? [:] {
            let file = URL(filePath: "\(folder.path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            _ = FileManager.default.createFile(
                atPath: file.path(percentEncoded: false), contents: content,
                attributes: [.posixPermissions: 0o600])
        }
    }

    /// Changes the ledger behind its triggers and checks, and leaves the schema as it was.
    func tamper(_ body: (Database) throws -> Void) throws {
        let queue = try DatabaseQueue(path: home.ledger)
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            let triggers = try Row.fetchAll(
                db, sql: "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            for trigger in triggers {
                try db.execute(sql: "DROP TRIGGER \(trigger["name"] as String)")
            }
            try body(db)
            for trigger in triggers { try db.execute(sql: trigger["sql"]) }
            _ = try db.checkpoint(.truncate)
        }
        try queue.close()
    }

    func tamper(sql: String) throws { try tamper { try $0.execute(sql: sql) } }

    /// Changes the bytes of the ledger, or of its write-ahead log.
    func editLedger(_ suffix: String = "", _ body: (inout Data) -> Void) throws {
        let file = URL(filePath: home.ledger + suffix)
        var bytes = try Data(contentsOf: file)
        body(&bytes)
        try bytes.write(to: file)
    }

    func verified() throws -> VerificationReport { try verify(home: home) }

    /// What people are told: heights, supply, every balance and every posting.
    func answers() throws -> [String] {
        let store = try LedgerStore.reading(at: home.ledger)
        let state = SQLiteState(store)
        let tip = try store.tip()
        var answers = ["\(tip.height) \(tip.hash) \(tip.log.size)"]
        for table in [StateTable.supply, .balances, .residuals, .payTotals] {
            answers += try state.entries(in: table, prefix: [], limit: .max).map {
                "\(table) \($0.key.key) \($0.value)"
            }
        }
        answers += try store.postings(of: nil).map { "\($0)" }
        for posting in try store.postings(of: nil) {
            answers += try store.postings(of: posting.credit).map { "\($0)" }
        }
        return answers
    }
}
