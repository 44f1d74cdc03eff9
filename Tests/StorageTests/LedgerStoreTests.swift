import Contracts
import Cryptography
import Federation
import Foundation
import GRDB
import Ledger
import Storage
import Testing
import TestSupport

/// A consortium on the disk in a folder that goes with it.
private final class Scratch {
    let folder: String
    var chain: StoredChain

    init() throws {
        folder = NSTemporaryDirectory() + "tally-\(UUID().uuidString)"
        chain = try StoredChain(in: folder)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// A block with consents, and two that settle it.
    func grow(_ name: String = "first") throws {
        try chain.submit(
            (0..<5).map { .grant(named("\(name) \($0)")) }, by: Consortium.north)
        try chain.settle()
    }

    /// Another connection to a voter's ledger, as another process has it.
    func database(_ voter: Int = 1) throws -> DatabaseQueue {
        try DatabaseQueue(path: chain.voters[voter].ledger)
    }

    func count(_ table: String, _ voter: Int = 1) throws -> Int {
        try database(voter).read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") ?? -1
        }
    }
}

@Suite("Ledger store") struct LedgerStoreTests {
    private static let tables = [
        "blocks", "envelopes", "effects", "votes", "pending", "state", "buckets", "tip",
        "postings", "journal",
    ]

    @Test("a settled block is there with all that it did")
    func settled() throws {
        let scratch = try Scratch()
        try scratch.grow()
        let voter = scratch.chain.voters[1]
        #expect(try voter.store.tip() == voter.replica.settled)
        #expect(voter.replica.settled.height == Height(1))
        let block = try #require(try voter.store.block(at: Height(1)))
        #expect(block.hash == voter.replica.settled.hash)
        let id = try #require(block.envelopes.first?.id)
        let outcomes = try #require(try voter.store.outcomes(of: id))
        #expect(outcomes.height == Height(1) && outcomes.outcomes == [0, 0, 0, 0, 0])
        #expect(try voter.store.block(at: Height(2)) == nil)
        #expect(try voter.store.pendingBlocks().map(\.height) == [Height(2), Height(3)])
        // The coordinator keeps the receipt and lets go of the envelope.
        #expect(try scratch.chain.voters[0].store.receipt(of: id) != nil)
        #expect(try scratch.chain.voters[0].store.waitingEnvelopes().isEmpty)
        #expect(try scratch.chain.voters[0].store.proposals().count == 2)
    }

    /// A commitment that is ready to be kept: it settles block 4, which grants a consent.
    private func commitment(_ scratch: Scratch) throws -> Commitment {
        try scratch.grow()
        try scratch.chain.submit([.grant(named("more"))], by: Consortium.east)
        try scratch.chain.settle(atMost: 2)
        let chain = scratch.chain
        var (coordinator, replica) = (chain.coordinator, chain.voters[0].replica)
        let now = chain.now + 50
        let block = try #require(try coordinator.propose(above: &replica, now: now))
        var voter = chain.voters[1].replica
        guard case .commit(let commitment) = try voter.consider(block, now: now) else {
            throw CancellationError()
        }
        #expect(commitment.settled.map(\.tip.height) == [Height(4)])
        return commitment
    }

    @Test(
        "a commitment is kept whole or not at all",
        arguments: [
            "blocks", "envelopes", "effects", "tip", "state", "votes", "pending", "journal",
        ])
    func atomic(table: String) throws {
        let scratch = try Scratch()
        let commitment = try commitment(scratch)
        let store = scratch.chain.voters[1].store
        // The disk fails at this table, whatever was written before it.
        try scratch.database().write { db in
            for event in ["INSERT", "UPDATE"] {
                try db.execute(
                    sql: """
                        CREATE TRIGGER fail\(event) BEFORE \(event) ON \(table)
                        BEGIN SELECT RAISE(ABORT, 'no more'); END
                        """)
            }
        }
        let before = try Self.tables.map { try scratch.count($0) }
        let tip = try store.tip()
        #expect(throws: StorageError.self) { try store.commit(commitment) }
        #expect(try Self.tables.map { try scratch.count($0) } == before)
        #expect(try store.tip() == tip)
        try scratch.database().write { db in
            try db.execute(sql: "DROP TRIGGER failINSERT; DROP TRIGGER failUPDATE")
        }
        try store.commit(commitment)
        #expect(try store.tip().height == Height(4))
        #expect(try store.vote(at: commitment.block.tip.slot) == commitment.votes.first)
    }

