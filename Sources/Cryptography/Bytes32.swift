/// Thirty-two bytes held inline as four big-endian words, so that they compare as bytes do.
@usableFromInline
struct Bytes32: Hashable, Comparable, Sendable {
    @usableFromInline let word0: UInt64
    @usableFromInline let word1: UInt64
    @usableFromInline let word2: UInt64
    @usableFromInline let word3: UInt64

    @inlinable
    init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// - Returns: nil unless there are exactly 32 bytes.
    init?(_ bytes: some Collection<UInt8>) {
        let copied = bytes.withContiguousStorageIfAvailable {
            Self(raw: UnsafeRawBufferPointer($0))
        }
        guard let value = copied ?? Array(bytes).withUnsafeBytes({ Self(raw: $0) }) else {
            return nil
        }
        self = value
    }

    init?(raw bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 32 else { return nil }
        self.init(
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
    }

    /// Lends the 32 bytes without an allocation.
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        let words = (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian)
        return try Swift.withUnsafeBytes(of: words, body)
    }

    func store(in memory: UnsafeMutableRawBufferPointer, at offset: Int) {
        memory.storeBytes(of: word0.bigEndian, toByteOffset: offset, as: UInt64.self)
        memory.storeBytes(of: word1.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
        memory.storeBytes(of: word2.bigEndian, toByteOffset: offset + 16, as: UInt64.self)
        memory.storeBytes(of: word3.bigEndian, toByteOffset: offset + 24, as: UInt64.self)
    }

    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
    var hex: String { withUnsafeBytes { hexString($0) } }

    @inlinable
    static func < (lhs: Self, rhs: Self) -> Bool {
        if lhs.word0 != rhs.word0 { return lhs.word0 < rhs.word0 }
        if lhs.word1 != rhs.word1 { return lhs.word1 < rhs.word1 }
        if lhs.word2 != rhs.word2 { return lhs.word2 < rhs.word2 }
        return lhs.word3 < rhs.word3
    }
}
