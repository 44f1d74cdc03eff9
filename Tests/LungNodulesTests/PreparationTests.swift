import Cryptography
import Foundation
import LungNodules
import Testing

/// The published table, as it is kept beside the preparation.
private let publishedTable = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Simulations/LungNodules/readings.csv")

@Suite("Preparing the published table")
struct PreparationTests {
    let text: String
    let readings: [Reading]
    let tables: [HospitalTables]

    init() throws {
        text = try String(contentsOf: publishedTable, encoding: .utf8)
        readings = try LungNodules.readings(inCSV: text, file: "readings.csv")
        tables = HospitalTables.divided(readings)
    }

    private func files(_ tables: [HospitalTables]) -> [String: String] {
        tables.reduce(into: [:]) { $0.merge($1.files, uniquingKeysWith: { $1 }) }
    }

    @Test("6,859 readings of 2,674 nodules in 875 patients at three hospitals")
    func counts() {
        #expect(readings.count == 6859)
        #expect(tables.map(\.hospital) == [.north, .east, .west])
        #expect(tables.map(\.records.count) == [1527, 667, 480])
        #expect(tables.reduce(0) { $0 + $1.patients.count } == 875)
        #expect(
            tables.map(\.summary) == [
                "north: 501 patients, 1527 nodules (1259 training, 268 evaluation), 3910 readings",
                "east: 239 patients, 667 nodules (541 training, 126 evaluation), 1738 readings",
                "west: 135 patients, 480 nodules (368 training, 112 evaluation), 1211 readings",
            ])
    }

    /// Digests of the files of a second implementation, written from the rule in another language.
    static let digests = [
        "north/patients.csv": "0d204ba1086db0364238892e586d168b16b104423ddc1a26a428136a3adebb68",
        "north/records.csv": "1f31bd2cf1c7bcf103bc2fe7537526e74eb09d13e781dc25edfa0d9dfb28d931",
        "east/records.csv": "d88e367de6147b9610979e124dcb41b6ad5f13a0558c44b60ae3706d23a74b93",
        "west/records.csv": "47addddd457f6b887fb3d019279239acfefeb14f259adda2763d21c4f76f4945",
        "north/readings/north-1.csv":
            "158c2e702e8a0bee5b6fc1d74f85970f9a21a06c4d2871dd2acec0fad9016037",
        "west/readings/west-4.csv":
            "159cca0bb16da40f2a96f7f3601806473ba455437a315de530d2f6ab17740d75",
    ]

    @Test("a second implementation writes the same bytes", arguments: digests.sorted(by: <))
    func digest(path: String, digest: String) throws {
        let file = try #require(files(tables)[path])
        #expect(Digest.sha256(Array(file.utf8)).hex == digest)
    }

    @Test("every seat has its readings and nobody else's")
    func seats() {
        let files = files(tables)
        let counts = Hospital.allCases.flatMap(\.seats).map { seat in
            files["\(seat.prefix { $0 != "-" })/readings/\(seat).csv"]?
                .split(separator: "\n").dropFirst().count
        }
        #expect(counts == [1154, 1057, 942, 757, 514, 473, 430, 321, 364, 336, 291, 220])
        #expect(files.count == 18)
    }

    @Test("the order of the rows does not matter")
    func order() {
        #expect(files(HospitalTables.divided(readings.reversed())) == files(tables))
    }

    @Test("one answer changed changes one row of one seat and no record")
    func oneAnswer() throws {
        let line = "LIDC-IDRI-0001,12,1,1,32.21,7869.4,5,1,6,3,3,3,4,5,5\n"
        try #require(text.contains(line))
        let changed = text.replacing(line, with: line.dropLast(2) + "1\n")
        let before = files(tables)
        let after = files(
            HospitalTables.divided(
                try LungNodules.readings(inCSV: changed, file: "readings.csv")))
        let differing = before.keys.filter { before[$0] != after[$0] }
        #expect(differing == ["east/readings/east-1.csv"])
        let old = before["east/readings/east-1.csv", default: ""].split(separator: "\n")
        let new = after["east/readings/east-1.csv", default: ""].split(separator: "\n")
        let rows = zip(old, new).filter { $0 != $1 }
        #expect(old.count == new.count)
        #expect(rows.map(\.0) == ["east/n0001,5"])
        #expect(rows.map(\.1) == ["east/n0001,1"])
    }

    @Test("a patient's place comes from the hash of the id alone")
    func placement() {
        let first = Placement(patient: "LIDC-IDRI-0001")
        #expect((first.hospital, first.use) == (.east, .training))
        let held = Placement(patient: "LIDC-IDRI-0005")
        #expect((held.hospital, held.use) == (.east, .evaluation))
    }
}

@Suite("Writing the folder")
struct WritingTests {
    let scratch: URL

    init() throws {
        scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("lung-nodules-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    }

    private func contents() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted()
    }

    @Test("all files stand in a folder that only the owner may enter")
    func whole() throws {
        defer { try? FileManager.default.removeItem(at: scratch) }
        let folder = scratch.appendingPathComponent("new/hospitals")
        let tables = try prepare(table: publishedTable, folder: folder)
        for (path, text) in tables.flatMap(\.files) {
            let file = folder.appendingPathComponent(path)
            #expect(try String(contentsOf: file, encoding: .utf8) == text)
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        #expect(try contents() == ["new"])
        let parent = folder.deletingLastPathComponent().path
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent) == ["hospitals"])
    }

    @Test("a table with a mistake leaves nothing behind")
    func nothing() throws {
        defer { try? FileManager.default.removeItem(at: scratch) }
        let table = scratch.appendingPathComponent("raw.csv")
        try RawRow.table([["margin": "9"]]).write(to: table, atomically: false, encoding: .utf8)
        #expect(throws: TableMistake.self) {
            try prepare(table: table, folder: scratch.appendingPathComponent("out"))
        }
        #expect(try contents() == ["raw.csv"])
    }

    @Test("a folder in use stays as it is")
    func occupied() throws {
        defer { try? FileManager.default.removeItem(at: scratch) }
        let folder = scratch.appendingPathComponent("out")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let kept = folder.appendingPathComponent("kept")
        try Data("mine".utf8).write(to: kept)
        #expect(throws: PreparationFailure.occupied(folder.path)) {
            try prepare(table: publishedTable, folder: folder)
        }
        #expect(try Data(contentsOf: kept) == Data("mine".utf8))
        #expect(try contents() == ["out"])
        try FileManager.default.removeItem(at: kept)
        #expect(try prepare(table: publishedTable, folder: folder).count == 3)
    }

    @Test("an unreadable table and one that is not text are told apart")
    func unreadable() throws {
        defer { try? FileManager.default.removeItem(at: scratch) }
        let table = scratch.appendingPathComponent("raw.csv")
        let out = scratch.appendingPathComponent("out")
        #expect(
            throws: PreparationFailure.unreadable(
                table.path, reason: "no such file or folder")
        ) { try prepare(table: table, folder: out) }
        try Data([0xFF, 0xFE, 0x00]).write(to: table)
        #expect(throws: PreparationFailure.notText(table.path)) {
            try prepare(table: table, folder: out)
        }
    }
}
