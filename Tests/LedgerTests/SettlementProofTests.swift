import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

private let second = AccountID(.coordinator, "second")
private let third = AccountID(.coordinator, "third")
private let south = AccountID(.site, "south")

struct SettlementProofTests {
    /// Three terms: the second changes the coordinator's organisation, the third a site as well.
    static let chain = Result { () throws -> ProvenChain in
        var chain = try ProvenChain()
        for count in [3, 0, 5] { try chain.append(count) }
        try chain.open(chain.decide(second, voters: [second] + Consortium.sites))
        for count in [1, 0, 2, 4] { try chain.append(count) }
        let voters = [third, Consortium.east, Consortium.north, south]
        try chain.open(chain.decide(third, voters: voters, term: 7))
        for count in [2, 0, 1, 0, 0] { try chain.append(count) }
        return chain
    }

    private func fault(_ proof: SettlementProof, _ genesis: Genesis) -> ProofFault? {
        do throws(ProofFault) {
            _ = try proof.check(genesis: genesis)
            return nil
        } catch { return error }
    }

    @Test("every transaction of every settled block has a proof", arguments: [true, false])
    func everyTransaction(hasLog: Bool) throws {
        let chain = try Self.chain.get()
        for height in 1...chain.blocks.count - 2 {
            let block = chain.blocks[height - 1]
            let bare = try chain.proof(of: height).check(genesis: chain.genesis)
            #expect(bare.slot == block.slot && bare.hash == block.hash)
            #expect(bare.transaction == nil)
            for index in 0..<Int(block.header.transactionCount) {
                let proof = try chain.proof(of: height, transaction: index, hasLog: hasLog)
                let read = try SettlementProof(strictly: proof.bytes)
                let settled = try #require(try read.check(genesis: chain.genesis).transaction)
                let envelope = try #require(block.envelopes.first)
                #expect(settled.id == TransactionID(envelope: envelope.id, index: UInt32(index)))
                #expect(settled.content == envelope.transactions[index])
                #expect(settled.effect.encoded() == chain.effects[height - 1][index])
                #expect(settled.signer == Consortium.east)
                let before = block.header.logSize - UInt64(block.header.transactionCount)
                #expect(settled.logIndex == (hasLog ? before + UInt64(index) : nil))
            }
        }
    }

