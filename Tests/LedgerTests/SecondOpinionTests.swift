import Cryptography
import Foundation
import Ledger
import SecondOpinion
import TestSupport
import Testing
import Wire

/// Swift and Python, written apart from each other, must say the same of every file.
struct SecondOpinionTests {
    private static let chain = SettlementProofTests.chain

    /// Copies with one drawn byte changed, or the end cut off.
    private func damaged(
        _ bytes: [UInt8], count: Int, using random: inout SplitMix64
    ) -> [[UInt8]] {
        (0..<count).map { index in
            if index == 0 { return Array(bytes.dropLast()) }
            var changed = bytes
            let place = Int.random(in: bytes.indices, using: &random)
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            return changed
        }
    }

    @Test("of every receipt, whole or damaged")
    func receipts() async throws {
        let chain = try Self.chain.get()
        var random = SplitMix64(seed: 11)
        var proofs: [[UInt8]] = []
        for height in 1...chain.blocks.count - 2 {
            let count = Int(chain.blocks[height - 1].header.transactionCount)
            proofs.append(try chain.proof(of: height).bytes)
            for index in 0..<count {
                proofs.append(
                    try chain.proof(of: height, transaction: index, hasLog: index > 0).bytes)
            }
        }
        let whole = try await secondOpinions("receipt", on: proofs, genesis: chain.genesis.bytes)
        for (proof, opinion) in zip(proofs, whole) {
            let settled = try SettlementProof(strictly: proof).check(genesis: chain.genesis)
            #expect(opinion.proven, "\(opinion["reason"] ?? "")")
            #expect(opinion["height"] == "\(settled.slot.height)")
            #expect(opinion["block"] == settled.hash.hex)
            #expect(opinion["transaction"] == settled.transaction?.id.description)
        }
        let changed = proofs.suffix(3).flatMap { damaged($0, count: 120, using: &random) }
        let opinions = try await secondOpinions(
            "receipt", on: changed, genesis: chain.genesis.bytes)
        for (proof, opinion) in zip(changed, opinions) {
            let own = try? SettlementProof(strictly: proof).check(genesis: chain.genesis)
            #expect((own != nil) == opinion.proven, "\(opinion["reason"] ?? "proven")")
        }
    }

    @Test("of an abandoned term's voters")
    func abandoned() async throws {
        var chain = try ProvenChain()
        try chain.append(2)
        let office = AccountID(.coordinator, "second")
        let liars = [office, AccountID(.site, "l1"), AccountID(.site, "l2")]
        try chain.open(chain.decide(office, voters: liars))
        for _ in 0..<3 { try chain.append(1) }
        let link = try #require(chain.handOvers(upTo: 4).first)
        func proof(_ certificate: Certificate?, _ second: SignedHeader?) throws -> [UInt8] {
            try SettlementProof(
                headers: chain.blocks[3...4].map { SignedHeader($0) },
                certificate: chain.certificates[4],
                terms: [
                    HandOver(
                        opening: link.opening, parent: link.parent, first: link.first,
                        second: second, certificate: certificate)
                ], transaction: nil, network: chain.network
            ).bytes
        }
        let alone = try chain.certificate(
            of: chain.blocks[2], by: [chain.history.newest.voters])
        let opinions = try await secondOpinions(
            "receipt",
            on: [
                proof(link.certificate, link.second), proof(alone, link.second), proof(nil, nil),
            ], genesis: chain.genesis.bytes)
        #expect(opinions.map(\.proven) == [true, false, false])
    }

    @Test("of a term whose number is out of reach", arguments: [1_001, 1_002] as [UInt64])
    func reach(term: UInt64) async throws {
        var chain = try ProvenChain()
        try chain.append(2)
        try chain.open(
            chain.decide(Consortium.coordinator, voters: Consortium.voters, term: term))
        for _ in 0..<3 { try chain.append(1) }
        let proof = try chain.proof(of: 4).bytes
        let own = try? SettlementProof(strictly: proof).check(genesis: chain.genesis)
        let opinions = try await secondOpinions(
            "receipt", on: [proof], genesis: chain.genesis.bytes)
        #expect((own != nil) == (term == 1_001))
        #expect(opinions.map(\.proven) == [term == 1_001])
    }

