package import Cryptography
import Ledger
package import Wire

/// A block's changes above a read-only state, committed or dropped transaction by transaction.
///
/// Copying the state for every transaction would be quadratic; an overlay costs what it changes.
package struct ChangeSet: Sendable {
    private let base: any StateView
    private var current: StateChanges = [:]
    /// Changes of the transactions applied so far.
    package private(set) var changes: StateChanges = [:]
    /// Postings of the transaction under way.
    package private(set) var postings: [WirePosting] = []
    /// Set once the state could not be read; whatever was computed since means nothing.
    package private(set) var fault: StateFault?
    /// Every annotator as panels see it, until a member changes: a block that draws a thousand
    /// panels would else read all members a thousand times.
    private var annotators: [EnrolledAnnotator]?

    package init(above base: any StateView) {
        self.base = base
    }

    package mutating func bytes(_ table: StateTable, _ key: [UInt8]) -> [UInt8]? {
        let place = StateKey(table, key)
        if let change = current[place] ?? changes[place] { return change }
        do {
            return try base.value(at: place)
        } catch {
            fault = fault ?? error
            return nil
        }
    }

    package mutating func value<Value: WireValue>(
        _ type: Value.Type, _ table: StateTable, _ key: [UInt8]
    ) -> Value? {
        guard let bytes = bytes(table, key) else { return nil }
        do {
            return try Value(strictly: bytes)
        } catch {
            fault = fault ?? StateFault("table \(table), key \(hexString(key)): \(error)")
            return nil
        }
    }

    package mutating func set(_ table: StateTable, _ key: [UInt8], _ bytes: [UInt8]?) {
        if table == .members { annotators = nil }
        current[StateKey(table, key)] = .some(bytes)
    }

    package mutating func set(_ table: StateTable, _ key: [UInt8], to value: some WireValue) {
        set(table, key, value.encoded())
    }

    /// Entries of a table under a prefix, ascending, changes included.
    package mutating func entries(
        in table: StateTable, prefix: [UInt8] = [], limit: Int = .max
    ) -> [StateEntry] {
        do {
            return try LayeredState(base: base, layers: [changes, current])
                .entries(in: table, prefix: prefix, limit: limit)
        } catch {
            fault = fault ?? error
            return []
        }
    }

    /// All annotators, ascending by account.
    mutating func enrolledAnnotators() -> [EnrolledAnnotator] {
        if let annotators { return annotators }
        var found: [EnrolledAnnotator] = []
        for entry in entries(in: .members, prefix: Array("\(Role.annotator.rawValue)/".utf8)) {
            guard let text = String(validatingUTF8Bytes: entry.key.key[...]),
                let account = AccountID(text),
                let member = value(WireMemberState.self, .members, entry.key.key),
                let organisation = AccountID(member.organisation)
            else { continue }
            found.append(
                EnrolledAnnotator(
                    account: account, organisation: organisation,
                    credentials: member.credentials, enrolledHeight: member.enrolledHeight,
                    endedHeight: member.endedHeight))
        }
        annotators = found
        return found
    }

    package mutating func record(_ posting: WirePosting) {
        postings.append(posting)
    }

    /// Keeps the transaction's changes.
    ///
    /// - Returns: SHA-256 over the changed (table, key, value) in ascending order, each framed by
    ///   its length; a removed value is marked, so that it differs from an empty one.
    package mutating func commit() -> Digest {
        var hash = SHA256()
        for key in current.keys.sorted() {
            hash.update(byte: key.table.rawValue)
            hash.update(bigEndian(UInt64(key.key.count)))
            hash.update(key.key)
            if let value = current[key] ?? nil {
                hash.update(byte: 1)
                hash.update(bigEndian(UInt64(value.count)))
                hash.update(value)
            } else {
                hash.update(byte: 0)
            }
        }
        changes.merge(current) { _, last in last }
        current = [:]
        postings = []
        return hash.finalize()
    }

    /// Drops the transaction's changes.
    package mutating func rollBack() {
        if current.keys.contains(where: { $0.table == .members }) { annotators = nil }
        current = [:]
        postings = []
    }
}