    @Test("any one byte changed, and it proves nothing else", arguments: UInt64(0)..<8)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let chain = try Self.chain.get()
        let proof = try chain.proof(of: 10, transaction: 1)
        let whole = try proof.check(genesis: chain.genesis)
        for place in proof.bytes.indices where place % 8 == Int(seed) {
            var changed = proof.bytes
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            let read = try? SettlementProof(strictly: changed).check(genesis: chain.genesis)
            #expect(read == nil || read == whole, "seed \(seed), byte \(place)")
        }
    }

    @Test("a proof for another network proves nothing here")
    func foreign() throws {
        let chain = try Self.chain.get()
        var agreement = testAgreement()
        agreement.study = "another"
        let other = try Genesis(strictly: testGenesis(agreement))
        #expect(fault(try chain.proof(of: 1), other) == .foreignNetwork)
    }

    @Test("a proof must reach a child certified in its own parent's term")
    func reach() throws {
        let chain = try Self.chain.get()
        let network = chain.network
        func proof(_ range: ClosedRange<Int>) throws -> SettlementProof {
            try SettlementProof(
                headers: chain.blocks[range].map { SignedHeader($0) },
                certificate: chain.certificates[range.upperBound],
                terms: chain.handOvers(upTo: range.upperBound), transaction: nil,
                network: network)
        }
        #expect(fault(try proof(0...0), chain.genesis) == .notSettled)
        #expect(fault(try proof(0...1), chain.genesis) == nil)
        #expect(fault(try proof(2...3), chain.genesis) == .notSettled, "a child of a later term")
        #expect(fault(try proof(2...4), chain.genesis) == nil)
        // More headers than needed prove as much.
        #expect(fault(try proof(0...7), chain.genesis) == nil)
        let gap = try SettlementProof(
            headers: [0, 2].map { SignedHeader(chain.blocks[$0]) },
            certificate: chain.certificates[2], terms: [], transaction: nil, network: network)
        #expect(
            fault(gap, chain.genesis)
                == .badHeader(chain.blocks[2].slot, "it is no child of the one before"))
        let late = try SettlementProof(
            headers: [0, 1].map { SignedHeader(chain.blocks[$0]) },
            certificate: chain.certificates[1], terms: chain.handOvers(upTo: 7),
            transaction: nil, network: network)
        #expect(fault(late, chain.genesis) == .notSettled, "terms that are not used")
    }

    @Test("certificates need the quorum of every set that their block needs")
    func quorums() throws {
        let chain = try Self.chain.get()
        func proof(_ range: ClosedRange<Int>, by sets: [VoterSet]) throws -> SettlementProof {
            try SettlementProof(
                headers: chain.blocks[range].map { SignedHeader($0) },
                certificate: chain.certificate(of: chain.blocks[range.upperBound], by: sets),
                terms: chain.handOvers(upTo: range.upperBound), transaction: nil,
                network: chain.network)
        }
        let founders = chain.genesis.voters
        let successors = try #require(chain.history.rules(of: Term(2))).voters
        // Height 5 is the second block of term 2 and needs both.
        #expect(fault(try proof(3...4, by: [founders, successors]), chain.genesis) == nil)
        for sets in [[founders], [successors]] {
            guard case .badCertificate? = fault(try proof(3...4, by: sets), chain.genesis) else {
                Issue.record("one set alone certified the hand-over")
                return
            }
        }
        // From height 6 on the new voters stand alone.
        #expect(fault(try proof(4...5, by: [successors]), chain.genesis) == nil)
        guard case .badCertificate? = fault(try proof(4...5, by: [founders]), chain.genesis) else {
            Issue.record("the voters before certified alone")
            return
        }
    }

    @Test("voters of a term that nobody certified prove nothing")
    func abandonedTerm() throws {
        // A decision names voters who all lie; its first block finds no quorum of the founders.
        var chain = try ProvenChain()
        try chain.append(2)
        let liars = [second, AccountID(.site, "l1"), AccountID(.site, "l2")]
        try chain.open(chain.decide(second, voters: liars))
        for _ in 0..<3 { try chain.append(1) }
        let blocks = chain.blocks
        let set = chain.history.newest.voters
        let certificate = try chain.certificate(of: blocks[4], by: [set])
        func proof(_ link: HandOver) throws -> SettlementProof {
            try SettlementProof(
                headers: blocks[3...4].map { SignedHeader($0) }, certificate: certificate,
                terms: [link], transaction: nil, network: chain.network)
        }
        let link = try #require(chain.handOvers(upTo: 4).first)
        #expect(fault(try proof(link), chain.genesis) == nil, "with the founders' quorum")
        func changed(second: SignedHeader?, certificate: Certificate?) -> HandOver {
            HandOver(
                opening: link.opening, parent: link.parent, first: link.first, second: second,
                certificate: certificate)
        }
        let alone = try chain.certificate(of: blocks[2], by: [set])
        guard
            case .badTerm(Term(2), _)? = fault(
                try proof(changed(second: link.second, certificate: alone)), chain.genesis)
        else {
            Issue.record("the new voters certified the hand-over alone")
            return
        }
        #expect(
            fault(try proof(changed(second: nil, certificate: nil)), chain.genesis)
                == .badTerm(Term(2), "no quorum of the voters before agrees to those after"))
    }

    @Test("terms left out, repeated or opened by too few prove nothing")
    func links() throws {
        let chain = try Self.chain.get()
        let links = chain.handOvers(upTo: 10)
        func fault(_ terms: [HandOver]) throws -> ProofFault? {
            self.fault(
                try SettlementProof(
                    headers: chain.blocks[9...10].map { SignedHeader($0) },
                    certificate: chain.certificates[10], terms: terms, transaction: nil,
                    network: chain.network), chain.genesis)
        }
        #expect(try fault(links) == nil)
        #expect(try fault([]) != nil)
        #expect(try fault(Array(links.prefix(1))) != nil)
        #expect(try fault(Array(links.suffix(1))) != nil)
        #expect(try fault(links + links.suffix(1)) != nil)
        #expect(try fault(links.reversed()) != nil)
        let weak = Opening(
            decision: links[0].opening.decision,
            statuses: Array(links[0].opening.statuses.dropLast()), network: chain.network)
        var header = links[0].first.header
        header.opening = weak.hash
        let bytes = header.encoded(network: chain.network)
        let key = try signingKey(of: second)
        let first = try SignedHeader(
            bytes: bytes, signature: key.sign(payload(.block, network: chain.network, bytes)).bytes,
            network: chain.network)
        let forged = HandOver(
            opening: weak, parent: links[0].parent, first: first, second: links[0].second,
            certificate: links[0].certificate)
        #expect(
            try fault([forged] + links.dropFirst())
                == .badTerm(Term(2), "\(TermFault.tooFew(statuses: 2, quorum: 3))"))
    }

    @Test("a path collected in passing equals the one from all leaves", arguments: 1...70)
    func paths(size: Int) throws {
        let leaves = (0..<size).map { leafHash(bigEndian(UInt64($0))) }
        for index in leaves.indices {
            var path = InclusionPath(of: UInt64(index))
            #expect(path.path() == nil)
            for leaf in leaves { path.append(leaf) }
            let collected = try #require(path.path())
            #expect(collected.path == inclusionProof(of: index, in: leaves))
            #expect(collected.root == merkleRoot(leaves))
        }
        var beyond = InclusionPath(of: UInt64(size))
        for leaf in leaves { beyond.append(leaf) }
        #expect(beyond.path() == nil)
    }
}