    @Test("of evidence of every kind, whole or damaged")
    func evidence() async throws {
        let chain = try Self.chain.get()
        let keys = KnownKeys(genesis: chain.genesis)
        var random = SplitMix64(seed: 12)
        let planted = try chain.plantedOffences()
        let whole = try await secondOpinions(
            "evidence", on: planted.map(\.bytes), genesis: chain.genesis.bytes)
        for (evidence, opinion) in zip(planted, whole) {
            let offence = try evidence.offence(keys: keys)
            #expect(opinion.proven, "\(offence.kind): \(opinion["reason"] ?? "")")
            #expect(opinion["offender"] == offence.offender.text)
            #expect(opinion["offence"] == offence.kind.rawValue)
            #expect(opinion["id"] == offence.id(network: chain.network).hex)
        }
        #expect(Set(planted.map(\.kind)).count == OffenceKind.allCases.count - 1)
        let changed = planted.flatMap { damaged($0.bytes, count: 40, using: &random) }
        let opinions = try await secondOpinions(
            "evidence", on: changed, genesis: chain.genesis.bytes)
        for (bytes, opinion) in zip(changed, opinions) {
            let evidence = try? Evidence(strictly: bytes, network: chain.network)
            let own = try? evidence?.offence(keys: keys)
            #expect((own != nil) == opinion.proven, "\(opinion["reason"] ?? "proven")")
        }
    }

    @Test("of keys that came with an opening, once the chain is shown")
    func laterKeys() async throws {
        let chain = try Self.chain.get()
        let office = AccountID(.coordinator, "third")
        let key = try signingKey(of: office)
        let block = try #require(chain.blocks.last)
        var header = block.header
        header.timeMilliseconds += 1
        let bytes = header.encoded(network: chain.network)
        let rival = try SignedHeader(
            bytes: bytes, signature: key.sign(payload(.block, network: chain.network, bytes)).bytes,
            network: chain.network)
        let evidence = try #require(
            Evidence.conflict(
                SignedHeader(block), rival, by: key.verifyingKey, network: chain.network))
        let file = FileManager.default.temporaryDirectory
            .appending(path: "tally-chain-\(UUID().uuidString)")
        try Data(chain.exported()).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        for (options, isProven) in [([], false), (["--chain", file.path()], true)] {
            let opinions = try await secondOpinions(
                "evidence", on: [evidence.bytes], genesis: chain.genesis.bytes, options: options)
            #expect(opinions.map(\.proven) == [isProven])
        }
    }

    @Test("a chain is read to its settled height; a broken one is not")
    func chains() async throws {
        let chain = try Self.chain.get()
        let blocks = chain.blocks
        var files = [chain.exported()]
        // A block left out, blocks exchanged, another network, the end cut off.
        files.append(chain.exported(Array(blocks[..<4]) + blocks[5...]))
        files.append(chain.exported(blocks[..<4] + [blocks[5], blocks[4]] + blocks[6...]))
        var foreign = files[0]
        foreign[20] ^= 1
        files.append(foreign)
        files.append(Array(files[0].dropLast(7)))
        for (height, block) in blocks.enumerated() {
            var wire = try WireBlock(strictly: block.bytes)
            wire.signature[3] ^= 1
            let changed = try Block(strictly: wire.encoded(), network: chain.network)
            files.append(chain.exported(blocks[..<height] + [changed] + blocks[(height + 1)...]))
        }
        let opinions = try await secondOpinions("chain", on: files, genesis: chain.genesis.bytes)
        #expect(opinions.map(\.proven) == [true] + files.dropFirst().map { _ in false })
        let whole = try #require(opinions.first)
        #expect(whole["height"] == "\(blocks.count)")
        #expect(whole["settledHeight"] == "\(blocks.count - 2)")
        #expect(whole["logRoot"] == blocks.last?.header.logRoot.hex)
        #expect(whole["head"] == blocks.last?.hash.hex)
        // Shorter ones are settled to where a grandchild carries a certificate of one term.
        let lengths = Array(1...blocks.count)
        let shorter = try await secondOpinions(
            "chain", on: lengths.map { chain.exported(Array(blocks.prefix($0))) },
            genesis: chain.genesis.bytes)
        for (length, opinion) in zip(lengths, shorter) {
            let settled = (0..<max(0, length - 2)).last { !blocks[$0 + 1].isFirst }
            #expect(opinion["settledHeight"] == "\(settled.map { $0 + 1 } ?? 0)", "\(length)")
        }
    }
}
