import Testing

import Cryptography

/// One row of RFC 8032, section 7.1, in hexadecimal.
struct SignatureVector: Sendable {
    let seed: String
    let key: String
    let message: String
    let signature: String
}

let signatureVectors = [
    SignatureVector(
        seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message: "",
        signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    SignatureVector(
        seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message: "72",
        signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    SignatureVector(
        seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        key: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message: "af82",
        signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]

@Suite("Signatures")
struct SignatureTests {
    @Test("Ed25519 gives the values of RFC 8032", arguments: signatureVectors)
    func publishedVectors(row: SignatureVector) throws {
        let key = try SigningKey(seed: #require(bytes(fromHex: row.seed)))
        let message = try #require(bytes(fromHex: row.message))
        #expect(key.verifyingKey.hex == row.key)
        let signature = try key.sign(message)
        #expect(hexString(signature.bytes) == row.signature)
        #expect(key.verifyingKey.verifies(signature, of: message))
        #expect(!key.verifyingKey.verifies(signature, of: message + [0]))
    }

    @Test("no flipped bit of a signature verifies")
    func flippedBits() throws {
        let key = try SigningKey(seed: [UInt8](repeating: 1, count: 32))
        let message = Array("a reading list".utf8)
        let bytes = try key.sign(message).bytes
        for bit in 0..<512 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            let signature = try #require(Signature(changed))
            #expect(!key.verifyingKey.verifies(signature, of: message), "bit \(bit)")
        }
    }

    @Test("a signature is refused under another key and under bytes that are no key")
    func otherKeys() throws {
        let message: [UInt8] = [1, 2, 3]
        let signature = try SigningKey.generate().sign(message)
        #expect(try !SigningKey.generate().verifyingKey.verifies(signature, of: message))
        for byte in [UInt8(0xff), 0x02] {
            let noKey = try #require(VerifyingKey([UInt8](repeating: byte, count: 32)))
            #expect(!noKey.verifies(signature, of: message))
        }
    }

    @Test("a signature with its scalar raised by the group order is refused")
    func malleability() throws {
        let order: [UInt8] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        let key = try SigningKey(seed: [UInt8](repeating: 1, count: 32))
        var bytes = try key.sign([1]).bytes
        var carry: UInt16 = 0
        for index in 0..<32 {
            carry += UInt16(bytes[32 + index]) + UInt16(order[index])
            bytes[32 + index] = UInt8(truncatingIfNeeded: carry)
            carry >>= 8
        }
        #expect(!key.verifyingKey.verifies(try #require(Signature(bytes)), of: [1]))
    }

    @Test("lengths are checked")
    func lengths() {
        #expect(Signature([UInt8](repeating: 0, count: 63)) == nil)
        #expect(Signature([UInt8](repeating: 0, count: 65)) == nil)
        #expect(VerifyingKey([UInt8](repeating: 0, count: 31)) == nil)
        #expect(
            throws: CryptographyError.wrongLength("Ed25519 private key", expected: 32, found: 31)
        ) { try SigningKey(seed: [UInt8](repeating: 0, count: 31)) }
    }

    @Test("a derived secret depends on the key and the label and on nothing else")
    func derivedSecret() throws {
        let seed = [UInt8](repeating: 7, count: 32)
        let key = try SigningKey(seed: seed)
        let secret = key.derivedSecret(label: "commit salt")
        #expect(secret == hmacSHA256(key: seed, Array("commit salt".utf8)).bytes)
        #expect(try SigningKey(seed: seed).derivedSecret(label: "commit salt") == secret)
        #expect(key.derivedSecret(label: "commit salts") != secret)
        #expect(try SigningKey.generate().derivedSecret(label: "commit salt") != secret)
    }

    @Test("no secret is printed, described, dumped or reflected")
    func printsNothing() throws {
        let secret = [UInt8](repeating: 0xab, count: 32)
        let signing = try SigningKey(seed: secret)
        let transport = try TransportKey(secretKey: secret)
        let sealing = try SealingKey(secret)
        var text = "\(signing) \(transport) \(sealing)"
        text += String(reflecting: signing) + String(reflecting: transport)
        text += String(reflecting: sealing) + String(reflecting: [signing])
        dump(signing, to: &text)
        dump(transport, to: &text)
        dump(sealing, to: &text)
        #expect(text.contains(signing.verifyingKey.hex))
        #expect(!text.contains("abababab") && !text.contains("171, 171"))
        #expect(!text.contains("- 171\n"))
    }
}
