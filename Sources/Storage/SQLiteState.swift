package import Contracts
import Cryptography
import Foundation
import GRDB
import Ledger

/// The settled contract state of a node, read from its ledger file.
package struct SQLiteState: StateView {
    private let store: LedgerStore

    package init(_ store: LedgerStore) {
        self.store = store
    }

    package func value(at key: StateKey) throws(StateFault) -> [UInt8]? {
        try reading { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT value FROM state WHERE kind = ? AND key = ?"),
                arguments: [Int(key.table.rawValue), Data(key.key)]
            ).map { [UInt8]($0) }
        }
    }

    package func entries(
        in table: StateTable, prefix: [UInt8], limit: Int
    ) throws(StateFault) -> [StateEntry] {
        try reading { db in
            let end = successor(of: prefix)
            let rows = try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT key, value FROM state WHERE kind = ? AND key >= ?
                        \(end == nil ? "AND ? IS NULL" : "AND key < ?") ORDER BY key LIMIT ?
                        """),
                arguments: [
                    Int(table.rawValue), Data(prefix), end.map { Data($0) }, limit,
                ])
            return rows.map { row in
                let (key, value): (Data, Data) = (row["key"], row["value"])
                return StateEntry(StateKey(table, [UInt8](key)), [UInt8](value))
            }
        }
    }

    package func entries(inBucket bucket: UInt16) throws(StateFault) -> [StateEntry] {
        try reading { db in
            let rows = try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT kind, key, value FROM state WHERE bucket = ? ORDER BY kind, key
                        """),
                arguments: [Int(bucket)])
            return try rows.map { row in
                let (key, value): (Data, Data) = (row["key"], row["value"])
                let kind: Int = row["kind"]
                guard let number = UInt8(exactly: kind), let table = StateTable(rawValue: number)
                else { throw StateFault("table state has the unknown kind \(kind)") }
                return StateEntry(StateKey(table, [UInt8](key)), [UInt8](value))
            }
        }
    }

    private func reading<Value>(
        _ body: (Database) throws -> Value
    ) throws(StateFault) -> Value {
        do {
            return try store.queue.read(body)
        } catch let fault as StateFault {
            throw fault
        } catch {
            throw StateFault("\(error)")
        }
    }
}

/// The least key above all that start with a prefix; nil when there is none.
private func successor(of prefix: [UInt8]) -> [UInt8]? {
    var next = prefix
    while let last = next.popLast() {
        if last < .max { return next + [last + 1] }
    }
    return nil
}
