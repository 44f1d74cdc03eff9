import Testing

import Cryptography

@Suite("Digests")
struct DigestTests {
    @Test(
        "SHA-256 gives the published values",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func publishedVectors(text: String, hex: String) {
        #expect(Digest.sha256(Array(text.utf8)).hex == hex)
        #expect(Digest.sha256(text.utf8).hex == hex)
        #expect(Array(text.utf8).withUnsafeBytes { Digest.sha256($0) }.hex == hex)
    }

    @Test("a million letters a, in pieces of every size")
    func longVector() {
        var hasher = SHA256()
        var left = 1_000_000
        var piece = 1
        while left > 0 {
            let count = min(piece, left)
            hasher.update([UInt8](repeating: UInt8(ascii: "a"), count: count))
            left -= count
            piece = piece % 997 + 1
        }
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(hasher.finalize().hex == expected)
        #expect(hasher.finalize().hex == expected, "a hasher may be asked twice")
    }

    @Test("parts, prefixed nodes and leaves hash like their joined bytes")
    func joined() {
        let left = Digest.sha256([1])
        let right = Digest.sha256([2])
        let node = Digest.sha256([1] + left.bytes + right.bytes)
        #expect(Digest.sha256(prefix: 1, left, right) == node)
        #expect(Digest.sha256(prefix: 1, right, left) != node)
        #expect(Digest.sha256(of: [[1], left.bytes, [], right.bytes]) == node)
        #expect(Digest.sha256(prefix: 0, [7, 8]) == Digest.sha256([0, 7, 8]))
        var hasher = SHA256()
        hasher.update(byte: 1)
        hasher.update(left)
        hasher.update(right)
        #expect(hasher.finalize() == node)
    }

    @Test("bytes and hex lead back to the digest, and other lengths to nothing")
    func roundTrip() {
        let digest = Digest.sha256(Array("abc".utf8))
        #expect(Digest(digest.bytes) == digest)
        #expect(Digest(digest.bytes.lazy.map { $0 }) == digest)
        #expect(Digest(hex: digest.hex) == digest)
        #expect(digest.description == digest.hex)
        #expect(Digest(hex: digest.hex.uppercased()) == nil)
        #expect(Digest(hex: String(digest.hex.dropLast())) == nil)
        #expect(Digest(hex: digest.hex.dropLast() + "g") == nil)
        #expect(Digest(digest.bytes.dropLast()) == nil)
        #expect(Digest(digest.bytes + [0]) == nil)
        #expect(Digest.zero.bytes == [UInt8](repeating: 0, count: 32))
    }

    @Test("digests are ordered as their bytes are")
    func order() {
        let digests = (0..<300).map { Digest.sha256([UInt8($0 & 255), UInt8($0 >> 8)]) }
        let byBytes = digests.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        #expect(digests.sorted() == byBytes)
        for position in 0..<32 {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[position] = 1
            #expect(Digest(bytes).map { Digest.zero < $0 } == true)
            #expect(Digest(bytes).map { $0 < Digest.zero } == false)
        }
    }

    @Test(
        "HMAC-SHA-256 gives the values of RFC 4231",
        arguments: [
            (
                [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ])
    func hmacVectors(key: [UInt8], message: [UInt8], hex: String) {
        #expect(hmacSHA256(key: key, message).hex == hex)
    }

    @Test("hexadecimal reads lower case alone")
    func hexadecimal() {
        #expect(hexString([0, 0x0f, 0xf0, 0xff]) == "000ff0ff")
        #expect(bytes(fromHex: "000ff0ff") == [0, 0x0f, 0xf0, 0xff])
        #expect(bytes(fromHex: "") == [])
        for text in ["0", "0F", "0g", " 0", "é0"] { #expect(bytes(fromHex: text) == nil) }
    }

    @Test("constant-time equality is equality")
    func equality() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    }

    @Test("random bytes have the length asked for and differ")
    func random() throws {
        #expect(try systemRandomBytes(0) == [])
        let first = try systemRandomBytes(32)
        #expect(first.count == 32)
        #expect(try systemRandomBytes(32) != first)
    }
}
