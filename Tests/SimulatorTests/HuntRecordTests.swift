import Foundation
import Simulator
import Testing

@Suite("what a hunt keeps")
struct HuntRecordTests {
    @Test("spans of seeds join, and count each seed once, in whatever order they end")
    func joinsSpans() throws {
        let outcome = try simulate(.calm, seed: 3)
        let empty = try HuntRecord()
        var (one, other) = (empty, empty)
        for seed: UInt64 in [4, 2, 9, 3, 3] { one.add(SimulatedCase(.calm, seed: seed), outcome) }
        for seed: UInt64 in [9, 3, 2, 4] { other.add(SimulatedCase(.calm, seed: seed), outcome) }
        #expect(one.runs == 4 && one.digest == other.digest && one.done == other.done)
        #expect(one.done["calm"]?.map(\.from) == [2, 9])
        #expect(one.done["calm"]?.map(\.below) == [5, 10])
        #expect(one.isDone(SimulatedCase(.calm, seed: 4)))
        #expect(!one.isDone(SimulatedCase(.calm, seed: 5)))
        #expect(!one.isDone(SimulatedCase(.lossy, seed: 4)))
        one.add(SimulatedCase(.lossy, seed: 4), outcome)
        #expect(one.digest != other.digest)
    }

    @Test("a record comes back from its file as it was")
    func comesBack() throws {
        var record = try HuntRecord()
        let fault = try #require(try search(for: .creditLost, limit: 200).found)
        let outcome = try simulate(fault.case.scenario, seed: fault.case.seed, fault: .creditLost)
        record.add(fault.case, outcome)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let bytes = try encoder.encode(record)
        let back = try JSONDecoder().decode(HuntRecord.self, from: bytes)
        #expect(try encoder.encode(back) == bytes)
        #expect(back.findings.map(\.seed) == [fault.case.seed])
    }

    @Test("a file of kept seeds is read line by line")
    func readsKeptSeeds() throws {
        let seeds = try keptSeeds(in: "# remark\n\n17  a vote was lost\n4 x\n")
        #expect(seeds.map(\.seed) == [17, 4])
        #expect(seeds.map(\.showed) == ["a vote was lost", "x"])
        #expect(throws: KeptSeedFault.self) { try keptSeeds(in: "17\n") }
        #expect(throws: KeptSeedFault.self) { try keptSeeds(in: "seventeen  a vote\n") }
    }
}
