package import Cryptography
import Foundation
import GRDB
package import Ledger

/// A site's patients and records, apart from the ledger and never on it: `patients.sqlite`.
///
/// A patient's row is found by an HMAC of the local identifier and sealed, both under the site's
/// key-encryption key; deleted rows are overwritten.
package final class PatientStore: Sendable {
    private let path: String
    private let queue: DatabaseQueue
    private let writing: WritingConnection
    private let key: SealingKey
    private let network: NetworkID

    package init(path: String, key: SealingKey, network: NetworkID) throws {
        self.path = path
        self.key = key
        self.network = network
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA journal_mode = WAL;
                    PRAGMA synchronous = FULL;
                    PRAGMA wal_autocheckpoint = 0;
                    PRAGMA secure_delete = ON;
                    """)
        }
        queue = try failing(path) { try DatabaseQueue(path: path, configuration: configuration) }
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE patients (
                        handle BLOB PRIMARY KEY CHECK (length(handle) = 32),
                        sealed BLOB NOT NULL
                    ) STRICT;
                    CREATE TABLE records (
                        item TEXT PRIMARY KEY,
                        sealed BLOB NOT NULL
                    ) STRICT;
                    """)
        }
        try failing(path) { [queue] in try migrator.migrate(queue) }
        writing = try WritingConnection(queue, path: path)
    }

    package func close() throws { try writing.close() }

    private func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try writing.write(body)
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try queue.read(body) } catch let error as DatabaseError {
            throw StorageError.unreadable(path: path, reason: error.description)
        }
    }

    /// The pseudonym of a patient; nil when the site does not know the patient.
    package func pseudonym(of patient: String) throws -> [UInt8]? {
        try read { db in
            try sealedKey(of: patient, in: db).map { pseudonym(patient, $0) }
        }
    }

    /// Pseudonyms of patients, with a new random key for each who is not known yet.
    ///
    /// The pseudonym is HMAC-SHA-256(patient's key, network ‖ local identifier).
    package func enrol(_ patients: [String]) throws -> [[UInt8]] {
        try write { db in
            try patients.map { patient in
                if let known = try sealedKey(of: patient, in: db) {
                    return pseudonym(patient, known)
                }
                let own = try systemRandomBytes(32)
                let handle = handle(of: patient)
                let sealed = try key.seal(own + Array(patient.utf8), context: handle)
                try db.execute(
                    sql: "INSERT INTO patients VALUES (?, ?)",
                    arguments: [Data(handle), Data(sealed)])
                return pseudonym(patient, own)
            }
        }
    }

    /// Keeps records; one that is there already with the same content stays as it is.
    package func keep(_ records: [HeldRecord]) throws {
        try write { db in
            for record in records {
                let plain =
                    record.pseudonym + [record.isTraining ? 1 : 0] + record.content
                let sealed = try key.seal(plain, context: Array(record.item.text.utf8))
                try db.execute(
                    sql: "INSERT OR REPLACE INTO records VALUES (?, ?)",
                    arguments: [record.item.text, Data(sealed)])
            }
        }
    }

    package func record(_ item: ItemID) throws -> HeldRecord? {
        let sealed = try read { db in
            try Data.fetchOne(
                db, sql: "SELECT sealed FROM records WHERE item = ?", arguments: [item.text])
        }
        return try sealed.map { try open(item, [UInt8]($0)) }
    }

    /// All records, items ascending.
    package func records() throws -> [HeldRecord] {
        let rows = try read { db in
            try Row.fetchAll(db, sql: "SELECT item, sealed FROM records ORDER BY item")
        }
        return try rows.map { row in
            let (text, sealed): (String, Data) = (row["item"], row["sealed"])
            guard let item = ItemID(text) else {
                throw StorageError.damaged(path: path, place: "table records")
            }
            return try open(item, [UInt8](sealed))
        }
    }

    private func open(_ item: ItemID, _ sealed: [UInt8]) throws -> HeldRecord {
        guard let plain = try? key.open(sealed, context: Array(item.text.utf8)), plain.count > 33
        else { throw StorageError.damaged(path: path, place: "record \(item)") }
        return HeldRecord(
            item: item, pseudonym: Array(plain[..<32]), content: Array(plain[33...]),
            isTraining: plain[32] == 1)
    }

    private func handle(of patient: String) -> [UInt8] {
        hmacSHA256(key: key.bytes, Array("tally/patient/v1\0".utf8) + Array(patient.utf8)).bytes
    }

    private func pseudonym(_ patient: String, _ own: [UInt8]) -> [UInt8] {
        hmacSHA256(key: own, network.digest.bytes + Array(patient.utf8)).bytes
    }

    private func sealedKey(of patient: String, in db: Database) throws -> [UInt8]? {
        let handle = handle(of: patient)
        let row = try Data.fetchOne(
            db, sql: "SELECT sealed FROM patients WHERE handle = ?", arguments: [Data(handle)])
        guard let row else { return nil }
        guard let plain = try? key.open([UInt8](row), context: handle), plain.count >= 32 else {
            throw StorageError.damaged(path: path, place: "a row of table patients")
        }
        return Array(plain[..<32])
    }
}

/// Names the file in an error of SQLite; as with the ledger, such an error is final.
private func failing<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as DatabaseError {
        throw StorageError.failedWrite(path: path, reason: error.description)
    }
}
