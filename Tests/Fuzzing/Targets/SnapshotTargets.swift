import Contracts
import Cryptography
import Ledger
import Wire

extension FuzzTarget {
    /// Parts of a snapshot, checked against the roots of the buckets of the founders' state.
    static func snapshotChunk(_ world: FuzzWorld) throws -> Self {
        var state = DictionaryState()
        state.apply(try genesisState(world.genesis))
        let buckets = (0..<BucketRoots.count).map { state.entries(inBucket: UInt16($0)) }
        let bytes = buckets.map(bucketRoot)
        let roots = try BucketRoots(
            bytes.flatMap(\.bytes), stateRoot: BucketRoots.stateRoot(of: bytes))
        let used = buckets.indices.filter { !buckets[$0].isEmpty }
        let seeds = used.prefix(4).map { chunk(buckets[0...$0].flatMap(\.self), upTo: $0 + 1) }
        return Self(
            "snapshot-chunk", .protobuf, seeds: seeds.map { $0.encoded() },
            hostile: seeds.flatMap(liars).map { $0.encoded() }
        ) { bytes in
            let chunk = try WireStateChunk(strictly: bytes)
            _ = try roots.entries(of: chunk, from: 0)
            return chunk.encoded()
        }
    }

    private static func chunk(_ entries: [StateEntry], upTo next: Int) -> WireStateChunk {
        var chunk = WireStateChunk()
        chunk.next = UInt32(next)
        chunk.rows = entries.map { entry in
            var row = WireStateRow()
            row.table = UInt32(entry.key.table.rawValue)
            row.key = data(entry.key.key)
            row.value = data(entry.value)
            return row
        }
        return chunk
    }

    /// Chunks that lack a row, have one too many, another value, or another end.
    private static func liars(_ chunk: WireStateChunk) -> [WireStateChunk] {
        var missing = chunk
        missing.rows.removeLast()
        var extra = chunk
        extra.rows += chunk.rows.suffix(1)
        var altered = chunk
        altered.rows[0].value += [0]
        var foreign = chunk
        foreign.rows[0].table = 255
        var short = chunk
        short.next -= 1
        var endless = chunk
        endless.next = .max
        return [missing, extra, altered, foreign, short, endless]
    }
}
