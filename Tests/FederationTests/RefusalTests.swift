import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("What a voter refuses")
struct RefusalTests {
    /// A chain of two blocks and a sound third one that nobody has seen.
    private func chainWithProposal() throws -> (MemoryChain, Block) {
        var chain = try MemoryChain()
        for index in 0..<2 {
            var transaction = WireTransaction()
            transaction.consentGrant.patient = data(Digest.sha256([UInt8(index)]).bytes)
            transaction.consentGrant.purposes = [.training]
            try chain.submit(chain.envelope([transaction], by: Consortium.north))
            try chain.deliver(try #require(try chain.propose()))
        }
        return (chain, try #require(try chain.propose()))
    }

    /// The proposal with another header, signed by the coordinator all the same.
    private func altered(
        _ block: Block, in chain: MemoryChain, certificate: Certificate? = nil,
        envelopes: [Envelope]? = nil, key: SigningKey? = nil,
        _ change: (inout BlockHeader) -> Void = { _ in }
    ) throws -> Block {
        var header = block.header
        let carried = certificate ?? block.parentCertificate
        header.parentCertificate = carried?.hash(network: chain.genesis.network) ?? .zero
        change(&header)
        return try Block(
            header: header, envelopes: envelopes ?? block.envelopes, parentCertificate: carried,
            network: chain.genesis.network,
            key: key ?? signingKey(of: Consortium.coordinator))
    }

    private func refusal(_ block: Block, by chain: inout MemoryChain) throws -> BlockRefusal? {
        let before = chain.voters[1].replica.head
        guard case .refused(let refusal) = try chain.voters[1].consider(block, now: chain.now)
        else { return nil }
        #expect(chain.voters[1].replica.head == before, "a refused block leaves no trace")
        return refusal
    }

    @Test("the sound block is voted for")
    func sound() throws {
        var (chain, block) = try chainWithProposal()
        let same = try altered(block, in: chain)
        #expect(same.bytes == block.bytes)
        guard case .commit = try chain.voters[1].consider(same, now: chain.now) else {
            Issue.record("the sound block was not voted for")
            return
        }
    }

    @Test("a header with one field altered is refused for that field")
    func fields() throws {
        var (chain, block) = try chainWithProposal()
        let other = Digest.sha256([1])
        let head = chain.replica.head.height
        let rows: [(String, (inout BlockHeader) -> Void, BlockRefusal)] = [
            (
                "term", { $0.slot = Slot(term: Term(2), height: $0.slot.height) },
                .unknownTerm(Term(2))
            ),
            ("proposer", { $0.proposer = Consortium.east }, .foreignProposer(Consortium.east)),
            ("voters", { $0.voters = other }, .wrongVoters),
            ("opening", { $0.opening = other }, .wrongOpening),
            ("time", { $0.timeMilliseconds -= 1 }, .tooEarly),
            ("log root", { $0.logRoot = other }, .wrongRoot("log root")),
            ("log size", { $0.logSize += 1 }, .wrongRoot("log root")),
            ("effects root", { $0.effectsRoot = other }, .wrongRoot("effects root")),
            ("state root", { $0.stateRoot = other }, .wrongRoot("state root")),
        ]
        for (name, change, expected) in rows {
            let lie = try altered(block, in: chain, change)
            #expect(try refusal(lie, by: &chain) == expected, "\(name)")
        }
        let forged = try altered(block, in: chain, key: try signingKey(of: Consortium.east))
        #expect(try refusal(forged, by: &chain) == .badBlock(.badSignature))
        #expect(head == chain.replica.head.height)
    }

    @Test("a parent's certificate with too few, foreign or false votes is refused")
    func certificates() throws {
        var (chain, block) = try chainWithProposal()
        let carried = try #require(block.parentCertificate)
        let few = Certificate(
            slot: carried.slot, block: carried.block,
            entries: carried.entries.filter {
                ![Consortium.coordinator, Consortium.east].contains($0.voter)
            })
        #expect(
            try refusal(altered(block, in: chain, certificate: few), by: &chain)
                == .badParentCertificate(
                    .tooFew(votes: few.entries.count, quorum: 3)))
        let north = try #require(carried.entries.first { $0.voter == Consortium.north })
        let swapped = carried.entries.map { entry in
            entry.voter == Consortium.east
                ? Certificate.Entry(voter: entry.voter, signature: north.signature) : entry
        }
        let false_ = Certificate(slot: carried.slot, block: carried.block, entries: swapped)
        #expect(
            try refusal(altered(block, in: chain, certificate: false_), by: &chain)
                == .badParentCertificate(.badSignature(Consortium.east)))
    }

    @Test("a second block at a slot gets no second vote")
    func secondBlock() throws {
        var (chain, block) = try chainWithProposal()
        let rival = try altered(block, in: chain) { $0.timeMilliseconds += 1 }
        try chain.deliver(block)
        #expect(try refusal(rival, by: &chain) == .otherBlockAtSlot(block.slot))
    }

    @Test("an envelope with a bad signature or a used sequence makes the block invalid")
    func envelopes() throws {
        var (chain, block) = try chainWithProposal()
        var transaction = WireTransaction()
        transaction.consentGrant.patient = data(Digest.sha256([7]).bytes)
        transaction.consentGrant.purposes = [.training]
        let forged = try chain.envelope(
            [transaction], by: Consortium.west, key: signingKey(of: Consortium.east))
        let lie = try altered(block, in: chain, envelopes: [forged]) { $0.transactionCount = 1 }
        #expect(
            try refusal(lie, by: &chain)
                == .execution(.badSignature(Consortium.west, envelope: forged.id)))
        let replayed = try chain.envelope([transaction], by: Consortium.north, sequence: 1)
        let again = try altered(block, in: chain, envelopes: [replayed]) {
            $0.transactionCount = 1
        }
        #expect(
            try refusal(again, by: &chain)
                == .execution(.sequenceUsed(Consortium.north, sequence: 1, next: 3)))
    }

    @Test("a block from the future gets no vote yet, and one above the next height waits")
    func future() throws {
        var (chain, block) = try chainWithProposal()
        let late = try altered(block, in: chain) { $0.timeMilliseconds += 60_001 }
        guard
            case .withheld = try chain.voters[1].consider(late, now: block.header.timeMilliseconds)
        else {
            Issue.record("a block more than a minute ahead should be withheld")
            return
        }
        let far = try altered(block, in: chain) {
            $0.slot = Slot(term: $0.slot.term, height: $0.slot.height.next)
        }
        #expect(
            try refusal(far, by: &chain) == .notAChild(of: chain.voters[1].replica.head.height))
        let orphan = try altered(block, in: chain) { $0.previous = Digest.sha256([3]) }
        guard case .missingParent = try chain.voters[1].consider(orphan, now: chain.now) else {
            Issue.record("a block without a known parent should wait")
            return
        }
    }
}
