import Testing

import Cryptography

@Suite("Key files")
struct KeyFileTests {
    /// Written by `openssl pkey -aes256` with the passphrase `hunter2`.
    static let encryptedByOpenSSL = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjc1+VA9GtQjwICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBu80cD/Gvs0I9orq+i1XJoEQMho
        jI+zYApbcewn+qwUGMS9X+lA25HmH1bOXiLuXLLMJAj7D5W7RTVqh37QrKC21RV1
        qn7t8CBV713GO5OhzK8=
        -----END ENCRYPTED PRIVATE KEY-----
        """

    @Test("a signing key comes back from its file", arguments: [nil, "pass phrase ü", ""])
    func signingKey(passphrase: String?) throws {
        let key = try SigningKey.generate()
        let pem = try key.pem(passphrase: passphrase)
        let encrypted = passphrase != nil
        #expect(
            pem.hasPrefix("-----BEGIN \(encrypted ? "ENCRYPTED " : "")PRIVATE KEY-----\n"))
        #expect(pem.hasSuffix(" PRIVATE KEY-----\n"))
        let again = try SigningKey(pem: pem, passphrase: passphrase)
        #expect(again.verifyingKey == key.verifyingKey)
        #expect(again.derivedSecret(label: "x") == key.derivedSecret(label: "x"))
    }

    @Test("a transport key comes back from its file", arguments: [nil, "secret"])
    func transportKey(passphrase: String?) throws {
        let key = try TransportKey.generate()
        let again = try TransportKey(
            pem: key.pem(passphrase: passphrase), passphrase: passphrase)
        #expect(again.secretKey == key.secretKey)
        #expect(again.publicKey == key.publicKey)
    }

    @Test("a file of the openssl tool is read")
    func foreignFile() throws {
        let key = try SigningKey(pem: Self.encryptedByOpenSSL, passphrase: "hunter2")
        #expect(
            key.verifyingKey.hex
                == "e10ae0086deb8ef58c4f7dd713719b7908b0c21165d7b05ffe9a5bbcd2b7e005")
    }

    @Test("each fault of a key file has its own error")
    func faults() throws {
        let plain = try SigningKey.generate().pem(passphrase: nil)
        let sealed = try SigningKey.generate().pem(passphrase: "right")
        let transport = try TransportKey.generate().pem(passphrase: nil)
        let damaged = plain.replacing("MC4CAQ", with: "MC4CAg")
        #expect(throws: CryptographyError.notPEM) {
            try SigningKey(pem: "not a key", passphrase: nil)
        }
        #expect(throws: CryptographyError.notPEM) { try SigningKey(pem: "", passphrase: nil) }
        #expect(throws: CryptographyError.notPEM) {
            try SigningKey(pem: String(plain.prefix(60)), passphrase: nil)
        }
        #expect(throws: CryptographyError.wrongPassphrase) {
            try SigningKey(pem: sealed, passphrase: "wrong")
        }
        #expect(throws: CryptographyError.passphraseNeeded) {
            try SigningKey(pem: sealed, passphrase: nil)
        }
        #expect(throws: CryptographyError.wrongKeyKind(expected: "Ed25519", found: "X25519")) {
            try SigningKey(pem: transport, passphrase: nil)
        }
        #expect(throws: CryptographyError.wrongKeyKind(expected: "X25519", found: "ED25519")) {
            try TransportKey(pem: plain, passphrase: nil)
        }
        #expect(throws: CryptographyError.notPrivateKey(label: "PUBLIC KEY")) {
            try SigningKey(
                pem: plain.replacing("PRIVATE KEY", with: "PUBLIC KEY"), passphrase: nil)
        }
        #expect(damaged != plain)
        #expect(throws: CryptographyError.self) { try SigningKey(pem: damaged, passphrase: nil) }
    }

    @Test(
        "X25519 gives the public keys of RFC 7748",
        arguments: [
            (
                "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
            ),
            (
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
            ),
        ])
    func transportVectors(secret: String, publicKey: String) throws {
        let key = try TransportKey(secretKey: #require(bytes(fromHex: secret)))
        #expect(hexString(key.publicKey) == publicKey)
        #expect(hexString(key.secretKey) == secret)
    }
}

@Suite("Sealed rows")
struct SealingTests {
    @Test("AES-256-GCM opens the value of NIST's test case 16")
    func publishedVector() throws {
        let half = "feffe9928665731c6d6a8f9467308308"
        let plain =
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        let sealed =
            "cafebabefacedbaddecaf888"
            + "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            + "76fc6ece0f4e1768cddf8853bb2d551b"
        let key = try SealingKey(#require(bytes(fromHex: half + half)))
        let context = try #require(bytes(fromHex: "feedfacedeadbeeffeedfacedeadbeefabaddad2"))
        let result = try key.open(#require(bytes(fromHex: sealed)), context: context)
        #expect(hexString(result) == plain)
    }

    @Test(
        "what was sealed opens, under the same key and context alone", arguments: [0, 1, 16, 999])
    func opens(length: Int) throws {
        let key = try SealingKey.generate()
        let plain = (0..<length).map { UInt8($0 & 255) }
        let context = Array("patients/7".utf8)
        let sealed = try key.seal(plain, context: context)
        #expect(sealed.count == length + 28)
        #expect(try key.open(sealed, context: context) == plain)
        #expect(try key.seal(plain, context: context) != sealed, "nonces are fresh")
        #expect(throws: CryptographyError.notAuthentic) {
            try key.open(sealed, context: Array("patients/8".utf8))
        }
        #expect(throws: CryptographyError.notAuthentic) { try key.open(sealed, context: []) }
        #expect(throws: CryptographyError.notAuthentic) {
            try SealingKey.generate().open(sealed, context: context)
        }
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: CryptographyError.notAuthentic, "byte \(index)") {
                try key.open(changed, context: context)
            }
        }
        for count in [0, 27, sealed.count - 1] {
            #expect(throws: CryptographyError.notAuthentic) {
                try key.open(Array(sealed.prefix(count)), context: context)
            }
        }
    }

    @Test("a sealing key has 32 bytes")
    func keyLength() throws {
        #expect(
            throws: CryptographyError.wrongLength("sealing key", expected: 32, found: 16)
        ) { try SealingKey([UInt8](repeating: 0, count: 16)) }
        let key = try SealingKey.generate()
        #expect(try SealingKey(key.bytes).open(key.seal([1], context: []), context: []) == [1])
    }
}
