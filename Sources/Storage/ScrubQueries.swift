package import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger

/// What a scrub asks of a file, while its worker may be writing; no bytes whatever stop it.
extension SalvagedLedger {
    /// What SQLite finds wrong with pages and indexes of the file; every page is read.
    package var pageFaults: [String] {
        guard let queue else { return ["it is no SQLite file, or not there"] }
        do {
            return try queue.read { db in
                try String.fetchAll(db, sql: "PRAGMA integrity_check(20)").filter { $0 != "ok" }
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_INTERRUPT {
            return []
        } catch { return ["\(error)"] }
    }

    /// Ends what another thread asks for; it then finds nothing.
    package func interrupt() { queue?.interrupt() }

    /// Encoded effects at places of the log; nil when one is not there.
    package func effects(from first: UInt64, count: UInt64) -> [[UInt8]]? {
        let (sum, overflow) = first.addingReportingOverflow(count)
        guard !overflow, let start = Int64(exactly: first), let end = Int64(exactly: sum)
        else { return nil }
        let rows = values(
            "SELECT content FROM effects WHERE logIndex >= ? AND logIndex < ? ORDER BY logIndex",
            [start, end])?.compactMap(\.[0].bytes)
        return rows.flatMap { UInt64($0.count) == count ? $0 : nil }
    }

    /// Postings by their numbers, in order: log index, height, debit, credit, microtokens, rule,
    /// height of availability.
    package func postings(from first: Int64, count: Int) -> [[StoredValue]] {
        let (end, overflow) = first.addingReportingOverflow(Int64(count))
        guard !overflow else { return [] }
        return values(
            """
            SELECT logIndex, height, debit, credit, microtokens, rule, availableFrom FROM postings
            WHERE id >= ? AND id < ? ORDER BY id
            """, [first, end]) ?? []
    }

    /// The columns that a settled block and its envelopes have beside their content.
    package func columns(
        at height: Height
    ) -> (block: [StoredValue], envelopes: [[StoredValue]])? {
        guard let number = Int64(exactly: height.value),
            let block = values("SELECT hash, firstIndex FROM blocks WHERE height = ?", [number])?
                .first,
            let envelopes = values(
                "SELECT hash, firstIndex FROM envelopes WHERE height = ? ORDER BY id", [number])
        else { return nil }
        return (block, envelopes)
    }

    /// The newest settled block: term, height, hash, time, size and peaks of the log.
    package var tipColumns: [StoredValue]? {
        values(
            "SELECT term, height, hash, timeMilliseconds, logSize, logPeaks FROM tip", []
        )?.first
    }

    /// Term and certificate of the voter's journal.
    package var journalColumns: [StoredValue]? {
        values("SELECT term, highest FROM journal", [])?.first
    }

    /// Buckets that were hashed at the newest settled checkpoint and did not change since,
    /// ascending; nil when a row of their table is none.
    package var hashedBuckets: [UInt16]? {
        guard let rows = values("SELECT bucket, length(digest), isDirty FROM buckets", []) else {
            return nil
        }
        var buckets: [UInt16] = []
        for row in rows {
            guard let bucket = row[0].integer.flatMap({ UInt16(exactly: $0) }),
                row[1] == .integer(32), [.integer(0), .integer(1)].contains(row[2])
            else { return nil }
            if row[2] == .integer(0) { buckets.append(bucket) }
        }
        return buckets
    }

    /// One bucket of the state with the root that a checkpoint gave it, both of one moment.
    ///
    /// - Returns: nil when it changed since the newest checkpoint, or was never hashed; entries are
    ///   nil when they cannot be read.
    package func hashedBucket(_ bucket: UInt16) -> (root: Digest, entries: [StateEntry]?)? {
        read { db -> (root: Digest, entries: [StateEntry]?)? in
            let row = try Row.fetchOne(
                db, sql: "SELECT digest FROM buckets WHERE bucket = ? AND isDirty = 0",
                arguments: [Int(bucket)])
            guard let row, let root = Digest(StoredValue(row[0] as DatabaseValue).bytes ?? [])
            else {
                return nil
            }
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT kind, key, value FROM state WHERE bucket = ? ORDER BY kind, key",
                arguments: [Int(bucket)])
            let entries = rows.compactMap { row -> StateEntry? in
                let parts = (0..<3).map { StoredValue(row[$0] as DatabaseValue) }
                guard let number = parts[0].integer.flatMap({ UInt8(exactly: $0) }),
                    let table = StateTable(rawValue: number), let key = parts[1].bytes,
                    let value = parts[2].bytes
                else { return nil }
                return StateEntry(StateKey(table, key), value)
            }
            return (root, entries.count == rows.count ? entries : nil)
        }
    }

    private func values(_ sql: String, _ arguments: [Int64]) -> [[StoredValue]]? {
        read { db in
            try Row.fetchAll(
                db.cachedStatement(sql: sql), arguments: StatementArguments(arguments)
            ).map { row in row.databaseValues.map { StoredValue($0) } }
        }
    }
}
