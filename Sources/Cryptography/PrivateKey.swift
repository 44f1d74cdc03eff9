import COpenSSL

/// The two kinds of private key that a home holds.
enum PrivateKeyKind: Sendable {
    case ed25519, x25519

    var number: Int32 { self == .ed25519 ? EVP_PKEY_ED25519 : EVP_PKEY_X25519 }
    var name: String { self == .ed25519 ? "Ed25519" : "X25519" }
}

/// A private key as OpenSSL holds it.
///
/// `@unchecked Sendable`: an `EVP_PKEY` is not changed after its creation, and OpenSSL 3 lets
/// many threads read one at the same time.
final class PrivateKey: @unchecked Sendable {
    let kind: PrivateKeyKind
    let handle: OpaquePointer

    init(kind: PrivateKeyKind, secret: UnsafeRawBufferPointer) throws {
        guard secret.count == 32 else {
            throw CryptographyError.wrongLength(
                "\(kind.name) private key", expected: 32, found: secret.count)
        }
        let bytes = secret.bindMemory(to: UInt8.self)
        guard
            let handle = EVP_PKEY_new_raw_private_key(
                kind.number, nil, bytes.baseAddress, bytes.count)
        else { throw CryptographyError.library("load an \(kind.name) private key") }
        self.kind = kind
        self.handle = handle
    }

    /// Reads PKCS #8 in PEM, encrypted or not; text before and after the key is passed over.
    ///
    /// - Throws: ``CryptographyError`` that tells a file that is no PEM from a missing or wrong
    ///   passphrase and from a key of another kind.
    init(kind: PrivateKeyKind, pem: String, passphrase: String?) throws {
        let decoded = try pkcs8(pem: pem, passphrase: passphrase)
        defer { PKCS8_PRIV_KEY_INFO_free(decoded) }
        guard let handle = EVP_PKCS82PKEY(decoded) else {
            throw CryptographyError.library("read the private key")
        }
        let found = EVP_PKEY_get_id(handle)
        guard found == kind.number else {
            EVP_PKEY_free(handle)
            throw CryptographyError.wrongKeyKind(
                expected: kind.name, found: OBJ_nid2sn(found).map { String(cString: $0) } ?? "?")
        }
        self.kind = kind
        self.handle = handle
    }

    deinit { EVP_PKEY_free(handle) }

    func publicBytes() throws -> Bytes32 {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(handle, &bytes, &count) == 1,
            let key = Bytes32(bytes.prefix(count))
        else { throw CryptographyError.library("derive an \(kind.name) public key") }
        return key
    }

    func secretBytes() throws -> SecretBytes {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        defer { cleanse(&bytes) }
        guard EVP_PKEY_get_raw_private_key(handle, &bytes, &count) == 1, count == 32 else {
            throw CryptographyError.library("read an \(kind.name) private key")
        }
        return SecretBytes(bytes)
    }

    /// PKCS #8 in PEM; with a passphrase encrypted by AES-256-CBC under a key from scrypt.
    ///
    /// scrypt costs N = 2¹⁴, r = 8, p = 5: 16 MiB and a fraction of a second for each guess.
    func pem(passphrase: String?) throws -> String {
        guard let plain = EVP_PKEY2PKCS8(handle) else {
            throw CryptographyError.library("encode the private key")
        }
        defer { PKCS8_PRIV_KEY_INFO_free(plain) }
        guard let output = BIO_new(BIO_s_secmem()) else {
            throw CryptographyError.library("allocate memory")
        }
        defer { BIO_free(output) }
        let written: Int32
        if let passphrase {
            let sealed = try encrypted(plain, passphrase: passphrase)
            defer { X509_SIG_free(sealed) }
            written = PEM_write_bio_PKCS8(output, sealed)
        } else {
            written = PEM_write_bio_PKCS8_PRIV_KEY_INFO(output, plain)
        }
        guard written == 1 else { throw CryptographyError.library("write the private key") }
        var text = [UInt8](repeating: 0, count: BIO_ctrl_pending(output))
        defer { cleanse(&text) }
        guard BIO_read(output, &text, Int32(text.count)) == Int32(text.count) else {
            throw CryptographyError.library("write the private key")
        }
        return String(decoding: text, as: UTF8.self)
    }
}

private func encrypted(
    _ plain: OpaquePointer, passphrase: String
) throws -> OpaquePointer {
    guard
        let algorithm = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nil, 0, nil, 1 << 14, 8, 5)
    else { throw CryptographyError.library("prepare scrypt") }
    let sealed = passphrase.withCString {
        PKCS8_set0_pbe($0, Int32(clamping: passphrase.utf8.count), plain, algorithm)
    }
    guard let sealed else {
        X509_ALGOR_free(algorithm)
        throw CryptographyError.library("encrypt the private key")
    }
    return sealed
}

/// The first PEM block of the text as an opened PKCS #8 structure; the caller frees it.
private func pkcs8(pem: String, passphrase: String?) throws -> OpaquePointer {
    let text = Array(pem.utf8)
    guard let input = BIO_new_mem_buf(text, Int32(clamping: text.count)) else {
        throw CryptographyError.library("allocate memory")
    }
    defer { BIO_free(input) }
    var name: UnsafeMutablePointer<CChar>?
    var header: UnsafeMutablePointer<CChar>?
    var content: UnsafeMutablePointer<UInt8>?
    var count = 0
    guard PEM_read_bio(input, &name, &header, &content, &count) == 1, let name, let content else {
        ERR_clear_error()
        throw CryptographyError.notPEM
    }
    defer {
        CRYPTO_free(name, #file, #line)
        CRYPTO_free(header, #file, #line)
        CRYPTO_clear_free(content, count, #file, #line)
    }
    var cursor: UnsafePointer<UInt8>? = UnsafePointer(content)
    switch String(cString: name) {
    case PEM_STRING_PKCS8INF:
        guard let plain = d2i_PKCS8_PRIV_KEY_INFO(nil, &cursor, count) else {
            throw CryptographyError.library("decode the private key")
        }
        return plain
    case PEM_STRING_PKCS8:
        guard let passphrase else { throw CryptographyError.passphraseNeeded }
        guard let sealed = d2i_X509_SIG(nil, &cursor, count) else {
            throw CryptographyError.library("decode the encrypted private key")
        }
        defer { X509_SIG_free(sealed) }
        let plain = passphrase.withCString {
            PKCS8_decrypt(sealed, $0, Int32(clamping: passphrase.utf8.count))
        }
        guard let plain else {
            ERR_clear_error()
            throw CryptographyError.wrongPassphrase
        }
        return plain
    case let label:
        throw CryptographyError.notPrivateKey(label: label)
    }
}
