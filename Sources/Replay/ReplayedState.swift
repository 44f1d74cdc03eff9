package import Contracts
import Ledger

/// Contract state in memory as a replay of the chain makes it, with the bucket of every key.
///
/// A key is hashed to its bucket once, when it first appears: a replay of a million transactions
/// would otherwise spend a third of its time on that.
package struct ReplayedState: StateView {
    package struct Entry: Hashable, Sendable {
        /// Nil only while the entry is being made.
        package fileprivate(set) var bucket: UInt16?
        package let value: [UInt8]
    }

    /// A key that hashes in one piece; an array of bytes hashes each byte for itself.
    private struct Key: Hashable {
        let bytes: [UInt8]

        func hash(into hasher: inout Hasher) {
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    /// By the table's number.
    private var tables: [[Key: Entry]] = Array(repeating: [:], count: 1 << 8)
    /// Keys of each bucket in order of appearance.
    private var buckets: [[StateKey]] = Array(repeating: [], count: 1 << 16)
    /// Whether a bucket ever held a key.
    private var isKnown = Array(repeating: false, count: 1 << 16)
    /// One changed key of every bucket that changed since the last rehash.
    private var touched: [StateKey?] = Array(repeating: nil, count: 1 << 16)

    package init() {}

    package var count: Int { tables.reduce(0) { $0 + $1.count } }

    package func entry(in table: StateTable, at key: [UInt8]) -> Entry? {
        tables[Int(table.rawValue)][Key(bytes: key)]
    }

    package func value(at key: StateKey) -> [UInt8]? { entry(in: key.table, at: key.key)?.value }

    package func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        tables[Int(table.rawValue)].filter { $0.key.bytes.starts(with: prefix) }
            .map { StateEntry(StateKey(table, $0.key.bytes), $0.value.value) }
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
            if touched[Int(bucket)] == nil { touched[Int(bucket)] = key }
        }
    }

    /// - Returns: the key's bucket.
    private mutating func set(_ key: StateKey, _ value: [UInt8]?) -> UInt16 {
        let own = Key(bytes: key.key)
        let table = Int(key.table.rawValue)
        guard let value else {
            guard let bucket = tables[table].removeValue(forKey: own)?.bucket else {
                return key.bucket
            }
            buckets[Int(bucket)].removeAll { $0 == key }
            return bucket
        }
        let bucket = Self.replace(&tables[table][own, default: Entry(value: [])], value, key)
        if bucket.isNew { buckets[Int(bucket.number)].append(key) }
        return bucket.number
    }

    /// Sets an entry where it stands, so that a key is looked up once.
    private static func replace(
        _ entry: inout Entry, _ value: [UInt8], _ key: StateKey
    ) -> (number: UInt16, isNew: Bool) {
        let known = entry.bucket
        let bucket = known ?? key.bucket
        entry = Entry(bucket: bucket, value: value)
        return (bucket, known == nil)
    }

    /// Brings a tree up to the present state, as a checkpoint does.
    package mutating func rehash(_ tree: inout StateTree) throws(StateFault) {
        tree.mark(
            Dictionary(
                touched.compactMap(\.self).map { ($0, nil) },
                uniquingKeysWith: { first, _ in first }))
        _ = try tree.rehash(self)
        touched = Array(repeating: nil, count: touched.count)
    }

    /// Every bucket that ever held a key, ascending, and whether it changed since the last rehash.
    package var knownBuckets: [(bucket: UInt16, isDirty: Bool)] {
        (UInt16.min...UInt16.max).compactMap { bucket in
            isKnown[Int(bucket)] ? (bucket, touched[Int(bucket)] != nil) : nil
        }
    }
}
