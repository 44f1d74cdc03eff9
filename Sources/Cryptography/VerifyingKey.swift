import COpenSSL

/// An Ed25519 signature.
package struct Signature: Hashable, Sendable {
    private let point: Bytes32
    private let scalar: Bytes32

    /// - Returns: nil unless there are exactly 64 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 64, let point = Bytes32(bytes.prefix(32)),
            let scalar = Bytes32(bytes.dropFirst(32))
        else { return nil }
        self.point = point
        self.scalar = scalar
    }

    package var bytes: [UInt8] { point.bytes + scalar.bytes }
}

/// An Ed25519 public key; keys are ordered by their bytes.
package struct VerifyingKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let storage: Bytes32

    init(storage: Bytes32) { self.storage = storage }

    /// - Returns: nil unless there are exactly 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard let storage = Bytes32(bytes) else { return nil }
        self.storage = storage
    }

    package var bytes: [UInt8] { storage.bytes }
    package var hex: String { storage.hex }
    package var description: String { hex }

    /// Whether the signature is this key's over exactly these bytes (RFC 8032, pure Ed25519).
    ///
    /// Bytes that are no point of the curve verify nothing.
    package func verifies(_ signature: Signature, of message: [UInt8]) -> Bool {
        guard let memory = SignatureMemory.current else { return check(signature, of: message) }
        return memory.isGood(self, signature, message) { check(signature, of: message) }
    }

    private func check(_ signature: Signature, of message: [UInt8]) -> Bool {
        let handle = storage.withUnsafeBytes { key in
            EVP_PKEY_new_raw_public_key(
                EVP_PKEY_ED25519, nil, key.bindMemory(to: UInt8.self).baseAddress, key.count)
        }
        guard let handle else {
            ERR_clear_error()
            return false
        }
        defer { EVP_PKEY_free(handle) }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        let bytes = signature.bytes
        let valid =
            EVP_DigestVerifyInit(context, nil, nil, nil, handle) == 1
            && EVP_DigestVerify(context, bytes, bytes.count, message, message.count) == 1
        if !valid { ERR_clear_error() }
        return valid
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.storage < rhs.storage }
}
