import COpenSSL

/// A key that seals small rows with AES-256-GCM (NIST SP 800-38D).
///
/// Nonces are random 96-bit numbers, so one key may seal 2³² rows.
package struct SealingKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private static let nonceLength = 12
    private static let tagLength = 16
    private let secret: SecretBytes

    /// - Throws: ``CryptographyError/wrongLength(_:expected:found:)`` unless there are 32 bytes.
    package init(_ bytes: [UInt8]) throws {
        guard bytes.count == 32 else {
            throw CryptographyError.wrongLength("sealing key", expected: 32, found: bytes.count)
        }
        secret = SecretBytes(bytes)
    }

    package static func generate() throws -> Self {
        var bytes = try systemRandomBytes(32)
        defer { cleanse(&bytes) }
        return try Self(bytes)
    }

    /// The key itself, for the file or the key-encryption key that keeps it.
    package var bytes: [UInt8] { secret.bytes }

    /// Encrypts and authenticates a row.
    ///
    /// - Parameters:
    ///   - plain: the row.
    ///   - context: bytes that are authenticated but not stored, such as the row's place;
    ///     ``open(_:context:)`` wants the same.
    /// - Returns: nonce (12) ‖ ciphertext ‖ tag (16).
    /// - Throws: ``CryptographyError/library(operation:reason:)`` when no random nonce can be had.
    package func seal(_ plain: [UInt8], context: [UInt8]) throws -> [UInt8] {
        try seal(plain, context: context, nonce: systemRandomBytes(Self.nonceLength))
    }

    /// Seals under a given nonce, which must never be used again with this key.
    private func seal(_ plain: [UInt8], context: [UInt8], nonce: [UInt8]) throws -> [UInt8] {
        guard nonce.count == Self.nonceLength else {
            throw CryptographyError.wrongLength(
                "nonce", expected: Self.nonceLength, found: nonce.count)
        }
        let cipher = try cipherContext()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var sealed = [UInt8](repeating: 0, count: plain.count)
        var tag = [UInt8](repeating: 0, count: Self.tagLength)
        var written: Int32 = 0
        let key = secret.withUnsafeBytes { key in
            EVP_EncryptInit_ex(
                cipher, EVP_aes_256_gcm(), nil, key.bindMemory(to: UInt8.self).baseAddress, nonce)
        }
        guard key == 1,
            context.isEmpty
                || EVP_EncryptUpdate(cipher, nil, &written, context, Int32(clamping: context.count))
                    == 1,
            plain.isEmpty
                || EVP_EncryptUpdate(
                    cipher, &sealed, &written, plain, Int32(clamping: plain.count)) == 1,
            EVP_EncryptFinal_ex(cipher, &tag, &written) == 1,
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), &tag) == 1
        else { throw CryptographyError.library("seal a row") }
        return nonce + sealed + tag
    }

    /// - Throws: ``CryptographyError/notAuthentic`` when the bytes, the context or the key differ.
    package func open(_ sealed: [UInt8], context: [UInt8]) throws -> [UInt8] {
        guard sealed.count >= Self.nonceLength + Self.tagLength else {
            throw CryptographyError.notAuthentic
        }
        let nonce = Array(sealed.prefix(Self.nonceLength))
        let secretText = Array(sealed.dropFirst(Self.nonceLength).dropLast(Self.tagLength))
        var tag = Array(sealed.suffix(Self.tagLength))
        let cipher = try cipherContext()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var plain = [UInt8](repeating: 0, count: secretText.count)
        var last = [UInt8](repeating: 0, count: Self.tagLength)
        var written: Int32 = 0
        let key = secret.withUnsafeBytes { key in
            EVP_DecryptInit_ex(
                cipher, EVP_aes_256_gcm(), nil, key.bindMemory(to: UInt8.self).baseAddress, nonce)
        }
        guard key == 1,
            context.isEmpty
                || EVP_DecryptUpdate(cipher, nil, &written, context, Int32(clamping: context.count))
                    == 1,
            secretText.isEmpty
                || EVP_DecryptUpdate(
                    cipher, &plain, &written, secretText, Int32(clamping: secretText.count)) == 1,
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1
        else { throw CryptographyError.library("open a sealed row") }
        guard EVP_DecryptFinal_ex(cipher, &last, &written) == 1 else {
            cleanse(&plain)
            ERR_clear_error()
            throw CryptographyError.notAuthentic
        }
        return plain
    }

    private func cipherContext() throws -> OpaquePointer {
        guard let context = EVP_CIPHER_CTX_new() else {
            throw CryptographyError.library("allocate memory")
        }
        return context
    }

    package var description: String { "SealingKey" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
