import Contracts
import Cryptography
import Federation
import Ledger
import TestSupport
import Testing
import Wire

@Suite("Promises under load")
struct PromiseTests {
    @Test("what is accepted stands in a block as promised, however much waits")
    func load() throws {
        var chain = try MemoryChain()
        let promise = UInt64(chain.genesis.agreement.chain.inclusionPromise)
        var accepted: [(envelope: Envelope, by: UInt64)] = []
        var refused = 0
        // Envelopes of most of a megabyte, from all sites, until none is taken any more.
        for number in 0..<30 {
            let site = Consortium.sites[number % 3]
            var transaction = WireTransaction()
            transaction.evidenceSubmit.evidence = data(
                [UInt8](repeating: UInt8(number), count: 1_000_000))
            let envelope = try chain.envelope(
                [transaction], by: site, sequence: UInt64(number) + 1)
            do {
                try chain.submit(envelope)
                accepted.append((envelope, chain.replica.head.height.value + promise))
            } catch AdmissionRefusal.poolFull { refused += 1 }
            if number == 12, let block = try chain.propose() { try chain.deliver(block) }
        }
        #expect(refused > 0 && accepted.count > 10)
        try chain.run()
        let heights = Dictionary(
            uniqueKeysWithValues: chain.blocks(of: chain.voters[0]).flatMap { block in
                block.envelopes.map { ($0.id, block.height.value) }
            })
        for (envelope, last) in accepted {
            #expect(try #require(heights[envelope.id]) <= last)
        }
    }
}
