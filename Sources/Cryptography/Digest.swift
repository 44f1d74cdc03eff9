/// A SHA-256 value; digests are ordered by their bytes.
package struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline let storage: Bytes32

    init(storage: Bytes32) { self.storage = storage }

    /// - Returns: nil unless there are exactly 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard let storage = Bytes32(bytes) else { return nil }
        self.storage = storage
    }

    /// - Returns: nil unless the text is 64 lower-case hexadecimal digits.
    package init?(hex: String) {
        guard let decoded = Cryptography.bytes(fromHex: hex), let storage = Bytes32(decoded) else {
            return nil
        }
        self.storage = storage
    }

    /// Thirty-two zero bytes: "no digest" where a field has a fixed width.
    package static let zero = Self(storage: Bytes32(0, 0, 0, 0))

    package var bytes: [UInt8] { storage.bytes }
    package var hex: String { storage.hex }
    package var description: String { hex }

    /// Lends the 32 bytes without an allocation.
    package func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try storage.withUnsafeBytes(body)
    }

    @inlinable
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.storage < rhs.storage }
}

extension Digest {
    package static func sha256(_ bytes: [UInt8]) -> Self {
        bytes.withUnsafeBytes { sha256($0) }
    }

    package static func sha256(_ bytes: some Collection<UInt8>) -> Self {
        var hasher = SHA256()
        hasher.update(bytes)
        return hasher.finalize()
    }

    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> Self {
        var hasher = SHA256()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The hash of the parts one after the other, without joining them first.
    package static func sha256(of parts: [[UInt8]]) -> Self {
        var hasher = SHA256()
        for part in parts { hasher.update(part) }
        return hasher.finalize()
    }

    /// The hash of one byte and two digests: an inner node of an RFC 6962 tree, prefix 1.
    ///
    /// It allocates nothing, because a tree hashes millions of these 65 bytes.
    package static func sha256(prefix: UInt8, _ left: Self, _ right: Self) -> Self {
        var hasher = SHA256()
        hasher.update(prefix: prefix, left, right)
        return hasher.finalize()
    }

    /// The hash of one byte and a value: a leaf of an RFC 6962 tree, prefix 0.
    package static func sha256(prefix: UInt8, _ bytes: some Collection<UInt8>) -> Self {
        var hasher = SHA256()
        hasher.update(byte: prefix)
        hasher.update(bytes)
        return hasher.finalize()
    }
}
