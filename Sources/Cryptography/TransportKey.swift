/// A private X25519 key, which is also a CurveZMQ key; it prints as its public half.
package struct TransportKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let key: PrivateKey
    private let secret: SecretBytes
    private let point: Bytes32

    private init(_ key: PrivateKey) throws {
        self.key = key
        secret = try key.secretBytes()
        point = try key.publicBytes()
    }

    package static func generate() throws -> Self {
        var secret = try systemRandomBytes(32)
        defer { cleanse(&secret) }
        return try Self(secretKey: secret)
    }

    /// - Parameter secretKey: the 32 bytes of the scalar (RFC 7748); X25519 clamps them in use.
    /// - Throws: ``CryptographyError/wrongLength(_:expected:found:)`` unless there are 32 bytes.
    package init(secretKey: [UInt8]) throws {
        try self.init(secretKey.withUnsafeBytes { try PrivateKey(kind: .x25519, secret: $0) })
    }

    /// Reads PKCS #8 in PEM, encrypted or not.
    ///
    /// - Throws: ``CryptographyError`` that tells what is wrong with the file or the passphrase.
    package init(pem: String, passphrase: String?) throws {
        try self.init(PrivateKey(kind: .x25519, pem: pem, passphrase: passphrase))
    }

    package func pem(passphrase: String?) throws -> String {
        try key.pem(passphrase: passphrase)
    }

    /// Thirty-two bytes, as ZeroMQ's `ZMQ_CURVE_PUBLICKEY` takes them.
    package var publicKey: [UInt8] { point.bytes }

    /// Thirty-two bytes, as ZeroMQ's `ZMQ_CURVE_SECRETKEY` takes them.
    package var secretKey: [UInt8] { secret.bytes }

    package var description: String { "TransportKey(\(point.hex))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["publicKey": point.hex]) }
}
