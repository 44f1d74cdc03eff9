package import Wire

/// How long a blob may be, by what the chain says of it: a voter reads no longer one into memory.
///
/// Every voter comes to the same bounds, so all of them refuse the same blob.
package enum BlobBounds {
    /// What an update, manifest or list of records may have beside its numbers, in bytes.
    private static let slack: UInt64 = 1 << 20
    /// The longest manifest, in bytes.
    private static let manifest: UInt64 = 64 << 20
    /// The longest list of reference records, in bytes.
    private static let reference: UInt64 = 256 << 20
    /// An entry of a manifest in its one encoding: two item names, an envelope's id, an index.
    private static let entry: UInt64 = 320
    /// A manifest's shortest entry: an envelope's id and two names of three bytes.
    private static let shortestEntry = 44
    /// What a reference record has beside its content: an item name, a label, lengths.
    private static let recordNames: UInt64 = 160
    /// Patients in the values of one round.
    ///
    /// With 44 bytes each they fit into the envelope of a `round.close` beside the sites.
    private static let patients = 16_384

    /// Of an update of a model of so many bytes.
    package static func update(base: UInt64) -> UInt64 {
        let (sum, overflow) = base.addingReportingOverflow(slack)
        return overflow ? .max : sum
    }

    package static func manifest(examples: UInt32) -> UInt64 {
        min(manifest, entry * UInt64(examples) + slack)
    }

    package static func reference(count: UInt32, _ rule: WireTrainingRule) -> UInt64 {
        let content = rule.features.reduce(UInt64(64)) { $0 + UInt64($1.utf8.count) + 6 }
        return min(reference, UInt64(count) * (content + recordNames) + slack)
    }

    /// The patients that one site may bring into a round, so that it can always be closed.
    package static func patients(sites: Int) -> Int { patients / max(sites, 1) }

    /// Whether bytes can be a manifest of so many entries, seen before any of them is made.
    package static func canHold(_ entries: UInt32, in manifest: [UInt8]) -> Bool {
        Int(entries) <= manifest.count / shortestEntry
            && countOfFields(manifest) == Int(entries)
    }

    /// Whether bytes can be so many reference records, seen before any of them is made.
    package static func canHold(_ records: UInt32, records bytes: [UInt8]) -> Bool {
        countOfFields(bytes) == Int(records)
    }
}

/// The fields of a message that has one repeated message as its field 1, and no other field.
///
/// - Returns: nil when the bytes are no such message.
func countOfFields(_ bytes: [UInt8]) -> Int? {
    var count = 0
    var place = 0
    while place < bytes.count {
        guard bytes[place] == 0x0a else { return nil }
        place += 1
        var length: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard place < bytes.count, shift < 35 else { return nil }
            length |= UInt64(bytes[place] & 0x7f) << shift
            place += 1
            if bytes[place - 1] < 0x80 { break }
            shift += 7
        }
        guard length <= UInt64(bytes.count - place) else { return nil }
        place += Int(length)
        count += 1
    }
    return count
}
