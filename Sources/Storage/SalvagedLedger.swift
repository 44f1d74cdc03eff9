import Foundation
import GRDB
package import Ledger
import Wire

/// What can still be read of a ledger file that lost or changed bytes.
///
/// Nothing in it is believed: a block is handed out when it decodes, and whoever takes it executes
/// it. What cannot be read counts as not there.
package final class SalvagedLedger: Sendable {
    private let network: NetworkID
    /// Nil when there is no file, or none that SQLite takes for one of its own.
    let queue: DatabaseQueue?

    package init(path: String, network: NetworkID) {
        self.network = network
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
        let isThere = FileManager.default.fileExists(atPath: path)
        queue = isThere ? try? DatabaseQueue(path: path, configuration: configuration) : nil
    }

    package func close() { try? queue?.close() }

    func read<Value>(_ body: (Database) throws -> Value?) -> Value? {
        guard let queue else { return nil }
        return try? queue.read(body)
    }

    /// The genesis document that the file was made for; nil when it is not there whole.
    package var genesis: Genesis? {
        let bytes = read { db in
            try Row.fetchOne(db, sql: "SELECT document FROM genesis")
                .flatMap { StoredValue($0[0] as DatabaseValue).bytes }
        }
        return bytes.flatMap { try? Genesis(strictly: $0) }
    }

    /// The highest block that the file tells of, settled or not; nil when it tells nothing.
    ///
    /// Blocks above the settled one are few. A table that is far above the others has a changed
    /// height, and too low a height does no harm: the worker fetches what comes after.
    package var highest: Height? {
        let heights = ["blocks", "tip", "pending"].compactMap(maximum(in:))
        guard let lowest = heights.min() else { return nil }
        return heights.filter { $0.value - lowest.value <= 64 }.max()
    }

    private func maximum(in table: String) -> Height? {
        let number = read { db in
            try Row.fetchOne(db, sql: "SELECT max(height) FROM \(table)")
                .flatMap { StoredValue($0[0] as DatabaseValue).integer }
        }
        return number.flatMap { UInt64(exactly: $0) }.map { Height($0) }
    }

    /// The snapshot that a partial ledger began with; nil in a whole one, or when it is damaged.
    package var snapshot: StoredSnapshot? { read { try $0.snapshot() } }

    /// Height of the lowest block of the history that is here; nil when none is.
    package var lowestHistory: Height? {
        let number = read { db in
            try Row.fetchOne(db, sql: "SELECT min(height) FROM history")
                .flatMap { StoredValue($0[0] as DatabaseValue).integer }
        }
        return number.flatMap { UInt64(exactly: $0) }.flatMap { $0 > 0 ? Height($0) : nil }
    }

    /// A settled block; nil when it is not there whole.
    package func block(at height: Height) -> Block? { settledBlock(height) ?? historic(height) }

    private func historic(_ height: Height) -> Block? {
        guard let number = Int64(exactly: height.value) else { return nil }
        let bytes = read { db in
            try Row.fetchOne(
                db, sql: "SELECT block FROM history WHERE height = ?", arguments: [number]
            ).flatMap { StoredValue($0[0] as DatabaseValue).bytes }
        }
        return bytes.flatMap { try? Block(strictly: $0, network: network) }
    }

    private func settledBlock(_ height: Height) -> Block? {
        guard let number = Int64(exactly: height.value) else { return nil }
        let wire: WireBlock? = read { db in
            guard
                let row = try Row.fetchOne(
                    db,
                    sql: """
                        SELECT header, signature, parentCertificate, opening FROM blocks
                        WHERE height = ?
                        """, arguments: [number])
            else { return nil }
            func bytes(_ name: String) -> [UInt8] {
                StoredValue(row[name] as DatabaseValue).bytes ?? []
            }
            var wire = WireBlock()
            wire.header = data(bytes("header"))
            wire.signature = data(bytes("signature"))
            wire.parentCertificate = data(bytes("parentCertificate"))
            wire.opening = data(bytes("opening"))
            wire.envelopes = try Row.fetchAll(
                db, sql: "SELECT content FROM envelopes WHERE height = ? ORDER BY id",
                arguments: [number]
            ).map { data(StoredValue($0[0] as DatabaseValue).bytes ?? []) }
            return wire
        }
        guard let wire else { return nil }
        return try? Block(strictly: wire.encoded(), network: network)
    }

    /// Blocks above the settled ones, as far as they are whole, ascending by slot.
    package var pendingBlocks: [Block] {
        let rows = read { db in
            try Row.fetchAll(db, sql: "SELECT block FROM pending ORDER BY term, height, hash")
        }
        return (rows ?? []).compactMap { row in
            let bytes = StoredValue(row[0] as DatabaseValue).bytes ?? []
            return try? Block(strictly: bytes, network: network)
        }
    }

    /// Values of a table of the contract state, as far as they can be read.
    package func stateValues(kind: UInt8) -> [[UInt8]] {
        let rows = read { db in
            try Row.fetchAll(
                db, sql: "SELECT value FROM state WHERE kind = ?", arguments: [Int(kind)])
        }
        return (rows ?? []).compactMap { StoredValue($0[0] as DatabaseValue).bytes }
    }

    /// All rows of a table, after SQLite found its pages and indexes whole.
    ///
    /// - Throws: ``TableFault``.
    func wholeRows(of table: LedgerTable) throws -> [[StoredValue]] {
        let place = "table \(table.rawValue)"
        guard let queue else { throw TableFault(place: place, reason: "the file is gone") }
        do {
            return try queue.read { db in
                let faults = try String.fetchAll(
                    db, sql: "PRAGMA integrity_check(\(table.rawValue))")
                if let fault = faults.first(where: { $0 != "ok" }) {
                    throw TableFault(place: place, reason: fault)
                }
                let stored = try LedgerRows(db: db).rows(of: table)
                var rows: [[StoredValue]] = []
                while let row = try stored.next() { rows.append(row) }
                return rows
            }
        } catch let fault as TableFault {
            throw fault
        } catch { throw TableFault(place: place, reason: "SQLite: \(error)") }
    }
}
