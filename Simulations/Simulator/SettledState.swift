import Contracts
import Synchronization

/// Contract state as plain values; two of them compare at once.
struct StateTables: Equatable, Sendable {
    private(set) var tables: [StateTable: [StateKey: [UInt8]]] = [:]
    private var buckets: [UInt16: Set<StateKey>] = [:]

    func value(at key: StateKey) -> [UInt8]? { tables[key.table]?[key] }

    func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        let all = tables[table] ?? [:]
        let chosen = prefix.isEmpty ? all : all.filter { $0.key.key.starts(with: prefix) }
        return chosen.sorted { $0.key < $1.key }.prefix(limit).map { StateEntry($0.key, $0.value) }
    }

    func entries(inBucket bucket: UInt16) -> [StateEntry] {
        (buckets[bucket] ?? []).sorted().compactMap { key in
            value(at: key).map { StateEntry(key, $0) }
        }
    }

    mutating func apply(_ changes: StateChanges) {
        for (key, value) in changes {
            if let value {
                tables[key.table, default: [:]][key] = value
                buckets[key.bucket, default: []].insert(key)
            } else if tables[key.table]?.removeValue(forKey: key) != nil {
                buckets[key.bucket]?.remove(key)
            }
        }
    }

    static func == (lhs: Self, rhs: Self) -> Bool {
        StateTable.allCases.allSatisfy { lhs.tables[$0] ?? [:] == rhs.tables[$0] ?? [:] }
    }

    /// The first key at which two states differ, for a finding.
    func difference(from other: Self) -> String? {
        for table in StateTable.allCases {
            let (own, others) = (tables[table] ?? [:], other.tables[table] ?? [:])
            guard own != others else { continue }
            let keys = Set(own.keys).union(others.keys).sorted()
            guard let key = keys.first(where: { own[$0] != others[$0] }) else { continue }
            let name = String(validating: key.key, as: UTF8.self) ?? "\(key.key)"
            return "table \(table), key \(name)"
        }
        return nil
    }
}

/// The settled state of one node, which its replica reads while the disk moves it on.
final class SettledState: StateView {
    private let content = Mutex(StateTables())

    var tables: StateTables { content.withLock { $0 } }

    func replace(by tables: StateTables) { content.withLock { $0 = tables } }

    func apply(_ changes: StateChanges) { content.withLock { $0.apply(changes) } }

    func value(at key: StateKey) -> [UInt8]? { content.withLock { $0.value(at: key) } }

    func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        content.withLock { $0.entries(in: table, prefix: prefix, limit: limit) }
    }

    func entries(inBucket bucket: UInt16) -> [StateEntry] {
        content.withLock { $0.entries(inBucket: bucket) }
    }
}
