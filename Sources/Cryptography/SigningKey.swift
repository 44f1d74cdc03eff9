import COpenSSL

/// A private Ed25519 key; it prints as its public half.
package struct SigningKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let key: PrivateKey
    private let seed: SecretBytes
    package let verifyingKey: VerifyingKey

    private init(_ key: PrivateKey) throws {
        self.key = key
        seed = try key.secretBytes()
        verifyingKey = VerifyingKey(storage: try key.publicBytes())
    }

    package static func generate() throws -> Self {
        var seed = try systemRandomBytes(32)
        defer { cleanse(&seed) }
        return try Self(seed: seed)
    }

    /// - Parameter seed: the 32 bytes of RFC 8032 from which the key is derived.
    /// - Throws: ``CryptographyError/wrongLength(_:expected:found:)`` unless there are 32 bytes.
    package init(seed: [UInt8]) throws {
        try self.init(seed.withUnsafeBytes { try PrivateKey(kind: .ed25519, secret: $0) })
    }

    /// Reads PKCS #8 in PEM, encrypted or not.
    ///
    /// - Throws: ``CryptographyError`` that tells what is wrong with the file or the passphrase.
    package init(pem: String, passphrase: String?) throws {
        try self.init(PrivateKey(kind: .ed25519, pem: pem, passphrase: passphrase))
    }

    package func pem(passphrase: String?) throws -> String {
        try key.pem(passphrase: passphrase)
    }

    package func sign(_ message: [UInt8]) throws -> Signature {
        guard let context = EVP_MD_CTX_new() else {
            throw CryptographyError.library("allocate memory")
        }
        defer { EVP_MD_CTX_free(context) }
        var bytes = [UInt8](repeating: 0, count: 64)
        var count = bytes.count
        guard EVP_DigestSignInit(context, nil, nil, nil, key.handle) == 1,
            EVP_DigestSign(context, &bytes, &count, message, message.count) == 1,
            let signature = Signature(bytes.prefix(count))
        else { throw CryptographyError.library("sign") }
        return signature
    }

    /// A secret that only the holder of this key can derive again: HMAC-SHA-256(seed, label).
    ///
    /// - Returns: 32 bytes; another label gives unrelated ones.
    package func derivedSecret(label: String) -> [UInt8] {
        seed.withUnsafeBytes { hmacSHA256(key: $0, Array(label.utf8)).bytes }
    }

    package var description: String { "SigningKey(\(verifyingKey.hex))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["verifyingKey": verifyingKey]) }
}
