import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

@Suite("Snapshots", .timeLimit(.minutes(5))) struct SnapshotTests {
    private let home: StudiedHome
    private let source: LedgerStore
    private let folder: TemporaryFolder

    init() throws {
        home = try StudiedHome()
        source = try LedgerStore.reading(at: home.home.ledger)
        folder = try TemporaryFolder()
    }

    private var path: String { "\(folder.path)/joining.sqlite" }

    private func checkpoint() throws -> ProvenCheckpoint {
        let newest = try #require(try source.newestCheckpoint())
        return try ProvenCheckpoint(
            Prover(source).proof(ofBlockAt: newest.height), logPeaks: newest.logPeaks,
            genesis: source.genesis)
    }

    /// Takes a snapshot as a site does that joins.
    private func joined(
        _ checkpoint: ProvenCheckpoint, altering: (inout WireStateChunk) -> Void = { _ in }
    ) throws -> LedgerStore {
        let bytes = try #require(try source.bucketRoots(at: checkpoint.height)).flatMap(\.bytes)
        let store = try LedgerStore.create(at: path, genesis: source.genesis)
        try store.beginSnapshot(
            checkpoint, BucketRoots(bytes, stateRoot: checkpoint.header.stateRoot))
        let roots = try store.snapshotRoots(stateRoot: checkpoint.header.stateRoot)
        var next = 0
        while next < BucketRoots.count {
            var chunk = try #require(try source.stateChunk(at: checkpoint.height, from: next))
            altering(&chunk)
            let entries = try roots.entries(of: chunk, from: next)
            next = Int(chunk.next)
            try store.takeSnapshot(entries, upTo: next)
        }
        try store.finishSnapshot(checkpoint)
        return store
    }

    private func rows(of table: LedgerTable, in path: String) throws -> [[StoredValue]] {
        try LedgerRows.snapshot(of: path) { ledger in
            let rows = try ledger.rows(of: table)
            var all: [[StoredValue]] = []
            while let row = try rows.next() { all.append(row) }
            return all
        }
    }

    @Test("a ledger that begins with a snapshot follows to the same state, and gets its history")
    func follows() throws {
        let checkpoint = try checkpoint()
        let store = try joined(checkpoint)
        #expect(try store.tip().hash == checkpoint.hash)
        #expect(try store.snapshot()?.isWhole == true)
        var replica = Replica(
            genesis: source.genesis, account: Consortium.north, voteKeys: [],
            journal: try store.journal(), settled: try store.tip(), state: SQLiteState(store),
            tree: try store.stateTree())
        var blocks: [Block] = []
        while let block = try source.block(
            at: checkpoint.height.advanced(by: UInt64(blocks.count) + 1))
        {
            blocks.append(block)
        }
        try #require(!blocks.isEmpty, "the study goes on after its newest checkpoint")
        for block in try blocks + source.branch() {
            guard case .commit(let commitment) = try replica.consider(block, now: .max / 2) else {
                Issue.record("block \(block.height) is not taken")
                return
            }
            try store.commit(commitment)
            replica.advance(by: commitment)
        }
        #expect(try store.tip() == source.tip())
        #expect(try rows(of: .state, in: path) == rows(of: .state, in: home.home.ledger))
        while let (height, hash) = try store.missingHistory() {
            let blocks = try source.blocks(downFrom: height, hash: hash)
            try #require(blocks.first?.hash == hash)
            try store.keepHistory(blocks)
        }
        #expect(try rows(of: .history, in: path).count == Int(checkpoint.height.value))
        #expect(throws: StorageError.partial(path: path)) { try store.requireHistory() }
        try store.close()
    }

    @Test("the state at each checkpoint that is held is the one of its header")
    func held() throws {
        let heights = try rows(of: .checkpoints, in: home.home.ledger).compactMap(\.[0].integer)
        #expect(heights.count == 2)
        let tip = try source.tip().height
        for height in heights.map({ Height(UInt64($0)) }) {
            #expect(height < tip)
            let roots = try #require(try source.bucketRoots(at: height))
            let header = try #require(try source.signedHeader(at: height)).header
            #expect(header.stateRoot != .zero)
            #expect(BucketRoots.stateRoot(of: roots) == header.stateRoot, "height \(height)")
        }
        #expect(try source.bucketRoots(at: tip) == nil)
        #expect(try source.stateChunk(at: tip, from: 0) == nil)
        #expect(try source.stateChunk(at: checkpoint().height, from: BucketRoots.count) == nil)
    }

    /// What a lying peer does to the first chunk.
    enum Lie: CaseIterable {
        case alteredValue, alteredKey, otherTable, unknownTable, missing, twice, added
        case shorter, longer, past

        func tell(_ chunk: inout WireStateChunk) {
            switch self {
            case .alteredValue: chunk.rows[3].value += [1]
            case .alteredKey: chunk.rows[3].key += [1]
            case .otherTable: chunk.rows[3].table = chunk.rows[3].table == 1 ? 2 : 1
            case .unknownTable: chunk.rows[3].table = 0x1_0001
            case .missing: chunk.rows.remove(at: 3)
            case .twice: chunk.rows.insert(chunk.rows[3], at: 3)
            case .added:
                var row = WireStateRow()
                row.table = UInt32(StateTable.balances.rawValue)
                row.key = data(Array("site/mallory".utf8))
                row.value = data([8, 1])
                chunk.rows.append(row)
            case .shorter: chunk.next = 1
            case .longer: chunk.next = UInt32(BucketRoots.count)
            case .past: chunk.next = .max
            }
        }
    }

    @Test("a chunk that was altered is refused, and nothing of it is kept", arguments: Lie.allCases)
    func lies(lie: Lie) throws {
        #expect(throws: SnapshotFault.self) {
            _ = try joined(try checkpoint()) { lie.tell(&$0) }
        }
        #expect(try rows(of: .state, in: path).isEmpty)
        #expect(try rows(of: .snapshot, in: path).first?.last == .integer(0))
    }

    @Test("a state that changed on the own disk does not pass for the checkpoint's")
    func ownDisk() throws {
        let checkpoint = try checkpoint()
        let store = try joined(checkpoint)
        try store.takeSnapshot(
            [StateEntry(StateKey(.balances, Array("site/mallory".utf8)), [8, 1])],
            upTo: BucketRoots.count)
        #expect(throws: SnapshotFault.wrongState) { try store.finishSnapshot(checkpoint) }
        try store.close()
    }

    @Test("only a settled checkpoint is proven, with its own log")
    func checkpoints() throws {
        let checkpoint = try checkpoint()
        let newest = try #require(try source.newestCheckpoint())
        func fault(
            _ proof: SettlementProof, _ peaks: [UInt8], _ genesis: Genesis? = nil
        ) -> ProofFault? {
            do throws(ProofFault) {
                _ = try ProvenCheckpoint(
                    proof, logPeaks: peaks, genesis: genesis ?? source.genesis)
            } catch { return error }
            return nil
        }
        #expect(fault(checkpoint.proof, newest.logPeaks) == nil)
        // Another block is settled as well, and no checkpoint.
        let other = newest.height.next
        #expect(try source.signedHeader(at: other)?.header.stateRoot == .zero)
        #expect(
            fault(try Prover(source).proof(ofBlockAt: other), newest.logPeaks)
                == .noCheckpoint(other))
        // The checkpoint's own certificate settles what is below it, not the checkpoint.
        let header = try #require(try source.signedHeader(at: newest.height))
        let child = try #require(try source.block(at: newest.height.next))
        let alone = try SettlementProof(
            headers: [header], certificate: try #require(child.parentCertificate), terms: [],
            transaction: nil, network: source.genesis.network)
        #expect(fault(alone, newest.logPeaks) == .notSettled)
        for peaks in [[], Array(newest.logPeaks.dropLast(32)), newest.logPeaks + [0]] {
            #expect(
                fault(checkpoint.proof, peaks)
                    == .badPart("log", "its subtrees do not come to the header's root"))
        }
        var altered = newest.logPeaks
        altered[5] ^= 1
        #expect(fault(checkpoint.proof, altered) != nil)
    }

    @Test("roots of buckets that do not come to the state root are refused")
    func roots() throws {
        let checkpoint = try checkpoint()
        var bytes = try #require(try source.bucketRoots(at: checkpoint.height)).flatMap(\.bytes)
        bytes[77] ^= 1
        #expect(throws: SnapshotFault.wrongRoots) {
            try BucketRoots(bytes, stateRoot: checkpoint.header.stateRoot)
        }
        #expect(throws: SnapshotFault.wrongRoots) {
            try BucketRoots(Array(bytes.dropLast(32)), stateRoot: checkpoint.header.stateRoot)
        }
    }

    @Test("blocks are handed out downwards from a settled block alone")
    func history() throws {
        let tip = try source.tip()
        let blocks = try source.blocks(downFrom: tip.height, hash: tip.hash)
        #expect(blocks.first?.hash == tip.hash)
        for (block, below) in zip(blocks, blocks.dropFirst()) {
            #expect(block.header.previous == below.hash)
        }
        #expect(try source.blocks(downFrom: tip.height, hash: .zero).isEmpty)
        #expect(try source.blocks(downFrom: .genesis, hash: source.genesis.network.digest).isEmpty)
        #expect(try source.blocks(downFrom: tip.height.next, hash: tip.hash).isEmpty)
    }
}