    @Test("a second vote at one slot is refused, also across a restart")
    func doubleVote() throws {
        let scratch = try Scratch()
        let commitment = try commitment(scratch)
        try scratch.chain.voters[1].store.commit(commitment)
        #expect(throws: StorageError.self) {
            try scratch.chain.voters[1].store.commit(commitment)
        }
        try scratch.chain.voters[1].restart()
        #expect(throws: StorageError.self) {
            try scratch.chain.voters[1].store.commit(commitment)
        }
        #expect(try scratch.count("votes") == 6)
    }

    @Test("a second first block of a term is refused by the schema")
    func secondFirstBlock() throws {
        let scratch = try Scratch()
        try scratch.grow()
        let insert = "INSERT INTO votes VALUES (?, ?, ?, x'00')"
        #expect(throws: DatabaseError.self) {
            try scratch.database().write { try $0.execute(sql: insert, arguments: [1, 9, 1]) }
        }
        try scratch.database().write { db in
            try db.execute(sql: insert, arguments: [1, 9, 0])
            try db.execute(sql: insert, arguments: [2, 9, 1])
        }
        #expect(throws: DatabaseError.self) {
            try scratch.database().write { try $0.execute(sql: insert, arguments: [2, 10, 1]) }
        }
    }

    @Test(
        "the ledger's tables refuse UPDATE and DELETE",
        arguments: [
            "genesis", "blocks", "envelopes", "effects",
        ])
    func appendOnly(table: String) throws {
        let scratch = try Scratch()
        try scratch.grow()
        #expect(try scratch.count(table) > 0)
        for statement in ["DELETE FROM \(table)", "UPDATE \(table) SET rowid = rowid + 100"] {
            let error = #expect(throws: DatabaseError.self) {
                try scratch.database().write { try $0.execute(sql: statement) }
            }
            #expect(error?.message == "the ledger is append-only")
        }
    }

    @Test(
        "hashes of another length are refused",
        arguments: [
            "INSERT INTO blocks VALUES (99, x'00', x'', zeroblob(64), x'', 0)",
            "INSERT INTO blocks VALUES (99, zeroblob(32), x'', zeroblob(63), x'', 0)",
            "INSERT INTO blocks VALUES (0, zeroblob(32), x'', zeroblob(64), x'', 0)",
            "INSERT INTO envelopes VALUES (99, zeroblob(31), 1, 0, x'')",
            "INSERT INTO envelopes VALUES (99, zeroblob(32), 77, 0, x'')",
            "INSERT INTO accepted VALUES (99, zeroblob(33), x'', NULL)",
            "INSERT INTO effects VALUES (99, 'text')",
            "INSERT INTO genesis VALUES (2, x'')",
        ])
    func constraints(statement: String) throws {
        let scratch = try Scratch()
        try scratch.grow()
        #expect(throws: DatabaseError.self) {
            try scratch.database().write { try $0.execute(sql: statement) }
        }
    }

    @Test("a restart goes on from the same tip, log, tree and votes")
    func restart() throws {
        let scratch = try Scratch()
        let twin = try Scratch()
        for round in 0..<6 {
            for one in [scratch, twin] {
                try one.chain.submit([.grant(named("patient \(round)"))], by: Consortium.north)
                try one.chain.settle(atMost: round % 3 + 1)
            }
            for voter in 1..<4 {
                let before = scratch.chain.voters[voter]
                let votes = try before.store.vote(at: before.replica.head.slot)
                try scratch.chain.voters[voter].restart()
                let after = scratch.chain.voters[voter]
                #expect(after.replica.settled == before.replica.settled)
                #expect(after.replica.head == before.replica.head)
                #expect(after.replica.unsettled.map(\.tip) == before.replica.unsettled.map(\.tip))
                #expect(try after.store.vote(at: after.replica.head.slot) == votes)
            }
        }
        // Checkpoints in between: the roots in the headers come out as without any restart.
        #expect(scratch.chain.replica.head == twin.chain.replica.head)
        #expect(scratch.chain.voters[2].replica.head == twin.chain.voters[2].replica.head)
        #expect(scratch.chain.replica.head.height.value > 10)
        let tree = try scratch.chain.voters[2].store.stateTree()
        let other = try twin.chain.voters[2].store.stateTree()
        #expect(tree.root == other.root && tree.dirty == other.dirty)
    }

    @Test("reports read while the writer writes, and see whole blocks only")
    func readingBesideTheWriter() throws {
        let scratch = try Scratch()
        try scratch.grow()
        let reader = try LedgerStore.reading(at: scratch.chain.voters[1].ledger)
        #expect(try reader.tip().height == Height(1))
        try scratch.grow("second")
        #expect(try reader.tip() == scratch.chain.voters[1].replica.settled)
        let tip = try reader.tip()
        try LedgerRows.snapshot(of: scratch.chain.voters[1].ledger) { rows in
            let first = try #require(try rows.rows(of: .tip).next())
            try scratch.grow("third")
            // The snapshot stays where it began.
            #expect(try rows.rows(of: .tip).next() == first)
            #expect(rows.lastHeight == tip.height.value)
        }
        #expect(try reader.tip().height > tip.height)
        #expect(throws: (any Error).self) {
            try reader.accept(
                scratch.chain.envelope([.grant(named("x"))], by: Consortium.east),
                receipt: [])
        }
    }

    @Test("the first proposal at a height stands, and the same again is no harm")
    func proposals() throws {
        let scratch = try Scratch()
        try scratch.grow()
        let store = scratch.chain.voters[0].store
        let standing = try #require(try store.proposals().last)
        #expect(try store.append(standing))
        let rival = try Block(
            header: standing.header, envelopes: [], parentCertificate: standing.parentCertificate,
            network: scratch.chain.network, key: signingKey(of: Consortium.east))
        #expect(try !store.append(rival))
        #expect(try store.proposals().last == standing)
    }

    @Test("the state of a node is its contracts' state, entry by entry")
    func stateView() throws {
        let scratch = try Scratch()
        try scratch.grow()
        let view = SQLiteState(scratch.chain.voters[1].store)
        for index in 0..<5 {
            let key = StateKey(.consents, named("first \(index)"))
            let value = try #require(try view.value(at: key))
            #expect(try view.entries(inBucket: key.bucket).contains(StateEntry(key, value)))
        }
        let all = try view.entries(in: .consents, prefix: [], limit: .max)
        #expect(all.count == 5 && all.map(\.key) == all.map(\.key).sorted())
        #expect(try view.entries(in: .consents, prefix: [], limit: 2) == Array(all.prefix(2)))
        let prefix = Array(all[3].key.key.prefix(2))
        #expect(try view.entries(in: .consents, prefix: prefix, limit: 9) == [all[3]])
        #expect(try view.value(at: StateKey(.consents, named("nobody"))) == nil)
        let last = [UInt8](repeating: 255, count: 2)
        #expect(try view.entries(in: .consents, prefix: last, limit: 9).isEmpty)
    }

    @Test("a ledger that is not there, or another network's, is refused with a sentence")
    func refusals() throws {
        let scratch = try Scratch()
        let path = scratch.folder + "/nowhere.sqlite"
        #expect(throws: StorageError.missing(path: path)) { try LedgerStore.open(at: path) }
        #expect(throws: StorageError.missing(path: path)) { try LedgerStore.reading(at: path) }
        try Data("this is no database, but a text of some length".utf8)
            .write(to: URL(filePath: path))
        let error = #expect(throws: StorageError.self) { try LedgerStore.reading(at: path) }
        #expect(error?.description.contains(path) == true)
    }
}
