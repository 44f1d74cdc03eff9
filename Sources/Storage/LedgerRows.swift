import Contracts
import Cryptography
import Foundation
import GRDB
import Ledger
import Wire

/// A value as SQLite holds it, whatever the schema says it should be.
package enum StoredValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    package init(_ bytes: [UInt8]) { self = .blob(bytes) }

    /// - Parameter number: stored by its bits, as the ledger stores amounts and heights.
    package init(_ number: UInt64) { self = .integer(Int64(bitPattern: number)) }

    package var integer: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    package var bytes: [UInt8]? {
        if case .blob(let bytes) = self { bytes } else { nil }
    }

    init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .string(let text): self = .text(text)
        case .blob(let bytes): self = .blob([UInt8](bytes))
        }
    }
}

/// The tables of a ledger file, each with its columns in the order in which rows show them.
package enum LedgerTable: String, CaseIterable, Sendable {
    case genesis, blocks, envelopes, effects
    case votes, journal, statuses, decisions, ballots, pending, proposals, accepted
    case state, buckets, tip, postings
    case checkpoints, undo, snapshot, history

    package var columns: [String] {
        switch self {
        case .genesis: ["id", "document"]
        case .blocks:
            [
                "height", "hash", "header", "signature", "parentCertificate", "firstIndex",
                "opening",
            ]
        case .envelopes: ["id", "hash", "height", "firstIndex", "content"]
        case .effects: ["logIndex", "content"]
        case .votes: ["term", "height", "isFirst", "content"]
        case .journal: ["id", "term", "highest"]
        case .statuses: ["term", "number", "report"]
        case .decisions: ["hash", "term", "content"]
        case .ballots: ["decision", "voter", "content"]
        case .pending: ["term", "height", "hash", "block"]
        case .proposals: ["term", "height", "isFirst", "block"]
        case .accepted: ["id", "hash", "receipt", "envelope"]
        case .state: ["kind", "key", "bucket", "value"]
        case .buckets: ["bucket", "digest", "isDirty"]
        case .tip: ["id", "term", "height", "hash", "timeMilliseconds", "logSize", "logPeaks"]
        case .postings:
            [
                "id", "logIndex", "height", "debit", "credit", "microtokens", "rule",
                "availableFrom",
            ]
        case .checkpoints: ["height", "logPeaks"]
        case .undo: ["bucket", "kind", "key", "height", "value"]
        case .snapshot: ["id", "height", "hash", "proof", "logPeaks", "nextBucket"]
        case .history: ["height", "block"]
        }
    }

    private var keyColumns: Int {
        switch self {
        case .votes, .state, .statuses, .ballots, .proposals: 2
        case .pending: 3
        case .undo: 4
        default: 1
        }
    }

    /// All rows in the order of their key; text comes as its exact bytes.
    fileprivate var query: String {
        let texts: Set = ["debit", "credit", "rule", "voter"]
        let shown = columns.map { texts.contains($0) ? "CAST(\($0) AS BLOB)" : $0 }
        return "SELECT \(shown.joined(separator: ", ")) FROM \(rawValue) "
            + "ORDER BY \(columns.prefix(keyColumns).joined(separator: ", "))"
    }
}

/// Something that SQLite reports of a table, or of the file.
package struct TableFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let place: String
    package let reason: String

    package init(place: String, reason: String) {
        self.place = place
        self.reason = reason
    }

    package var description: String { "\(place): \(reason)" }
}

