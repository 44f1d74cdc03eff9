import COpenSSL

/// SHA-256 over bytes that arrive in pieces (FIPS 180-4).
///
/// A value: a copy continues from the same state, and nothing is allocated.
package struct SHA256: Sendable {
    private var context: SHA256_CTX

    package init() {
        context = SHA256_CTX()
        SHA256_Init(&context)
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        SHA256_Update(&context, base, bytes.count)
    }

    package mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    package mutating func update(_ bytes: some Collection<UInt8>) {
        let done: Void? = bytes.withContiguousStorageIfAvailable {
            update(UnsafeRawBufferPointer($0))
        }
        if done == nil { update(Array(bytes)) }
    }

    package mutating func update(_ digest: Digest) {
        digest.withUnsafeBytes { update($0) }
    }

    package mutating func update(byte: UInt8) {
        withUnsafeBytes(of: byte) { update($0) }
    }

    /// Takes in one byte and two digests in a single call.
    mutating func update(prefix: UInt8, _ left: Digest, _ right: Digest) {
        withUnsafeTemporaryAllocation(byteCount: 65, alignment: 1) { node in
            node[0] = prefix
            left.storage.store(in: node, at: 1)
            right.storage.store(in: node, at: 33)
            update(UnsafeRawBufferPointer(node))
        }
    }

    /// The hash of everything so far; the hasher itself may go on.
    package func finalize() -> Digest {
        var finished = context
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { output in
            _ = SHA256_Final(output.bindMemory(to: UInt8.self).baseAddress, &finished)
        }
        return Digest(
            storage: Bytes32(
                UInt64(bigEndian: words.0), UInt64(bigEndian: words.1),
                UInt64(bigEndian: words.2), UInt64(bigEndian: words.3)))
    }
}

/// HMAC-SHA-256 of a message (RFC 2104).
package func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> Digest {
    key.withUnsafeBytes { hmacSHA256(key: $0, message) }
}

func hmacSHA256(key: UnsafeRawBufferPointer, _ message: [UInt8]) -> Digest {
    var block = [UInt8](repeating: 0, count: 64)
    if key.count > block.count {
        block.replaceSubrange(0..<32, with: Digest.sha256(key).bytes)
    } else {
        block.replaceSubrange(0..<key.count, with: key)
    }
    var inner = SHA256()
    var outer = SHA256()
    for index in block.indices { block[index] ^= 0x36 }
    inner.update(block)
    for index in block.indices { block[index] ^= 0x36 ^ 0x5c }
    outer.update(block)
    block.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    inner.update(message)
    outer.update(inner.finalize())
    return outer.finalize()
}

/// Whether two byte strings are equal, in a time that tells nothing about where they differ.
package func constantTimeEqual(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
    guard lhs.count == rhs.count else { return false }
    return CRYPTO_memcmp(lhs, rhs, lhs.count) == 0
}
