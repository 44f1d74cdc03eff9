import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// An envelope of two transactions, and ways to write it differently.
struct EnvelopeExample {
    let network = NetworkID(Digest.sha256(Array("network".utf8)))
    let signer = Consortium.east
    let key: SigningKey
    let transactions: [WireTransaction]
    let bytes: [UInt8]

    init() throws {
        key = try signingKey(of: signer)
        transactions = [.grant(named("patient")), .closeItem("east/1")]
        bytes = try signedEnvelope(
            transactions, signer: signer, sequence: 300, notAfter: Height(1000),
            network: network, key: key)
    }

    var envelope: Envelope { get throws { try Envelope(strictly: bytes, network: network) } }

    func outer() throws -> WireEnvelope { try WireEnvelope(strictly: bytes) }

    func header() throws -> WireEnvelopeHeader {
        try WireEnvelopeHeader(strictly: [UInt8](outer().header))
    }

    /// The envelope with its header, its transactions or itself changed, and signed anew.
    func rewritten(
        header change: (inout WireEnvelopeHeader) -> Void = { _ in },
        transactions: [[UInt8]]? = nil
    ) throws -> [UInt8] {
        var header = try header()
        let raw = transactions ?? self.transactions.map { $0.encoded() }
        header.transactionCount = UInt32(raw.count)
        header.transactionsRoot = data(merkleRoot(raw.map(leafHash)).bytes)
        change(&header)
        return try signed(header.encoded(), raw)
    }

    func signed(_ headerBytes: [UInt8], _ raw: [[UInt8]]) throws -> [UInt8] {
        var outer = WireEnvelope()
        outer.header = data(headerBytes)
        outer.signature = data(
            try key.sign(payload(.envelope, network: network, headerBytes)).bytes)
        outer.transactions = raw.map(data)
        return outer.encoded()
    }

    func fault(_ bytes: [UInt8]) -> EnvelopeFault? {
        do throws(EnvelopeFault) {
            _ = try Envelope(strictly: bytes, network: network)
            return nil
        } catch { return error }
    }
}

struct EnvelopeTests {
    let example: EnvelopeExample

    init() throws { example = try EnvelopeExample() }

    @Test("20,000 transactions are admitted, and one more is refused before they are read")
    func mostTransactions() throws {
        let one = example.transactions[0].encoded()
        func bytes(_ count: Int) throws -> [UInt8] {
            try example.rewritten(transactions: [[UInt8]](repeating: one, count: count))
        }
        #expect(try example.fault(bytes(Envelope.maximumTransactions)) == nil)
        let more = Envelope.maximumTransactions + 1
        #expect(try example.fault(bytes(more)) == .tooMany(more))
        let garbage = try example.rewritten(
            header: { $0.transactionsRoot = data(Digest.zero.bytes) },
            transactions: [[UInt8]](repeating: [0xff], count: more))
        #expect(example.fault(garbage) == .tooMany(more))
    }

