package import Contracts
import Ledger

/// Contract state in memory as a replay of the chain makes it, with the bucket of every key.
///
/// A key is hashed to its bucket once, when it first appears: a replay of a million transactions
/// would otherwise spend a third of its time on that.
package struct ReplayedState: StateView {
    package struct Entry: Hashable, Sendable {
        package let bucket: UInt16
        package let value: [UInt8]
    }

    /// By the table's number.
    private var tables: [[[UInt8]: Entry]] = Array(repeating: [:], count: 1 << 8)
    /// Keys of each bucket in order of appearance.
    private var buckets: [[StateKey]] = Array(repeating: [], count: 1 << 16)
    /// Whether a bucket ever held a key.
    private var isKnown = Array(repeating: false, count: 1 << 16)
    /// One changed key of every bucket that changed since the last rehash.
    private var touched: [UInt16: StateKey] = [:]

    package init() {}

    package var count: Int { tables.reduce(0) { $0 + $1.count } }

    package func entry(in table: StateTable, at key: [UInt8]) -> Entry? {
        tables[Int(table.rawValue)][key]
    }

    package func value(at key: StateKey) -> [UInt8]? { entry(in: key.table, at: key.key)?.value }

    package func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        tables[Int(table.rawValue)].filter { $0.key.starts(with: prefix) }
            .map { StateEntry(StateKey(table, $0.key), $0.value.value) }
            .sorted { $0.key < $1.key }.prefix(limit).map { $0 }
    }

    package func entries(in table: StateTable) -> [StateEntry] {
        entries(in: table, prefix: [], limit: .max)
    }

    package func entries(inBucket bucket: UInt16) -> [StateEntry] {
        buckets[Int(bucket)].sorted().compactMap { key in
            value(at: key).map { StateEntry(key, $0) }
        }
    }

    package mutating func apply(_ changes: StateChanges) {
        for (key, value) in changes {
            let bucket = set(key, value)
            isKnown[Int(bucket)] = true
            if touched[bucket] == nil { touched[bucket] = key }
        }
    }

    /// - Returns: the key's bucket.
    private mutating func set(_ key: StateKey, _ value: [UInt8]?) -> UInt16 {
        let table = Int(key.table.rawValue)
        let known = tables[table][key.key]?.bucket
        let bucket = known ?? key.bucket
        if let value {
            tables[table][key.key] = Entry(bucket: bucket, value: value)
            if known == nil { buckets[Int(bucket)].append(key) }
        } else if known != nil {
            tables[table][key.key] = nil
            buckets[Int(bucket)].removeAll { $0 == key }
        }
        return bucket
    }

    /// Brings a tree up to the present state, as a checkpoint does.
    package mutating func rehash(_ tree: inout StateTree) throws(StateFault) {
        tree.mark(
            Dictionary(
                touched.values.map { ($0, nil) }, uniquingKeysWith: { first, _ in first }))
        _ = try tree.rehash(self)
        touched = [:]
    }

    /// Every bucket that ever held a key, ascending, and whether it changed since the last rehash.
    package var knownBuckets: [(bucket: UInt16, isDirty: Bool)] {
        (UInt16.min...UInt16.max).compactMap { bucket in
            isKnown[Int(bucket)] ? (bucket, touched[bucket] != nil) : nil
        }
    }
}
