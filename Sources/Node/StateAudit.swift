import Contracts
import Cryptography
import Ledger
import Replay
import Storage

/// Compares the stored contract state and its tree with what re-execution gives.
struct StateAudit {
    let audit: ChainAudit
    let rows: LedgerRows
    private(set) var findings = Findings()

    init(audit: ChainAudit, rows: LedgerRows) {
        self.audit = audit
        self.rows = rows
    }

    mutating func run(progress: (_ done: Int, _ total: Int) -> Void) {
        do {
            try checkEntries(progress)
            try checkBuckets()
        } catch let fault as TableFault {
            findings.add(fault.place, fault.reason)
        } catch {
            findings.add("table state", "\(error)")
        }
    }

    private mutating func checkEntries(_ progress: (Int, Int) -> Void) throws {
        let total = audit.state.count
        var (found, read) = (0, 0)
        let stored = try rows.rows(of: .state)
        while let row = try stored.next() {
            read += 1
            if read % 65_536 == 0 { progress(read, total) }
            guard let table = table(of: row[0]), let key = row[1].bytes,
                let expected = audit.state.entry(in: table, at: key)
            else {
                findings.add(place(row[0], row[1].bytes ?? []), "re-execution has no such entry")
                continue
            }
            found += 1
            if row[3].bytes != expected.value {
                findings.add(
                    place(row[0], key), "column value: it is not what re-execution gives")
            }
            let bucket = Int64(expected.bucket ?? 0)
            if row[2].integer != bucket {
                findings.add(
                    place(row[0], key),
                    "column bucket: it says \(row[2].shown) instead of \(bucket)")
            }
        }
        if found < total { try reportMissing() }
        progress(total, total)
    }

    private func table(of value: StoredValue) -> StateTable? {
        value.integer.flatMap { UInt8(exactly: $0) }.flatMap { StateTable(rawValue: $0) }
    }

    private mutating func reportMissing() throws {
        var keys: Set<StateKey> = []
        let stored = try rows.rows(of: .state)
        while let row = try stored.next() {
            if let table = table(of: row[0]), let key = row[1].bytes {
                keys.insert(StateKey(table, key))
            }
        }
        for table in StateTable.allCases {
            for entry in audit.state.entries(in: table) where !keys.contains(entry.key) {
                findings.add(
                    place(.integer(Int64(table.rawValue)), entry.key.key), "the entry is missing")
            }
        }
    }

    /// A key in hexadecimal, and as text where it is one.
    private func place(_ kind: StoredValue, _ key: [UInt8]) -> String {
        let name = table(of: kind).map { "\($0)" } ?? kind.shown
        let isText = !key.isEmpty && key.allSatisfy { (0x20..<0x7F).contains($0) }
        let text = isText ? " (\(String(decoding: key, as: UTF8.self)))" : ""
        return "table state, \(name), key \(hexString(key))\(text)"
    }

    private mutating func checkBuckets() throws {
        var check = RowCheck(try rows.rows(of: .buckets))
        for (bucket, isDirty) in audit.state.knownBuckets {
            check.expect(
                [
                    .integer(Int64(bucket)), StoredValue(audit.tree.digest(of: bucket).bytes),
                    .integer(isDirty ? 1 : 0),
                ], "", &findings)
        }
        check.finish(&findings)
    }
}
