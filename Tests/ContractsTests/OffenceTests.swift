import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

@Suite("Claims of an invalid block") struct OffenceTests {
    @Test("it is recorded by the claim that completes a quorum of one block hash, not before")
    func quorum() throws {
        var chain = try ProvenChain()
        for _ in 0..<2 { try chain.append(1) }
        var consortium = try Consortium()
        let key = try signingKey(of: Consortium.coordinator)
        func claim(time: UInt64) throws -> WireTransaction {
            var header = chain.blocks[1].header
            header.timeMilliseconds += time
            let bytes = header.encoded(network: chain.network)
            var transaction = WireTransaction()
            transaction.evidenceSubmit.invalidBlock.header = data(bytes)
            transaction.evidenceSubmit.invalidBlock.signature = data(
                try key.sign(payload(.block, network: chain.network, bytes)).bytes)
            transaction.evidenceSubmit.invalidBlock.key = data(key.verifyingKey.bytes)
            return transaction
        }
        func recorded() throws -> [WireEvidenceState] {
            consortium.state.entries(in: .evidence, prefix: [], limit: .max)
                .compactMap { try? WireEvidenceState(strictly: $0.value) }
        }
        try consortium.applied([claim(time: 0)], by: Consortium.east)
        // Another block at the slot is another word: one of each is no quorum.
        try consortium.applied([claim(time: 1)], by: Consortium.coordinator)
        try consortium.applied([claim(time: 0)], by: Consortium.north)
        #expect(try recorded().map(\.height) == [0])
        try consortium.applied([claim(time: 0)], by: Consortium.west)
        let state = try #require(try recorded().first)
        #expect(state.height == consortium.height.value)
        #expect(state.reporter == Consortium.west.text)
        #expect(state.offender == Consortium.coordinator.text)
        #expect(state.offence == "invalid block")
    }
}
