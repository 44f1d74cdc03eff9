import Cryptography
import Foundation
import GRDB
import Ledger
import Node
import Replay
import Storage
import Testing
import TestSupport

@Suite("tally verify", .timeLimit(.minutes(5))) struct VerificationTests {
    @Test("an untouched home is sound", arguments: Consortium.voters)
    func untouched(account: AccountID) throws {
        let home = try StudiedHome(of: account)
        let report = try home.verified()
        #expect(report.findings == [])
        #expect(report.sound && report.findingCount == 0)
        #expect(report.height > 50 && report.transactions > 250 && report.postings > 40)
        #expect(report.envelopes > 50 && report.stateEntries > 250)
        // Initial model, three offers, and three updates, manifests and a model a round, of which
        // manifests are the same in both.
        #expect(report.blobs == 15 && report.blobsElsewhere == 0)
    }

    @Test("the report has the keys that scripts rely on")
    func reportKeys() throws {
        let encoded = try JSONEncoder().encode(StudiedHome().verified())
        let object = try #require(
            try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
        #expect(object["sound"] as? Bool == true)
        #expect(object["height"] is Int && object["transactions"] is Int)
        #expect((object["findings"] as? [Any])?.isEmpty == true)
    }

    struct Column: CustomTestStringConvertible {
        let table: String
        let name: String
        var testDescription: String { "\(table).\(name)" }
    }

    /// Every column of every table of the file, the table of migrations included.
    static func columns() throws -> [Column] {
        let home = try StudiedHome()
        return try DatabaseQueue(path: home.home.ledger).read { db in
            try String.fetchAll(db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table'")
                .flatMap { table in
                    try Row.fetchAll(db, sql: "PRAGMA table_info(\(table))").map {
                        Column(table: table, name: $0["name"])
                    }
                }
        }
    }

    @Test("a changed value is named by its table, in any column and row")
    func everyColumn() throws {
        let columns = try Self.columns()
        #expect(Set(columns.map(\.table)).count == LedgerTable.allCases.count + 1)
        #expect(columns.count == 82)
        var random = SplitMix64(seed: 7)
        let empty = Set(Self.partialTables.map(\.rawValue))
        // Where an envelope waits in the queue no promise depends on.
        for column in columns
        where column.testDescription != "accepted.id" && !empty.contains(column.table) {
            for _ in 0..<2 { try change(column, &random) }
        }
    }

    /// Flips a bit of the column in a drawn row, and expects it to be named.
    private func change(_ column: Column, _ random: inout SplitMix64) throws {
        let home = try StudiedHome()
        var what = ""
        try home.tamper { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM \(column.table)")
            // An empty value has no byte to change; a second first block the schema refuses.
            let isTaken = column.name == "isFirst" && rows.contains { $0["isFirst"] == 1 }
            let place = try #require(
                rows.indices.filter {
                    let value: DatabaseValue = rows[$0][column.name]
                    return value != Data().databaseValue
                        && (!isTaken || value == 1.databaseValue)
                }.randomElement(using: &random))
            let row = rows[place]
            let old: DatabaseValue = row[column.name]
            let new = Self.changed(old, &random)
            what = "\(column.testDescription), row \(place + 1) of \(rows.count): \(old) → \(new)"
            let names = Array(row.columnNames)
            let condition = names.map { "\($0) IS ?" }.joined(separator: " AND ")
            try db.execute(
                sql: "UPDATE \(column.table) SET \(column.name) = ? WHERE \(condition)",
                arguments: StatementArguments([new] + names.map { row[$0] as DatabaseValue }))
            #expect(db.changesCount == 1)
        }
        let report = try home.verified()
        let name = column.table == "grdb_migrations" ? "migration" : "table \(column.table)"
        let isNamed = report.findings.contains { "\($0)".contains(name) }
        #expect(!report.sound && isNamed, "\(what): \(report.findings)")
    }

    private static func changed(
        _ value: DatabaseValue, _ random: inout SplitMix64
    ) -> DatabaseValue {
        switch value.storage {
        case .int64(let number):
            // Far away, so that a key does not meet another row's.
            (number ^ (number > 1 ? 1 << 20 : 1)).databaseValue
        case .string(let text):
            (String(text.dropLast()) + (text.hasSuffix("x") ? "y" : "x")).databaseValue
        case .blob(let bytes):
            Self.flipped(bytes, &random).databaseValue
        case .null, .double: Data([1]).databaseValue
        }
    }

    private static func flipped(_ bytes: Data, _ random: inout SplitMix64) -> Data {
        var bytes = bytes
        let place = bytes.indices.randomElement(using: &random) ?? bytes.startIndex
        bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        return bytes
    }

    @Test("a ledger whose worker was killed is sound, too", arguments: Consortium.voters)
    func killed(account: AccountID) throws {
        let home = try StudiedHome(of: account, .killed)
        let log = try Data(contentsOf: URL(filePath: home.home.ledger + "-wal"))
        #expect(log.count > 100_000)
        #expect(try home.verified().findings == [])
        #expect(try home.answers() == StudiedHome(of: account).answers())
    }

    @Test("a byte flipped anywhere in the file is named, or changes no answer")
    func sampledOffsets() throws {
        // Much of the file is rows, and their flips must be seen; the rest is pages that are empty,
        // or were given up with the values kept of older checkpoints.
        let named = try flips(240, .closed, "", within: { 0..<$0.count })
        #expect(named > 100, "\(named)")
    }

    @Test("a byte flipped in a log that a killed worker left is named, or changes no answer")
    func sampledLogOffsets() throws {
        // A log is used again from its beginning; behind the newest generation nothing counts.
        let named = try flips(60, .killed, "-wal") { log in
            let salts = log[16..<24]
            let frames = stride(from: 32, to: log.count, by: 4120).prefix {
                log[$0 + 8..<$0 + 16].elementsEqual(salts)
            }
            return 0..<32 + frames.count * 4120
        }
        #expect(named > 50)
    }

    /// Flips drawn bytes one after the other.
    ///
    /// - Returns: how often that was named; else the answers must be the old ones.
    private func flips(
        _ count: Int, _ ending: Ending, _ suffix: String, within: (Data) -> Range<Int>
    ) throws -> Int {
        let before = try StudiedHome().answers()
        var random = SplitMix64(seed: 20)
        var named = 0
        for _ in 0..<count {
            let home = try StudiedHome(of: Consortium.coordinator, ending)
            var place = 0
            var change: UInt8 = 0
            try home.editLedger(suffix) { bytes in
                place = Int.random(in: within(bytes), using: &random)
                change = UInt8.random(in: 1...255, using: &random)
                bytes[place] ^= change
            }
            if try home.verified().sound {
                #expect(try home.answers() == before, "offset \(place) ^ \(change)")
            } else {
                named += 1
            }
        }
        return named
    }

    @Test(
        "a file that is cut short, empty or no database is a finding",
        arguments: [
            0, 1, 50, 512, 4096, 60_000,
        ])
    func truncated(length: Int) throws {
        let home = try StudiedHome()
        try home.editLedger { $0 = $0.prefix(length) }
        let report = try home.verified()
        #expect(!report.sound && report.findingCount > 0)
        try home.editLedger { $0 = Data("no database at all".utf8) }
        #expect(try home.verified().findings.contains { $0.place.hasPrefix("ledger.sqlite") })
    }

    @Test("without a ledger there is nothing to verify")
    func missing() throws {
        let home = try StudiedHome()
        try FileManager.default.removeItem(atPath: home.home.ledger)
        #expect(throws: StorageError.missing(path: home.home.ledger)) { try home.verified() }
    }

    /// Tables that have rows while the history is not whole, and then alone.
    private static let partialTables: Set<LedgerTable> = [.snapshot, .history]

    @Test(
        "a deleted row is named by its table",
        arguments: LedgerTable.allCases.filter { !partialTables.contains($0) })
    func deleted(table: LedgerTable) throws {
        var random = SplitMix64(seed: 3)
        let home = try StudiedHome()
        try home.tamper { db in
            // Other organisations' ballots are hearsay: it shows nowhere how many came.
            let own = table == .ballots ? "WHERE voter = '\(Consortium.coordinator)'" : ""
            let keys = try Row.fetchAll(db, sql: "SELECT * FROM \(table.rawValue) \(own)")
            let row = try #require(keys.dropLast().randomElement(using: &random) ?? keys.last)
            let names = Array(row.columnNames)
            try db.execute(
                sql: "DELETE FROM \(table.rawValue) WHERE "
                    + names.map { "\($0) IS ?" }.joined(separator: " AND "),
                arguments: StatementArguments(names.map { row[$0] as DatabaseValue }))
            #expect(db.changesCount == 1)
        }
        let report = try home.verified()
        #expect(
            report.findings.contains { "\($0)".contains(table.rawValue) },
            "\(report.findings)")
    }

    @Test(
        "rows that changed places are named",
        arguments: [
            ("effects", "logIndex", "content"), ("envelopes", "id", "content"),
            ("postings", "id", "microtokens"), ("votes", "height", "content"),
            ("blocks", "height", "parentCertificate"), ("pending", "height", "block"),
        ])
    func swapped(table: String, key: String, column: String) throws {
        let home = try StudiedHome()
        try home.tamper { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT \(key) AS key, \(column) AS value FROM \(table)
                    GROUP BY \(column) ORDER BY \(key) LIMIT 2 OFFSET
                    \(table == "pending" ? 0 : 1)
                    """)
            try #require(rows.count == 2)
            for (place, other) in [(0, 1), (1, 0)] {
                try db.execute(
                    sql: "UPDATE \(table) SET \(column) = ? WHERE \(key) = ?",
                    arguments: [
                        rows[other]["value"] as DatabaseValue, rows[place]["key"] as DatabaseValue,
                    ])
            }
        }
        let report = try home.verified()
        #expect(
            report.findings.contains { $0.place.hasPrefix("table \(table)") },
            "\(report.findings)")
    }

    @Test("a foreign signature is one finding, and the walk goes on")
    func foreignSignature() throws {
        let home = try StudiedHome()
        try home.tamper(sql: "UPDATE blocks SET signature = zeroblob(64) WHERE height = 5")
        let report = try home.verified()
        #expect(
            report.findings == [
                Finding(
                    place: "table blocks, height 5",
                    finding: "the coordinator's signature is not good")
            ])
    }

    @Test("a missing trigger is named")
    func droppedTrigger() throws {
        let home = try StudiedHome()
        let queue = try DatabaseQueue(path: home.home.ledger)
        try queue.write { try $0.execute(sql: "DROP TRIGGER blocksNeverVanish") }
        try queue.close()
        let report = try home.verified()
        #expect(
            report.findings == [
                Finding(
                    place: "ledger.sqlite, schema",
                    finding: "trigger blocksNeverVanish is missing")
            ])
    }

    @Test("a changed genesis document is a finding")
    func genesis() throws {
        let home = try StudiedHome()
        let file = URL(filePath: home.home.genesis)
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count - 1] ^= 1
        try bytes.write(to: file)
        #expect(try home.verified().findings.contains { "\($0)".contains("genesis") })
        try FileManager.default.removeItem(at: file)
        #expect(try home.verified().findings.map(\.place) == ["genesis.tally"])
    }

    @Test("a flipped blob is named by its path and by what it is")
    func flippedBlob() throws {
        let home = try StudiedHome(of: Consortium.north)
        let names = try FileManager.default.contentsOfDirectory(atPath: home.home.blobs)
            .filter { Digest(hex: $0) != nil }.sorted()
        #expect(names.count == 15)
        for name in names {
            let file = URL(filePath: "\(home.home.blobs)/\(name)")
            let good = try Data(contentsOf: file)
            var bad = good
            bad[bad.count / 2] ^= 4
            try bad.write(to: file)
            let findings = try home.verified().findings
            #expect(findings.count == 1)
            #expect(findings.first?.place.hasPrefix("blobs/\(name) (the ") == true)
            try good.write(to: file)
        }
    }

    @Test("a blob that the node vouched for must be there, others only count")
    func missingBlob() throws {
        let home = try StudiedHome(of: Consortium.north)
        let names = try FileManager.default.contentsOfDirectory(atPath: home.home.blobs)
            .filter { Digest(hex: $0) != nil }.sorted()
        #expect(names.count == 15)
        for name in names {
            let file = URL(filePath: "\(home.home.blobs)/\(name)")
            let good = try Data(contentsOf: file)
            try FileManager.default.removeItem(at: file)
            let report = try home.verified()
            #expect(report.findings.count == 1)
            #expect(report.findings.first?.place.hasPrefix("blobs/\(name)") == true)
            #expect(report.blobs == 14)
            try good.write(to: file)
        }
    }
}
