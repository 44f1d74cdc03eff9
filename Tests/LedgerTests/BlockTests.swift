import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct BlockTests {
    let example: EnvelopeExample
    let network: NetworkID
    let key: SigningKey
    let parent: Certificate
    let header: BlockHeader

    init() throws {
        example = try EnvelopeExample()
        network = example.network
        key = try signingKey(of: Consortium.coordinator)
        let (slot, hash) = (Slot(term: Term(1), height: Height(8)), digest("parent"))
        let network = network
        parent = Certificate(
            slot: slot, block: hash,
            entries: try Consortium.sites.map { voter in
                let vote = try Vote(
                    voter: voter, slot: slot, block: hash, network: network,
                    key: voteKey(of: voter))
                return Certificate.Entry(voter: voter, signature: vote.signature)
            })
        header = BlockHeader(
            slot: Slot(term: Term(1), height: Height(9)), previous: hash,
            timeMilliseconds: 1_700_000_000_000, proposer: Consortium.coordinator,
            transactionCount: 2, logSize: 40, logRoot: digest("log"),
            effectsRoot: digest("effects"), stateRoot: .zero, voters: digest("voters"),
            parentCertificate: parent.hash(network: network), opening: nil)
    }

    /// A block with its header or its parts changed, and signed anew.
    func block(
        certificate: Certificate?? = .none, envelopes: [Envelope]? = nil,
        _ change: (inout BlockHeader) -> Void = { _ in }
    ) throws -> Block {
        var header = header
        change(&header)
        return try Block(
            header: header, envelopes: envelopes ?? [example.envelope],
            parentCertificate: certificate ?? parent, network: network, key: key)
    }

    /// A block whose header's message is changed below the ledger's own types.
    func rewritten(_ change: (inout WireBlockHeader) -> Void) throws -> [UInt8] {
        var outer = try WireBlock(strictly: block().bytes)
        var header = try WireBlockHeader(strictly: [UInt8](outer.header))
        change(&header)
        outer.header = data(header.encoded())
        outer.signature = data(
            try key.sign(payload(.block, network: network, header.encoded())).bytes)
        return outer.encoded()
    }

    func fault(_ bytes: [UInt8]) -> BlockFault? {
        do throws(BlockFault) {
            _ = try Block(strictly: bytes, network: network)
            return nil
        } catch { return error }
    }

    @Test("what was proposed is what is read")
    func roundTrip() throws {
        let block = try block()
        let read = try Block(strictly: block.bytes, network: network)
        #expect(read == block)
        #expect(read.height == Height(9) && read.parentCertificate == parent)
        #expect(read.envelopes == [try example.envelope])
        #expect(read.hash == payloadHash(.block, network: network, read.headerBytes))
        try read.verifySignature(by: key.verifyingKey, network: network)
    }

    @Test("the opening that a header names is the one that the block carries")
    func openings() throws {
        let unnamed = try block { $0.opening = digest("opening") }
        #expect(fault(unnamed.bytes) == .openingOfAnother)
        let opening = try self.opening()
        let first = try firstBlock(opening)
        let read = try Block(strictly: first.bytes, network: network)
        #expect(read == first && read.opening == opening && read.isFirst)
        let otherTerm = try firstBlock(opening) { $0.slot = Slot(term: Term(3), height: Height(9)) }
        #expect(fault(otherTerm.bytes) == .openingOfAnother)
        let otherHash = try firstBlock(opening) { $0.opening = digest("opening") }
        #expect(fault(otherHash.bytes) == .openingOfAnother)
        let notNamed = try firstBlock(opening) { $0.opening = nil }
        #expect(fault(notNamed.bytes) == .openingOfAnother)
    }

    private func opening() throws -> Opening {
        var wire = WireDecision()
        wire.term = 2
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(key.verifyingKey.bytes)
        wire.voters =
            VoterSet(
                keys: [Consortium.north: try voteKey(of: Consortium.north).verifyingKey],
                majority: false
            ).wire
        return Opening(
            decision: try Decision(strictly: wire.encoded(), network: network), statuses: [],
            network: network)
    }

    private func firstBlock(
        _ opening: Opening, _ change: (inout BlockHeader) -> Void = { _ in }
    ) throws -> Block {
        var header = try block().header
        header.slot = Slot(term: Term(2), height: header.slot.height)
        header.opening = opening.hash
        change(&header)
        return try Block(
            header: header, envelopes: [example.envelope], parentCertificate: parent,
            opening: opening, network: network, key: key)
    }

    @Test("the first block carries no certificate, every other one does")
    func certificateOfParent() throws {
        let first = try block(certificate: .some(nil)) {
            $0.slot = Slot(term: .first, height: Height(1))
            $0.previous = network.digest
            $0.parentCertificate = .zero
            $0.opening = network.digest
        }
        #expect(try Block(strictly: first.bytes, network: network) == first)
        let without = try block(certificate: .some(nil)) { $0.parentCertificate = .zero }
        #expect(fault(without.bytes) == .certificateOfAnother)
        let unstated = try block(certificate: .some(nil))
        #expect(fault(unstated.bytes) == .certificateOfAnother)
        let atFirst = try block { $0.slot = Slot(term: .first, height: Height(1)) }
        #expect(fault(atFirst.bytes) == .certificateOfAnother)
        let wrongHash = try block { $0.parentCertificate = digest("another") }
        #expect(fault(wrongHash.bytes) == .certificateOfAnother)
        let wrongParent = try block { $0.previous = digest("another") }
        #expect(fault(wrongParent.bytes) == .certificateOfAnother)
        let other = Certificate(slot: parent.slot, block: parent.block, entries: [])
        #expect(fault(try block(certificate: other).bytes) == .certificateOfAnother)
    }

    @Test("each refusal of a header")
    func headerRefusals() throws {
        #expect(fault(try rewritten { _ in }) == nil)
        #expect(fault(try rewritten { $0.version = 2 }) == .unknownVersion(2))
        #expect(fault(try rewritten { $0.version = 0 }) == .unknownVersion(0))
        #expect(
            fault(try rewritten { $0.network = data(digest("another").bytes) }) == .foreignNetwork)
        #expect(fault(try rewritten { $0.proposer = "office" }) == .badField("proposer"))
        let short = data([UInt8](repeating: 1, count: 31))
        let fields: [(String, (inout WireBlockHeader) -> Void)] = [
            ("previous", { $0.previous = short }), ("log root", { $0.logRoot = short }),
            ("effects root", { $0.effectsRoot = short }), ("state root", { $0.stateRoot = short }),
            ("voters", { $0.voters = short }),
            ("parent certificate", { $0.parentCertificate = short }),
            ("opening", { $0.opening = short }),
        ]
        for (name, change) in fields {
            #expect(fault(try rewritten(change)) == .badField(name))
        }
        for count in [UInt32(0), 1, 3, .max] {
            #expect(
                fault(try rewritten { $0.transactionCount = count })
                    == .wrongCount(stated: count, found: 2))
        }
    }

    @Test("each refusal of what stands beside the header")
    func bodyRefusals() throws {
        let wire = try WireBlock(strictly: block().bytes)
        var changed = wire
        changed.signature.removeLast()
        #expect(fault(changed.encoded()) == .badField("signature"))
        changed = wire
        changed.envelopes[0].removeLast()
        #expect(
            fault(changed.encoded())
                == .badEnvelope(index: 0, .malformed(.malformed("tally.v1.Envelope"))))
        changed = wire
        changed.envelopes.append(changed.envelopes[0])
        #expect(fault(changed.encoded()) == .wrongCount(stated: 2, found: 4))
        changed = wire
        changed.parentCertificate.removeLast()
        #expect(
            fault(changed.encoded())
                == .badCertificate(.malformed(.malformed("tally.v1.Certificate"))))
        #expect(
            fault(wire.encoded() + RawMessage.number(5, 1))
                == .malformed(.notCanonical("tally.v1.Block")))
        #expect(fault(wire.encoded() + [0]) == .malformed(.malformed("tally.v1.Block")))
        let header = [UInt8](wire.header)
        changed = wire
        changed.header = data(header + RawMessage.number(16, 1))
        #expect(fault(changed.encoded()) == .malformed(.notCanonical("tally.v1.BlockHeader")))
        let tooLarge = [UInt8](repeating: 0, count: Block.maximumBytes + 1)
        #expect(fault(tooLarge) == .tooLarge(bytes: 4 << 20 + 1))
    }

    @Test("only the proposer's key, and only for this network, signs a block")
    func signature() throws {
        let block = try block()
        let other = try signingKey(of: Consortium.east).verifyingKey
        #expect(throws: BlockFault.badSignature) {
            try block.verifySignature(by: other, network: network)
        }
        #expect(throws: BlockFault.badSignature) {
            try block.verifySignature(by: key.verifyingKey, network: .none)
        }
        #expect(throws: BlockFault.foreignNetwork) {
            try Block(strictly: block.bytes, network: .none)
        }
    }

    @Test("every field of the header is in the hash")
    func hash() throws {
        let changes: [(inout BlockHeader) -> Void] = [
            { _ in }, { $0.slot = Slot(term: Term(2), height: Height(9)) },
            { $0.slot = Slot(term: Term(1), height: Height(10)) },
            { $0.previous = digest("x") }, { $0.timeMilliseconds += 1 },
            { $0.proposer = Consortium.east }, { $0.transactionCount = 3 }, { $0.logSize += 1 },
            { $0.logRoot = digest("x") }, { $0.effectsRoot = digest("x") },
            { $0.stateRoot = digest("x") }, { $0.voters = digest("x") },
            { $0.parentCertificate = digest("x") }, { $0.opening = digest("x") },
        ]
        let hashes = try changes.map { try block($0).hash }
        #expect(Set(hashes).count == changes.count)
    }

    @Test("any one byte changed: refused, or a signature fails", arguments: UInt64(0)..<8)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let block = try block()
        func isGood(_ bytes: [UInt8]) -> Bool {
            guard let read = try? Block(strictly: bytes, network: network) else { return false }
            return (try? read.verifySignature(by: key.verifyingKey, network: network)) != nil
                && read.envelopes.allSatisfy {
                    $0.isSigned(by: example.key.verifyingKey, network: network)
                }
        }
        #expect(isGood(block.bytes))
        for place in block.bytes.indices {
            var changed = block.bytes
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            #expect(!isGood(changed), "seed \(seed), byte \(place)")
        }
    }
}

private func digest(_ name: String) -> Digest { Digest.sha256(Array(name.utf8)) }
