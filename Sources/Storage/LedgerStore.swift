import Contracts
import Foundation
import GRDB
package import Ledger

/// What went wrong with a node's ledger or patients file, and what to do.
package enum StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(path: String)
    case unreadable(path: String, reason: String)
    case foreignNetwork(path: String)
    case damaged(path: String, place: String)
    case failedWrite(path: String, reason: String)
    /// It began with a snapshot, and its history is not complete.
    case partial(path: String)

    package var description: String {
        switch self {
        case .missing(let path):
            "there is no ledger at \(path); join a network first with `tally network join`, or, if "
                + "the file was lost, run `tally repair`"
        case .unreadable(let path, let reason): "\(path) cannot be read: \(reason)"
        case .foreignNetwork(let path): "the ledger \(path) belongs to another network"
        case .damaged(let path, let place):
            "\(path) is damaged at \(place); run `tally repair`"
        case .partial(let path):
            "\(path) is partial: older blocks are still being fetched; run this again when "
                + "`tally status` says that the history is complete"
        case .failedWrite(let path, let reason):
            "\(path) cannot be written: \(reason). Nothing acknowledged is lost; make "
                + "room or mend the disk, then start again"
        }
    }
}

extension StorageError {
    /// An error of SQLite while it read: bytes that changed, or a file that cannot be had now.
    init(reading path: String, _ error: DatabaseError) {
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self = .damaged(path: path, place: "\(error.message ?? "some page")")
        default: self = .unreadable(path: path, reason: error.description)
        }
    }
}

/// A node's ledger on disk.
///
/// One connection does all writes and checkpoints; reports open the file read-only. Every settled
/// block is one transaction with its state, projections and the voter's journal.
package final class LedgerStore: Sendable {
    package let path: String
    package let genesis: Genesis
    let queue: DatabaseQueue
    /// Nil when the file is only read.
    private let writing: WritingConnection?

    private init(
        path: String, genesis: Genesis, queue: DatabaseQueue, writing: WritingConnection?
    ) {
        self.path = path
        self.genesis = genesis
        self.queue = queue
        self.writing = writing
    }

    /// Creates the ledger of a network, holding its genesis alone.
    package static func create(at path: String, genesis: Genesis) throws -> LedgerStore {
        let queue = try open(path, readOnly: false)
        let founding = try genesisState(genesis)
        try Schema.migrator.migrate(queue)
        let store = LedgerStore(
            path: path, genesis: genesis, queue: queue,
            writing: try WritingConnection(queue, path: path))
        try store.write { db in
            guard try Int.fetchOne(db, sql: "SELECT count(*) FROM genesis") == 0 else { return }
            try db.execute(
                sql: "INSERT INTO genesis VALUES (1, ?)", arguments: [Data(genesis.bytes)])
            try db.execute(
                sql: "INSERT INTO journal VALUES (1, ?, ?)",
                arguments: [Term.genesis.value, Data()])
            try writeTip(Tip(genesis: genesis), in: db)
            try writeState(founding, rehashed: [:], in: db)
        }
        return store
    }

    /// Opens a node's ledger for the one process that writes it.
    package static func open(at path: String) throws -> LedgerStore {
        try existing(at: path, readOnly: false)
    }

    /// Opens a ledger for a report, while its worker may be running.
    package static func reading(at path: String) throws -> LedgerStore {
        try existing(at: path, readOnly: true)
    }

    private static func existing(at path: String, readOnly: Bool) throws -> LedgerStore {
        guard FileManager.default.fileExists(atPath: path) else {
            throw StorageError.missing(path: path)
        }
        do {
            let queue = try open(path, readOnly: readOnly)
            if !readOnly { try Schema.migrator.migrate(queue) }
            guard
                let document = try queue.read({ db in
                    try Data.fetchOne(db, sql: "SELECT document FROM genesis")
                })
            else { throw StorageError.damaged(path: path, place: "table genesis") }
            let genesis: Genesis
            do {
                genesis = try Genesis(strictly: [UInt8](document))
            } catch { throw StorageError.damaged(path: path, place: "table genesis: \(error)") }
            return LedgerStore(
                path: path, genesis: genesis, queue: queue,
                writing: readOnly ? nil : try WritingConnection(queue, path: path))
        } catch let error as DatabaseError { throw StorageError(reading: path, error) }
    }

    private static func open(_ path: String, readOnly: Bool) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = readOnly
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            if readOnly {
                try db.execute(sql: "PRAGMA query_only = ON")
            } else {
                try db.execute(
                    sql: """
                        PRAGMA journal_mode = WAL;
                        PRAGMA synchronous = FULL;
                        PRAGMA wal_autocheckpoint = 0;
                        PRAGMA trusted_schema = OFF;
                        """)
            }
        }
        do {
            return try DatabaseQueue(path: path, configuration: configuration)
        } catch let error as DatabaseError { throw StorageError(reading: path, error) }
    }

    /// Runs one write transaction; a failure is final, for a failed fsync must never be retried.
    func write(_ body: (Database) throws -> Void) throws {
        guard let writing else {
            throw StorageError.failedWrite(path: path, reason: "it is open to be read only")
        }
        try writing.write(body)
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try queue.read(body)
        } catch let error as DatabaseError { throw StorageError(reading: path, error) }
    }

    /// Folds the write-ahead log into the file and closes it.
    package func close() throws {
        if let writing { try writing.close() } else { try queue.close() }
    }

    func damaged(_ place: String) -> StorageError { .damaged(path: path, place: place) }
}