/// The rows of a ledger file in one snapshot, read by somebody who believes nothing.
///
/// No row is decoded and no column is taken to have its declared type, so that no bytes whatever
/// stop the reader.
package struct LedgerRows {
    let db: Database

    /// Reads one snapshot of a ledger file, while its worker may be running.
    ///
    /// - Throws: ``StorageError`` when the file is not there or is no SQLite file; what `body`
    ///   throws.
    package static func snapshot<Value>(
        of path: String, _ body: (LedgerRows) throws -> Value
    ) throws -> Value {
        guard FileManager.default.fileExists(atPath: path) else {
            throw StorageError.missing(path: path)
        }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA query_only = ON;
                    PRAGMA trusted_schema = OFF;
                    PRAGMA cell_size_check = ON;
                    """)
        }
        do {
            return try DatabaseQueue(path: path, configuration: configuration).read { db in
                try body(LedgerRows(db: db))
            }
        } catch let error as DatabaseError {
            throw StorageError.unreadable(path: path, reason: error.description)
        }
    }

    package func rows(of table: LedgerTable) throws -> StoredRows {
        try StoredRows(db, table: table)
    }

    /// The number of the last block, for showing progress; 0 when it cannot be told.
    package var lastHeight: UInt64 {
        let height = try? Int64.fetchOne(db, sql: "SELECT max(height) FROM blocks")
        return UInt64(clamping: height ?? 0)
    }

    /// What SQLite finds wrong with the file: pages, indexes, constraints, schema, references.
    ///
    /// - Returns: at most a hundred or so for each of these questions.
    package func structureFaults() -> [TableFault] {
        var faults: [TableFault] = []
        func ask(_ place: String, _ body: () throws -> [String]) {
            do {
                faults += try body().map { TableFault(place: place, reason: $0) }
            } catch { faults.append(TableFault(place: place, reason: "SQLite: \(error)")) }
        }
        ask("schema") { try schemaFaults() }
        ask("file") {
            try String.fetchAll(db, sql: "PRAGMA integrity_check").filter { $0 != "ok" }
        }
        ask("references") {
            try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").prefix(100).map { row in
                let parts = (0..<3).map { StoredValue(row[$0] as DatabaseValue).shown }
                return "row \(parts[1]) of table \(parts[0]) names a missing row of \(parts[2])"
            }
        }
        return faults
    }

    /// What is wrong with the values kept of the state at the checkpoints that are handed out.
    package func checkpointFaults() -> [TableFault] {
        do {
            let rows = try Row.fetchAll(db, sql: "SELECT height, logPeaks FROM checkpoints")
            return try missingCheckpoint() + misplacedUndo()
                + rows.compactMap { try fault(ofCheckpoint: $0) }
        } catch { return [TableFault(place: "table undo", reason: "\(error)")] }
    }

    private func fault(ofCheckpoint row: Row) throws -> TableFault? {
        let (height, peaks): (Int64, Data) = (row["height"], row["logPeaks"])
        let bytes = try Row.fetchOne(
            db, sql: "SELECT header FROM blocks WHERE height = ?", arguments: [height]
        ).flatMap { StoredValue($0[0] as DatabaseValue).bytes }
        guard let header = bytes.flatMap({ try? WireBlockHeader(strictly: $0) }),
            header.stateRoot != data(Digest.zero.bytes)
        else {
            return TableFault(
                place: "table checkpoints", reason: "block \(height) is no checkpoint")
        }
        guard let log = MerkleFrontier(size: header.logSize, peaks: [UInt8](peaks)),
            header.logRoot == data(log.root.bytes)
        else {
            return TableFault(
                place: "table checkpoints",
                reason: "the peaks at checkpoint \(height) are not those of its log")
        }
        let roots = try db.bucketRoots(at: Height(UInt64(clamping: height)))
        guard let root = roots.map({ BucketRoots.stateRoot(of: $0) }),
            header.stateRoot != data(root.bytes)
        else { return nil }
        return TableFault(
            place: "table undo",
            reason: "with it, the state at checkpoint \(height) has another root")
    }

    /// The newest checkpoint is always held, once any is.
    private func missingCheckpoint() throws -> [TableFault] {
        guard let held = try Int64.fetchOne(db, sql: "SELECT max(height) FROM checkpoints") else {
            return []
        }
        let rows = try Row.fetchCursor(
            db, sql: "SELECT height, header FROM blocks WHERE height > ?", arguments: [held])
        while let row = try rows.next() {
            guard let bytes = StoredValue(row["header"] as DatabaseValue).bytes,
                let header = try? WireBlockHeader(strictly: bytes),
                header.stateRoot != data(Digest.zero.bytes)
            else { continue }
            let height: Int64 = row["height"]
            return [TableFault(place: "table checkpoints", reason: "block \(height) is missing")]
        }
        return []
    }

    /// Kept values in another bucket than their key's, or of no block after a checkpoint.
    private func misplacedUndo() throws -> [TableFault] {
        let settled = try Int64.fetchOne(db, sql: "SELECT max(height) FROM blocks") ?? 0
        let oldest = try Int64.fetchOne(db, sql: "SELECT min(height) FROM checkpoints")
        let rows = try Row.fetchCursor(db, sql: "SELECT bucket, kind, key, height FROM undo")
        while let row = try rows.next() {
            let (bucket, kind): (Int64, Int64) = (row["bucket"], row["kind"])
            let (key, height): (Data, Int64) = (row["key"], row["height"])
            let table = UInt8(exactly: kind).flatMap { StateTable(rawValue: $0) }
            let place = table.map { Int64(StateKey($0, [UInt8](key)).bucket) }
            if place != bucket || height > settled {
                return [
                    TableFault(
                        place: "table undo", reason: "a value of height \(height) is misplaced")
                ]
            }
            if height <= oldest ?? .max {
                return [
                    TableFault(
                        place: "table undo",
                        reason: "a value of height \(height) is of none of the checkpoints")
                ]
            }
        }
        return []
    }

    /// Compares tables, indexes, triggers and migrations with those of a file made just now.
    private func schemaFaults() throws -> [String] {
        let fresh = try DatabaseQueue()
        try Schema.migrator.migrate(fresh)
        let expected = try fresh.read { try Self.schema(of: $0) }
        let found = try Self.schema(of: db)
        return Set(expected.keys).union(found.keys).sorted().compactMap { name in
            guard let wanted = expected[name] else { return "\(name) does not belong here" }
            guard let present = found[name] else { return "\(name) is missing" }
            return wanted == present ? nil : "\(name) is not as this program makes it"
        }
    }

    private static func schema(of db: Database) throws -> [String: [StoredValue]] {
        var result: [String: [StoredValue]] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT type, name, tbl_name, sql FROM sqlite_schema")
        {
            let values = (0..<4).map { StoredValue(row[$0] as DatabaseValue) }
            result[values.prefix(2).map(\.shown).joined(separator: " ")] = values
        }
        for row in try Row.fetchAll(db, sql: "SELECT identifier FROM grdb_migrations") {
            let value = StoredValue(row[0] as DatabaseValue)
            result["migration \(value.shown)"] = [value]
        }
        return result
    }
}

extension StoredValue {
    /// For a report; a blob by its length alone.
    package var shown: String {
        switch self {
        case .null: "NULL"
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .text(let text): text
        case .blob(let bytes): "\(bytes.count) bytes"
        }
    }
}

/// The rows of one table, ascending by key.
package struct StoredRows {
    package let table: LedgerTable
    private let cursor: RowCursor
    private let width: Int

    fileprivate init(_ db: Database, table: LedgerTable) throws {
        self.table = table
        width = table.columns.count
        do {
            cursor = try Row.fetchCursor(db, sql: table.query)
        } catch { throw TableFault(place: "table \(table.rawValue)", reason: "SQLite: \(error)") }
    }

    /// - Returns: nil after the last row.
    package func next() throws -> [StoredValue]? {
        do {
            guard let row = try cursor.next() else { return nil }
            return (0..<width).map { StoredValue(row[$0] as DatabaseValue) }
        } catch { throw TableFault(place: "table \(table.rawValue)", reason: "SQLite: \(error)") }
    }
}