    @Test("what was signed is what is read")
    func roundTrip() throws {
        let envelope = try example.envelope
        #expect(envelope.bytes == example.bytes)
        #expect(envelope.signer == example.signer)
        #expect(envelope.header.sequence == 300)
        #expect(envelope.header.notAfterHeight == 1000)
        #expect(envelope.transactions == example.transactions)
        #expect(envelope.transactionBytes == example.transactions.map { $0.encoded() })
        #expect(envelope.isSigned(by: example.key.verifyingKey, network: example.network))
        let headerBytes = [UInt8](try example.outer().header)
        #expect(
            envelope.id
                == Digest.sha256(
                    Array("tally/envelope/v1\0".utf8) + example.network.digest.bytes
                        + bigEndian(UInt64(headerBytes.count)) + headerBytes))
        #expect(
            envelope.logLeaf(1)
                == Digest.sha256(
                    [0] + envelope.id.bytes + [0, 0, 0, 1] + envelope.transactionBytes[1]))
    }

    @Test("the id does not depend on the signature, which then does not verify")
    func idWithoutSignature() throws {
        var outer = try example.outer()
        outer.signature = data([UInt8](repeating: 7, count: 64))
        let other = try Envelope(strictly: outer.encoded(), network: example.network)
        #expect(other.id == (try example.envelope.id))
        #expect(other.bytes != example.bytes)
        #expect(!other.isSigned(by: example.key.verifyingKey, network: example.network))
    }

    @Test("a signature for one kind or network never verifies for another")
    func domains() throws {
        let kinds: [PayloadKind] = [
            .envelope, .block, .vote, .receipt, .member, .genesis, .voters, .certificate,
        ]
        let headerBytes = [UInt8](try example.outer().header)
        let networks = [
            example.network, NetworkID.none, NetworkID(Digest.sha256(Array("another".utf8))),
        ]
        var hashes: Set<Digest> = []
        for kind in kinds {
            for network in networks {
                hashes.insert(payloadHash(kind, network: network, headerBytes))
                var outer = try example.outer()
                outer.signature = data(
                    try example.key.sign(payload(kind, network: network, headerBytes)).bytes)
                let envelope = try Envelope(strictly: outer.encoded(), network: example.network)
                #expect(
                    envelope.isSigned(by: example.key.verifyingKey, network: example.network)
                        == (kind == .envelope && network == example.network),
                    "\(kind) \(network)")
            }
        }
        #expect(hashes.count == kinds.count * networks.count)
        let elsewhere = try Envelope(strictly: example.bytes, network: networks[2])
        #expect(elsewhere.id != (try example.envelope.id))
        #expect(!elsewhere.isSigned(by: example.key.verifyingKey, network: networks[2]))
        let stranger = try signingKey(of: Consortium.west).verifyingKey
        #expect(!(try example.envelope.isSigned(by: stranger, network: example.network)))
    }

    @Test("the length frame keeps what is signed from being read as something longer")
    func framing() {
        let (short, long) = ([UInt8](repeating: 1, count: 4), [UInt8](repeating: 1, count: 5))
        let message = payload(.vote, network: example.network, short)
        #expect(message.count == "tally/vote/v1".utf8.count + 1 + 32 + 8 + 4)
        #expect(!payload(.vote, network: example.network, long).starts(with: message))
    }

    @Test("each refusal of a well-encoded envelope")
    func refusals() throws {
        let transaction = example.transactions[0].encoded()
        #expect(example.fault(try example.rewritten()) == nil)
        #expect(
            example.fault(try example.rewritten(header: { $0.signer = "Site/East" }))
                == .badSigner("Site/East"))
        #expect(
            example.fault(try example.rewritten(header: { $0.sequence = 0 })) == .zeroSequence)
        #expect(example.fault(try example.rewritten(transactions: [])) == .empty)
        for count in [UInt32(0), 1, 3, .max] {
            #expect(
                example.fault(try example.rewritten(header: { $0.transactionCount = count }))
                    == .wrongCount(stated: count, found: 2))
        }
        let reversed = merkleRoot(example.transactions.reversed().map { leafHash($0.encoded()) })
        for root in [reversed.bytes, Digest.zero.bytes, [], reversed.bytes + [0]] {
            #expect(
                example.fault(try example.rewritten(header: { $0.transactionsRoot = data(root) }))
                    == .wrongRoot)
        }
        #expect(
            example.fault(try example.rewritten(transactions: [transaction, [0xff]]))
                == .malformedTransaction(index: 1, .malformed("tally.v1.Transaction")))
        #expect(
            example.fault(
                try example.rewritten(
                    transactions: [transaction + RawMessage.number(99, 1), transaction]))
                == .malformedTransaction(index: 0, .notCanonical("tally.v1.Transaction")))
        #expect(
            example.fault(try example.rewritten(transactions: [transaction, []]))
                == .emptyTransaction(index: 1))
        for count in [0, 63, 65] {
            var outer = try example.outer()
            outer.signature = data([UInt8](repeating: 0, count: count))
            #expect(example.fault(outer.encoded()) == .badSignatureLength(count))
        }
    }

    @Test("an envelope of exactly 1 MiB is read, one byte more is not")
    func size() throws {
        func envelope(padding: Int) throws -> [UInt8] {
            try example.rewritten(transactions: [
                WireTransaction.closeItem(String(repeating: "x", count: padding)).encoded()
            ])
        }
        let frame = try envelope(padding: 1 << 19).count - 1 << 19
        let largest = try envelope(padding: Envelope.maximumBytes - frame)
        #expect(largest.count == 1 << 20 && Envelope.maximumBytes == 1 << 20)
        #expect(example.fault(largest) == nil)
        let tooLarge = try envelope(padding: Envelope.maximumBytes - frame + 1)
        #expect(example.fault(tooLarge) == .tooLarge(bytes: 1 << 20 + 1))
    }

    @Test("the same content in any other encoding is refused")
    func canonicalOuter() throws {
        let outer = try example.outer()
        let (header, signature) = ([UInt8](outer.header), [UInt8](outer.signature))
        let raw = outer.transactions.map { [UInt8]($0) }
        let first = RawMessage.bytes(1, header)
        let second = RawMessage.bytes(2, signature)
        let third = raw.flatMap { RawMessage.bytes(3, $0) }
        #expect(first + second + third == example.bytes)
        let other: [(String, [UInt8])] = [
            ("fields out of order", second + first + third),
            ("transactions first", third + first + second),
            ("unknown field", example.bytes + RawMessage.number(4, 1)),
            ("unknown empty field", example.bytes + RawMessage.bytes(15, [])),
            ("field twice", first + first + second + third),
            ("overlong length", RawMessage.bytes(1, header, padding: 1) + second + third),
            ("overlong tag", [0x8a, 0x00] + first.dropFirst() + second + third),
            ("empty field written out", RawMessage.bytes(1, []) + first + second + third),
            (
                "overlong length of a transaction",
                first + second + raw.flatMap { RawMessage.bytes(3, $0, padding: 3) }
            ),
        ]
        for (name, bytes) in other {
            #expect(
                example.fault(bytes) == .malformed(.notCanonical("tally.v1.Envelope")), "\(name)")
        }
        let broken: [(String, [UInt8])] = [
            ("trailing zero", example.bytes + [0]), ("cut short", example.bytes.dropLast()),
            ("trailing group end", example.bytes + [0x0c]), ("text", Array("envelope".utf8)),
            ("wrong wire type", RawMessage.number(1, 1) + second + third),
        ]
        for (name, bytes) in broken {
            guard case .malformed = example.fault(bytes) else {
                Issue.record("\(name) was read")
                continue
            }
        }
        #expect(example.fault([]) == .badSigner(""))
    }

    @Test("the same header in any other encoding is refused, though signed")
    func canonicalHeader() throws {
        let header = try example.header()
        let raw = example.transactions.map { $0.encoded() }
        let root = [UInt8](header.transactionsRoot)
        let signer = RawMessage.bytes(1, Array(header.signer.utf8))
        let numbers = RawMessage.number(2, 300) + RawMessage.number(3, 1000)
        let rest = RawMessage.bytes(4, root) + RawMessage.number(5, 2)
        #expect(signer + numbers + rest == header.encoded())
        let other: [(String, [UInt8])] = [
            (
                "overlong varint",
                signer + RawMessage.number(2, 300, padding: 1) + RawMessage.number(3, 1000) + rest
            ),
            (
                "ten-byte varint",
                signer + RawMessage.number(2, 300, padding: 8) + RawMessage.number(3, 1000) + rest
            ),
            ("fields out of order", numbers + signer + rest),
            ("unknown field", signer + numbers + rest + RawMessage.number(6, 0)),
            ("sequence twice", signer + RawMessage.number(2, 5) + numbers + rest),
            (
                "count beyond 32 bits",
                signer + numbers + RawMessage.bytes(4, root) + RawMessage.number(5, 1 << 32 + 2)
            ),
        ]
        for (name, bytes) in other {
            #expect(
                example.fault(try example.signed(bytes, raw))
                    == .malformed(.notCanonical("tally.v1.EnvelopeHeader")), "\(name)")
        }
        let notText = RawMessage.bytes(1, [0xff, 0xfe]) + numbers + rest
        #expect(
            example.fault(try example.signed(notText, raw))
                == .malformed(.malformed("tally.v1.EnvelopeHeader")))
        #expect(
            example.fault(try example.signed(signer + RawMessage.number(2, 0) + rest, raw))
                == .malformed(.notCanonical("tally.v1.EnvelopeHeader")))
    }

    @Test("any one byte changed: refused, or the signature fails", arguments: UInt64(0)..<20)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let envelope = try example.envelope
        let headerEnd = 2 + [UInt8](try example.outer().header).count
        let signature = headerEnd + 2..<headerEnd + 2 + 64
        #expect(Array(example.bytes[signature]) == envelope.signature.bytes)
        for place in example.bytes.indices {
            var bytes = example.bytes
            bytes[place] ^= UInt8.random(in: 1...255, using: &random)
            guard let other = try? Envelope(strictly: bytes, network: example.network) else {
                #expect(!signature.contains(place), "seed \(seed), byte \(place)")
                continue
            }
            #expect(
                !other.isSigned(by: example.key.verifyingKey, network: example.network),
                "seed \(seed), byte \(place)")
            #expect(place < signature.upperBound, "seed \(seed), byte \(place)")
            #expect((other.id == envelope.id) == signature.contains(place))
        }
    }

    @Test("bytes cut, doubled or drawn at random never pass", arguments: UInt64(0)..<200)
    func noise(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let length = Int.random(in: 0..<example.bytes.count, using: &random)
        #expect(example.fault(Array(example.bytes.prefix(length))) != nil, "seed \(seed)")
        let place = Int.random(in: 0...example.bytes.count, using: &random)
        let drawn = (0..<Int.random(in: 1...40, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        #expect(example.fault(drawn) != nil, "seed \(seed)")
        let inserted = example.bytes.prefix(place) + drawn + example.bytes.dropFirst(place)
        if let other = try? Envelope(strictly: Array(inserted), network: example.network) {
            #expect(
                !other.isSigned(by: example.key.verifyingKey, network: example.network),
                "seed \(seed)")
        }
    }
}
