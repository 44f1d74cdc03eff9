import Contracts
import Cryptography
import Foundation
import GRDB
package import Ledger
import Wire

extension LedgerStore {
    /// Takes over the journal of an earlier file of this node, all of it or nothing.
    ///
    /// No peer has it: a voter that lost one row of it could sign twice. Only accepted envelopes and
    /// receipts are taken row by row, for they are whole by themselves.
    ///
    /// - Parameter old: the earlier file.
    /// - Throws: ``TableFault`` or ``StorageError`` when a part of it is not whole.
    package func takeJournal(of old: SalvagedLedger) throws {
        let votes = try old.wholeRows(of: .votes)
        let statuses = try old.wholeRows(of: .statuses)
        let proposals = try old.wholeRows(of: .proposals)
        let journal = try old.wholeRows(of: .journal)
        let heard = try [.decisions, .ballots].map { ($0, try old.wholeRows(of: $0)) }
        let (accepted, isWhole) = try acceptedRows(of: old)
        let highest = try highestCertificate(journal)
        let pending = old.pendingBlocks
        try write { db in
            try db.execute(sql: "DELETE FROM accepted")
            for (table, rows) in [(LedgerTable.votes, votes), (.statuses, statuses)] + heard
                + [(.accepted, accepted), (.proposals, proposals)]
            {
                for row in rows { try Self.insert(row, into: table, db) }
            }
            try db.execute(sql: "UPDATE journal SET term = ?", arguments: [journal[0][1].integer])
            if let highest {
                try db.execute(
                    sql: "UPDATE journal SET highest = ?", arguments: [Data(highest.bytes)])
            }
            // A vote's block stays with the vote, also on a branch that a term change left.
            for block in pending {
                try db.execute(
                    sql: """
                        INSERT OR IGNORE INTO pending SELECT ?1, ?2, ?3, ?4
                        WHERE ?2 > (SELECT height FROM tip)
                        """,
                    arguments: [
                        block.slot.term.value, block.height.value, Data(block.hash.bytes),
                        Data(block.bytes),
                    ])
            }
            try db.execute(
                sql: "DELETE FROM proposals WHERE height <= (SELECT height FROM tip)")
            try Self.settleAccepted(db)
            // A receipt that is lost is promised no more; the envelope is on the chain all the same.
            if !isWhole {
                try db.execute(
                    sql: """
                        INSERT OR IGNORE INTO accepted (hash, receipt, envelope)
                        SELECT hash, x'', NULL FROM envelopes;
                        """)
            }
        }
    }

    /// Takes over what an earlier file of this node, which has signed nothing, was told.
    ///
    /// - Throws: ``TableFault`` or ``StorageError`` when a part of it is not whole.
    package func takeHeard(of old: SalvagedLedger) throws {
        let heard = try [.decisions, .ballots, .accepted].map { ($0, try old.wholeRows(of: $0)) }
        try write { db in
            for (table, rows) in heard {
                try db.execute(sql: "DELETE FROM \(table.rawValue)")
                for row in rows { try Self.insert(row, into: table, db) }
            }
            try db.execute(
                sql: """
                    UPDATE accepted SET envelope = NULL WHERE envelope IS NOT NULL
                    AND hash IN (SELECT hash FROM envelopes)
                    """)
        }
    }

    /// An accepted envelope is kept until it is settled.
    private static func settleAccepted(_ db: Database) throws {
        try db.execute(
            sql: """
                UPDATE accepted SET envelope = NULL WHERE envelope IS NOT NULL
                AND hash IN (SELECT hash FROM envelopes);
                DELETE FROM accepted WHERE envelope IS NULL
                AND hash NOT IN (SELECT hash FROM envelopes);
                """)
    }

    /// Does without the journal of an earlier file; what was accepted stays as far as it is whole.
    ///
    /// - Parameters:
    ///   - old: the earlier file.
    ///   - blocks: executed above the settled one; they stay.
    ///   - highest: the highest certificate known without it.
    /// - Throws: ``StorageError``.
    package func dropJournal(
        of old: SalvagedLedger, keeping blocks: [Block], highest: Certificate?
    ) throws {
        let (accepted, _) = try acceptedRows(of: old)
        try write { db in
            try db.execute(
                sql: "UPDATE journal SET term = 0, highest = ?",
                arguments: [Data(highest?.bytes ?? [])])
            let kept = Set(blocks.map { Data($0.hash.bytes) })
            for hash in try Data.fetchAll(db, sql: "SELECT hash FROM pending")
            where !kept.contains(hash) {
                try db.execute(sql: "DELETE FROM pending WHERE hash = ?", arguments: [hash])
            }
            try db.execute(
                sql: """
                    DELETE FROM votes;
                    DELETE FROM statuses;
                    DELETE FROM ballots;
                    DELETE FROM decisions;
                    DELETE FROM proposals;
                    DELETE FROM accepted;
                    """)
            for row in accepted { try Self.insert(row, into: .accepted, db) }
            try Self.settleAccepted(db)
        }
    }

    /// Rows that are whole by themselves: receipts signed by a coordinator of this chain, envelopes
    /// that decode.
    ///
    /// - Returns: the rows, and whether they are all that there were.
    private func acceptedRows(
        of old: SalvagedLedger
    ) throws -> (rows: [[StoredValue]], isWhole: Bool) {
        let decided = ((try? old.wholeRows(of: .decisions)) ?? []).compactMap { row in
            try? Decision(strictly: row[2].bytes ?? [], network: genesis.network).coordinatorKey
        }
        let keys = try terms().terms.map(\.coordinatorKey) + decided
        guard let stored = try? old.wholeRows(of: .accepted) else { return ([], false) }
        let rows = stored.filter { row in
            guard let hash = row[1].bytes, let receipt = row[2].bytes else { return false }
            let isPromise =
                (try? WireReceipt(strictly: receipt)).map { wire in
                    keys.contains { key in
                        Receipt(wire, coordinator: key, network: genesis.network)?.envelope.bytes
                            == hash
                    }
                } ?? false
            guard receipt.isEmpty || isPromise else { return false }
            guard let bytes = row[3].bytes else { return row[3] == .null }
            let envelope = try? Envelope(strictly: bytes, network: genesis.network)
            return envelope?.id.bytes == hash
        }
        return (rows, rows.count == stored.count)
    }

    /// The higher of the certificate in an earlier journal and the one that this file knows.
    private func highestCertificate(_ rows: [[StoredValue]]) throws -> Certificate? {
        guard rows.count == 1, rows[0][1].integer != nil, let bytes = rows[0][2].bytes else {
            throw TableFault(place: "table journal", reason: "it is not one whole row")
        }
        let own = try journal().highest
        guard !bytes.isEmpty else { return own }
        do {
            let old = try Certificate(strictly: bytes)
            return own.map { $0.slot >= old.slot } == true ? own : old
        } catch { throw TableFault(place: "table journal", reason: "\(error)") }
    }

    private static func insert(
        _ row: [StoredValue], into table: LedgerTable, _ db: Database
    ) throws {
        let places = table.columns.map { _ in "?" }.joined(separator: ", ")
        let values = zip(table.columns, row).map { column, value in
            // Text was read as its bytes.
            guard column == "voter", let bytes = value.bytes else { return value.databaseValue }
            return String(decoding: bytes, as: UTF8.self).databaseValue
        }
        try db.cachedStatement(sql: "INSERT INTO \(table.rawValue) VALUES (\(places))")
            .execute(arguments: StatementArguments(values))
    }
}

extension StoredValue {
    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .text(let text): text.databaseValue
        case .blob(let bytes): Data(bytes).databaseValue
        }
    }
}
