import Cryptography
import Foundation
import GRDB
import Ledger
import Logging
import Node
import Replay
import Storage
import TestSupport
import Testing

@Suite("tally repair", .timeLimit(.minutes(5))) struct RepairTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func repaired(_ home: StudiedHome) async throws -> RepairReport {
        try await repair(home: home.home, passphrase: nil, logger: logger)
    }

    /// Every row of every table, by table.
    private static func dump(_ home: StudiedHome) throws -> [LedgerTable: [[StoredValue]]] {
        try LedgerRows.snapshot(of: home.home.ledger) { ledger in
            var dump: [LedgerTable: [[StoredValue]]] = [:]
            for table in LedgerTable.allCases {
                let rows = try ledger.rows(of: table)
                while let row = try rows.next() { dump[table, default: []].append(row) }
            }
            return dump
        }
    }

    /// Damage that a node makes good from its own disk: blocks are whole, all else follows.
    static let derived = [
        "UPDATE state SET value = x'01' WHERE kind = 17",
        "DELETE FROM state WHERE kind = 1", "UPDATE state SET bucket = 1 WHERE kind = 2",
        "DELETE FROM postings WHERE id = 3", "UPDATE postings SET microtokens = microtokens + 1",
        "UPDATE effects SET content = x'00' WHERE logIndex = 5",
        "UPDATE buckets SET digest = zeroblob(32)", "DELETE FROM buckets",
        "UPDATE tip SET height = height - 1", "DELETE FROM tip",
        "UPDATE blocks SET hash = zeroblob(32) WHERE height = 4",
        "UPDATE blocks SET firstIndex = 0", "UPDATE envelopes SET hash = zeroblob(32) WHERE id = 3",
        "DROP INDEX postingsByDebit", "DROP TRIGGER blocksNeverChange",
    ]

    @Test("what follows from blocks is built anew, row by row the same", arguments: derived)
    func derivedTables(sql: String) async throws {
        for account in [Consortium.coordinator, Consortium.north] {
            let home = try StudiedHome(of: account)
            let before = try Self.dump(home)
            if sql.hasPrefix("DROP") {
                let queue = try DatabaseQueue(path: home.home.ledger)
                try await queue.write { try $0.execute(sql: sql) }
                try queue.close()
            } else {
                try home.tamper(sql: sql)
            }
            #expect(try !home.verified().sound)
            let report = try await Self.repaired(home)
            #expect(report.journal == .kept && report.fetchedBlocks == 0, "\(report)")
            #expect(try home.verified().findings == [])
            #expect(try Self.dump(home) == before)
        }
    }

    @Test(
        "a home that lost part of what it signed gives its voting key up",
        arguments: [
            "DELETE FROM votes WHERE height = 5", "DELETE FROM votes",
            "UPDATE votes SET content = x'00' WHERE height = 9", "DELETE FROM journal",
            "UPDATE journal SET highest = x'00'",
        ])
    func lostVotes(sql: String) async throws {
        let home = try StudiedHome(of: Consortium.north)
        let answers = try home.answers()
        try home.tamper(sql: sql)
        let report = try await Self.repaired(home)
        #expect(report.journal == .lost && report.reason != nil)
        let key = try #require(try home.home.member().voteKey)
        #expect(try home.home.retiredKeys() == [key])
        #expect(try Self.dump(home)[.votes] == nil)
        #expect(try home.verified().findings == [])
        #expect(try home.answers() == answers)
    }

    @Test("a coordinator whose receipts were damaged keeps its office")
    func lostReceipts() async throws {
        let home = try StudiedHome(of: Consortium.coordinator)
        let accepted = try Self.dump(home)[.accepted] ?? []
        try home.tamper(sql: "UPDATE accepted SET receipt = x'00' WHERE id = 2")
        #expect(try !home.verified().sound)
        let report = try await Self.repaired(home)
        #expect(report.journal == .kept, "\(report)")
        #expect(try home.home.retiredKeys().isEmpty)
        #expect(try home.verified().findings == [])
        let kept = Set(try Self.dump(home)[.accepted] ?? [])
        #expect(accepted.filter { !kept.contains($0) }.count == 1)
    }

    @Test("a repair that cannot be done leaves every byte of the ledger as it was")
    func impossible() async throws {
        let home = try StudiedHome(of: Consortium.north)
        try home.tamper(sql: "UPDATE envelopes SET content = x'00' WHERE id = 9")
        let before = try Data(contentsOf: URL(filePath: home.home.ledger))
        await #expect(throws: (any Error).self) { try await Self.repaired(home) }
        #expect(try Data(contentsOf: URL(filePath: home.home.ledger)) == before)
        #expect(try home.home.retiredKeys().isEmpty)
    }

    @Test("a repair that was cut short between two renames goes on where it stopped")
    func cutShort() async throws {
        let home = try StudiedHome(of: Consortium.north, .killed)
        let answers = try home.answers()
        let ledger = home.home.ledger
        try FileManager.default.moveItem(atPath: ledger, toPath: ledger + ".damaged")
        let report = try await Self.repaired(home)
        #expect(report.journal == .kept, "\(report)")
        #expect(try home.verified().findings == [])
        #expect(try home.answers() == answers)
    }

    @Test("a blob that changed is not kept under its name")
    func damagedBlob() async throws {
        let home = try StudiedHome(of: Consortium.north)
        let blobs = try BlobStore(folder: home.home.blobs)
        let digest = try #require(try blobs.all().first)
        let sound = try blobs.read(digest)
        try Data(sound.reversed()).write(to: URL(filePath: "\(home.home.blobs)/\(digest)"))
        #expect(try blobs.discardDamaged(digest))
        #expect(!blobs.contains(digest))
        #expect(try blobs.put(sound) == digest)
        #expect(try !blobs.discardDamaged(digest) && blobs.contains(digest))
    }
}
