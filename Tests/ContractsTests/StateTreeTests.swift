import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing

/// Keys few enough to collide, values of any length, removals, all tables.
private func drawnChanges(using random: inout SplitMix64) -> StateChanges {
    var changes: StateChanges = [:]
    for _ in 0..<Int.random(in: 0...12, using: &random) {
        let table = StateTable.allCases.randomElement(using: &random) ?? .members
        let key = (0..<Int.random(in: 0...2, using: &random)).map { _ in
            UInt8.random(in: 0...2, using: &random)
        }
        let value: [UInt8]? =
            UInt8.random(in: 0...2, using: &random) == 0
            ? nil
            : (0..<Int.random(in: 0...3, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
        changes[StateKey(table, key)] = .some(value)
    }
    return changes
}

/// A state that is a list, searched from the front.
private struct ListState {
    var entries: [StateEntry] = []

    mutating func apply(_ changes: StateChanges) {
        for (key, value) in changes {
            entries.removeAll { $0.key == key }
            if let value { entries.append(StateEntry(key, value)) }
        }
        entries.sort { one, other in
            one.key.table == other.key.table
                ? one.key.key.lexicographicallyPrecedes(other.key.key)
                : one.key.table.rawValue < other.key.table.rawValue
        }
    }

    func entries(in table: StateTable, prefix: [UInt8], limit: Int) -> [StateEntry] {
        Array(
            entries.filter { $0.key.table == table && $0.key.key.starts(with: prefix) }
                .prefix(limit))
    }

    func value(_ key: StateKey) -> [UInt8]? { entries.first { $0.key == key }?.value }
}

struct StateTreeTests {
    /// The root by its definition, from nothing but the entries.
    func definedRoot(_ entries: [StateEntry]) -> Digest {
        var buckets: [Int: [StateEntry]] = [:]
        for entry in entries {
            let hash = Digest.sha256([entry.key.table.rawValue] + entry.key.key).bytes
            buckets[Int(hash[0]) * 256 + Int(hash[1]), default: []].append(entry)
        }
        let leaves = (0..<65_536).map { bucket in
            merkleRoot(
                (buckets[bucket] ?? []).sorted { $0.key < $1.key }.map { entry in
                    leafHash(
                        [entry.key.table.rawValue] + bigEndian(UInt64(entry.key.key.count))
                            + entry.key.key + entry.value)
                })
        }
        var level = leaves
        while level.count > 1 {
            level = stride(from: 0, to: level.count, by: 2).map {
                nodeHash(level[$0], level[$0 + 1])
            }
        }
        return level[0]
    }

    @Test("the root is the one of its definition")
    func definition() throws {
        #expect(StateTree().root == definedRoot([]))
        var random = SplitMix64(seed: 1)
        var (state, tree) = (DictionaryState(), StateTree())
        for _ in 0..<8 {
            let changes = drawnChanges(using: &random)
            state.apply(changes)
            tree.mark(changes)
        }
        _ = try tree.rehash(state)
        #expect(tree.root == definedRoot(state.entries))
        #expect(!state.entries.isEmpty)
    }

    @Test("kept step by step, it equals one built anew", arguments: UInt64(0)..<30)
    func incremental(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var (state, tree) = (DictionaryState(), StateTree())
        for _ in 0..<6 {
            var expected: Set<UInt16> = tree.dirty
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let changes = drawnChanges(using: &random)
                state.apply(changes)
                tree.mark(changes)
                expected.formUnion(changes.keys.map(\.bucket))
            }
            #expect(try tree.rehash(state) == expected.sorted())
            #expect(tree.dirty.isEmpty)
            var anew = StateTree()
            anew.mark(
                Dictionary(uniqueKeysWithValues: state.entries.map { ($0.key, .some($0.value)) }))
            _ = try anew.rehash(state)
            #expect(tree.root == anew.root, "replay with seed \(seed)")
        }
        let stored = Dictionary(
            uniqueKeysWithValues: Set(state.entries.map(\.key.bucket)).map {
                ($0, tree.digest(of: $0))
            })
        #expect(StateTree(buckets: stored, dirty: []).root == tree.root)
    }

    @Test("any other table, key or value is another root; a removed entry leaves none")
    func sensitivity() throws {
        func root(_ entries: [StateEntry]) throws -> Digest {
            var (state, tree) = (DictionaryState(), StateTree())
            let changes = Dictionary(
                uniqueKeysWithValues: entries.map { ($0.key, Optional.some($0.value)) })
            state.apply(changes)
            tree.mark(changes)
            _ = try tree.rehash(state)
            return tree.root
        }
        let roots = try [
            root([]), root([StateEntry(StateKey(.items, [1]), [2])]),
            root([StateEntry(StateKey(.items, [1]), [3])]),
            root([StateEntry(StateKey(.items, [1]), [])]),
            root([StateEntry(StateKey(.items, []), [1, 2])]),
            root([StateEntry(StateKey(.items, [1, 2]), [])]),
            root([StateEntry(StateKey(.due, [1]), [2])]),
        ]
        #expect(Set(roots).count == roots.count)
        var (state, tree) = (DictionaryState(), StateTree())
        let key = StateKey(.items, [1])
        for changes: StateChanges in [[key: [2]], [key: nil]] {
            state.apply(changes)
            tree.mark(changes)
            _ = try tree.rehash(state)
        }
        #expect(tree.root == roots[0])
    }

    @Test(
        "layers above a state read as if they had been applied to it",
        arguments: UInt64(0)..<100)
    func layers(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var (base, list, applied) = (DictionaryState(), ListState(), DictionaryState())
        for _ in 0..<6 {
            let changes = drawnChanges(using: &random)
            base.apply(changes)
            applied.apply(changes)
            list.apply(changes)
        }
        let layers = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            drawnChanges(using: &random)
        }
        for layer in layers {
            list.apply(layer)
            applied.apply(layer)
        }
        let view = LayeredState(base: base, layers: layers)
        #expect(applied.entries == list.entries)
        for table in StateTable.allCases {
            for prefix: [UInt8] in [[], [0], [1], [2], [1, 0], [1, 1, 1]] {
                for limit in [0, 1, 2, 3, 7, .max - 1, .max] {
                    let expected = list.entries(in: table, prefix: prefix, limit: limit)
                    #expect(
                        try view.entries(in: table, prefix: prefix, limit: limit) == expected,
                        "seed \(seed), \(table), \(prefix), first \(limit)")
                    #expect(applied.entries(in: table, prefix: prefix, limit: limit) == expected)
                }
            }
            for key: [UInt8] in [[], [0], [1], [2], [0, 0], [1, 2], [2, 2], [9]] {
                let place = StateKey(table, key)
                #expect(try view.value(at: place) == list.value(place), "seed \(seed)")
                #expect(
                    try view.entries(inBucket: place.bucket)
                        == list.entries.filter { $0.key.bucket == place.bucket }, "seed \(seed)")
            }
        }
    }

    @Test(
        "a change set reads its own changes, keeps them by transaction and drops them whole",
        arguments: UInt64(0)..<60)
    func changeSets(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var (base, kept) = (DictionaryState(), ListState())
        for _ in 0..<4 {
            let changes = drawnChanges(using: &random)
            base.apply(changes)
            kept.apply(changes)
        }
        var set = ChangeSet(above: base)
        for _ in 0..<6 {
            let changes = drawnChanges(using: &random)
            for (key, value) in changes { set.set(key.table, key.key, value) }
            var seen = kept
            seen.apply(changes)
            for table in StateTable.allCases {
                for limit in [1, 3, Int.max] {
                    #expect(
                        set.entries(in: table, limit: limit)
                            == seen.entries(in: table, prefix: [], limit: limit),
                        "seed \(seed)")
                }
                for key: [UInt8] in [[], [0], [1], [2], [1, 2]] {
                    #expect(set.bytes(table, key) == seen.value(StateKey(table, key)))
                }
            }
            if Bool.random(using: &random) {
                _ = set.commit()
                kept = seen
            } else {
                set.rollBack()
            }
        }
        var result = base
        result.apply(set.changes)
        #expect(result.entries == kept.entries, "replay with seed \(seed)")
        #expect(set.fault == nil)
    }
}
