package import Ledger

/// One example to train on or to evaluate with: what was prepared of an item, and its label.
package struct TrainingRecord: Hashable, Sendable {
    package let item: ItemID
    package let features: [Float]
    package let label: Bool

    package init(item: ItemID, features: [Float], label: Bool) {
        self.item = item
        self.features = features
        self.label = label
    }
}

/// Why features have no canonical bytes; the index is that of the feature.
package enum RecordError: Error, Hashable, Sendable {
    /// An empty name or one of more than 65,535 bytes.
    case nameLength(index: Int)
    case notFinite(index: Int)
    case tooManyFeatures
}

/// The bytes that a content tag is computed from: features alone, never an identifier.
///
/// "tally/record/v1\0" ‖ u32be count ‖ per feature, in the study's order, u16be length of the name
/// ‖ name in UTF-8 ‖ Float32 bits big-endian. −0 is written as +0, so that equal values are equal
/// bytes.
package func canonicalRecord(
    features: [(name: String, value: Float)]
) throws(RecordError) -> [UInt8] {
    guard let count = UInt32(exactly: features.count) else { throw .tooManyFeatures }
    var bytes = Array("tally/record/v1\0".utf8)
    func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }
    append(count)
    for (index, feature) in features.enumerated() {
        guard !feature.name.isEmpty, let length = UInt16(exactly: feature.name.utf8.count) else {
            throw .nameLength(index: index)
        }
        guard feature.value.isFinite else { throw .notFinite(index: index) }
        append(length)
        bytes.append(contentsOf: feature.name.utf8)
        append(feature.value == 0 ? Float(0).bitPattern : feature.value.bitPattern)
    }
    return bytes
}

/// Reads canonical record bytes of a study's features, which are named in order.
///
/// - Returns: nil unless the bytes are the canonical ones of a record with just these features.
package func features(ofCanonicalRecord bytes: [UInt8], names: [String]) -> [Float]? {
    var values: [Float] = []
    var place = Array("tally/record/v1\0".utf8).count + 4
    for name in names {
        let bits = place + 2 + name.utf8.count
        guard bits + 4 <= bytes.count else { return nil }
        let pattern = bytes[bits..<bits + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        values.append(Float(bitPattern: pattern))
        place = bits + 4
    }
    let expected = try? canonicalRecord(
        features: zip(names, values).map { (name: $0, value: $1) })
    return expected == bytes ? values : nil
}
