import Cryptography
import Ledger

/// The tables of the contract state; `Protocols/state.proto` gives each one's keys and values.
package enum StateTable: UInt8, CaseIterable, Hashable, Sendable {
    case members = 1
    case keys
    case sequences
    case consents
    case records
    case tags
    case items
    case due
    case periods
    case periodItems
    case scores
    case pay
    case payTotals
    case runs
    case rounds
    case models
    case balances
    case residuals
    case supply
    case waiting
    case windows
    case evidence
    case beacons
    case seeds
    case gold
    case roundShares
    case reversals
    case references = 30
    case redemptions
    case claims
    case weights
    case corrections
}

/// Where a value stands in the contract state; ordered by table, then by the key's bytes.
package struct StateKey: Hashable, Comparable, Sendable {
    package let table: StateTable
    package let key: [UInt8]

    package init(_ table: StateTable, _ key: [UInt8]) {
        self.table = table
        self.key = key
    }

    /// All bytes at once: the synthesised form would hash them one by one.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(table.rawValue)
        key.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        guard lhs.table == rhs.table else { return lhs.table.rawValue < rhs.table.rawValue }
        return lhs.key.lexicographicallyPrecedes(rhs.key)
    }

    /// The bucket of the state tree: the first 16 bits of SHA-256 over table and key.
    package var bucket: UInt16 {
        let bytes = Digest.sha256([table.rawValue] + key).bytes
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }
}

package struct StateEntry: Hashable, Sendable {
    package let key: StateKey
    package let value: [UInt8]

    package init(_ key: StateKey, _ value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// Changed values; nil removes the key.
package typealias StateChanges = [StateKey: [UInt8]?]

/// The state could not be read: a fault of the store, never of a transaction.
package struct StateFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { "the contract state cannot be read: \(reason)" }
}

/// A read-only view of contract state: a dictionary in tests, SQLite in a node.
package protocol StateView: Sendable {
    func value(at key: StateKey) throws(StateFault) -> [UInt8]?
    /// Entries of a table whose keys start with a prefix, ascending, the first `limit` of them.
    func entries(
        in table: StateTable, prefix: [UInt8], limit: Int
    ) throws(StateFault) -> [StateEntry]
    /// Entries of one bucket, ascending by ``StateKey``.
    func entries(inBucket bucket: UInt16) throws(StateFault) -> [StateEntry]
}

/// Contract state in memory.
package struct DictionaryState: StateView {
    private var tables: [StateTable: [StateKey: [UInt8]]] = [:]
    private var buckets: [UInt16: Set<StateKey>] = [:]

    package init() {}

    package var entries: [StateEntry] {
        StateTable.allCases.flatMap { entries(in: $0, prefix: [], limit: .max) }
    }

    package func value(at key: StateKey) -> [UInt8]? { tables[key.table]?[key] }

    package func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        let all = tables[table] ?? [:]
        let chosen = prefix.isEmpty ? all : all.filter { $0.key.key.starts(with: prefix) }
        return chosen.sorted { $0.key < $1.key }.prefix(limit).map { StateEntry($0.key, $0.value) }
    }

    package func entries(inBucket bucket: UInt16) -> [StateEntry] {
        (buckets[bucket] ?? []).sorted().compactMap { key in
            value(at: key).map { StateEntry(key, $0) }
        }
    }

    package mutating func apply(_ changes: StateChanges) {
        for (key, value) in changes {
            if let value {
                if tables[key.table, default: [:]].updateValue(value, forKey: key) == nil {
                    buckets[key.bucket, default: []].insert(key)
                }
            } else if tables[key.table]?.removeValue(forKey: key) != nil {
                buckets[key.bucket]?.remove(key)
            }
        }
    }
}

/// Unsettled changes above a settled state, oldest first.
package struct LayeredState: StateView {
    package let base: any StateView
    package let layers: [StateChanges]

    package init(base: any StateView, layers: [StateChanges]) {
        self.base = base
        self.layers = layers
    }

    package func value(at key: StateKey) throws(StateFault) -> [UInt8]? {
        for layer in layers.reversed() {
            if let change = layer[key] { return change }
        }
        return try base.value(at: key)
    }

    /// Below, `limit` more are asked for than may be removed above, so that enough remain.
    package func entries(
        in table: StateTable, prefix: [UInt8], limit: Int
    ) throws(StateFault) -> [StateEntry] {
        let changed = changes { $0.table == table && $0.key.starts(with: prefix) }
        let (enough, overflow) = limit.addingReportingOverflow(changed.count)
        let below = try base.entries(in: table, prefix: prefix, limit: overflow ? limit : enough)
        return Array(merge(below, changed).prefix(limit))
    }

    package func entries(inBucket bucket: UInt16) throws(StateFault) -> [StateEntry] {
        merge(try base.entries(inBucket: bucket), changes { $0.bucket == bucket })
    }

    /// The changes of all layers, each under its bucket: keys are hashed once, not once a bucket.
    func changesByBucket() -> [UInt16: StateChanges] {
        var changed: [UInt16: StateChanges] = [:]
        for (key, value) in changes(where: { _ in true }) {
            changed[key.bucket, default: [:]][key] = .some(value)
        }
        return changed
    }

    private func changes(where belongs: (StateKey) -> Bool) -> StateChanges {
        var changed: StateChanges = [:]
        for layer in layers {
            for (key, value) in layer where belongs(key) { changed[key] = .some(value) }
        }
        return changed
    }

    func merge(_ below: [StateEntry], _ changed: StateChanges) -> [StateEntry] {
        guard !changed.isEmpty else { return below }
        var values = Dictionary(
            below.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
        for (key, value) in changed { values[key] = value }
        return values.sorted { $0.key < $1.key }.map { StateEntry($0.key, $0.value) }
    }
}
