import Contracts
import Ledger
import TestSupport
import Testing
import Wire

struct ConsentTests {
    static let patient = named("patient")
    static let purposes: [WirePurpose] = [.training, .evaluation, .sharing, .commercial]

    func state(_ consortium: Consortium) -> WireConsentState {
        consortium.value(WireConsentState.self, .consents, Self.patient) ?? WireConsentState()
    }

    func inForce(
        _ consortium: Consortium, _ purpose: WirePurpose, at heights: ClosedRange<UInt64>
    ) -> [UInt64] {
        let state = state(consortium)
        return heights.filter { state.interval(for: purpose, at: $0) != nil }
    }

    @Test("a consent is in force from its height to its last, both included")
    func boundaries() throws {
        var consortium = try Consortium()
        try consortium.applied(
            [.grant(Self.patient, [.training], notAfter: 8)], by: Consortium.east, at: 5)
        #expect(inForce(consortium, .training, at: 0...20) == [5, 6, 7, 8])
        #expect(inForce(consortium, .evaluation, at: 0...20) == [])
        #expect(state(consortium).custodian == "site/east")
    }

    @Test("a later grant replaces the one before, at its own height")
    func replacement() throws {
        var consortium = try Consortium()
        try consortium.applied(
            [.grant(Self.patient, [.training, .sharing])], by: Consortium.east, at: 5)
        try consortium.applied(
            [.grant(Self.patient, [.training, .evaluation], waive: true)], by: Consortium.east,
            at: 9)
        #expect(inForce(consortium, .training, at: 0...12) == Array(5...12))
        #expect(inForce(consortium, .sharing, at: 0...12) == [5, 6, 7, 8])
        #expect(inForce(consortium, .evaluation, at: 0...12) == [9, 10, 11, 12])
        let state = state(consortium)
        #expect(state.interval(for: .training, at: 8)?.waiveReward == false)
        #expect(state.interval(for: .training, at: 9)?.waiveReward == true)
        #expect(state.intervals.count == 2)
    }

    @Test("a withdrawal ends its purposes and leaves the others, with their waiver and end")
    func partialWithdrawal() throws {
        var consortium = try Consortium()
        try consortium.applied(
            [.grant(Self.patient, [.training, .evaluation, .sharing], waive: true, notAfter: 11)],
            by: Consortium.east, at: 5)
        try consortium.applied(
            [.withdraw(Self.patient, [.training, .commercial])], by: Consortium.east, at: 8)
        #expect(inForce(consortium, .training, at: 0...14) == [5, 6, 7])
        #expect(inForce(consortium, .evaluation, at: 0...14) == Array(5...11))
        #expect(inForce(consortium, .sharing, at: 0...14) == Array(5...11))
        #expect(state(consortium).interval(for: .sharing, at: 11)?.waiveReward == true)
        try consortium.applied(
            [.withdraw(Self.patient, [.evaluation, .sharing])], by: Consortium.east, at: 9)
        #expect(inForce(consortium, .evaluation, at: 0...14) == Array(5...8))
        #expect(state(consortium).intervals.allSatisfy { $0.untilHeight != 0 })
    }

    @Test("what is granted and withdrawn in one block never was in force")
    func sameBlock() throws {
        var consortium = try Consortium()
        try consortium.applied(
            [
                .grant(Self.patient, [.training, .sharing]),
                .withdraw(Self.patient, [.training]),
            ], by: Consortium.east, at: 5)
        #expect(inForce(consortium, .training, at: 0...9) == [])
        #expect(inForce(consortium, .sharing, at: 0...9) == Array(5...9))
        try consortium.applied(
            [.withdraw(Self.patient, [.sharing])], by: Consortium.east, at: 5)
        #expect(state(consortium).intervals.isEmpty)
        #expect(
            try consortium.outcome(.grant(Self.patient), by: Consortium.west) == .notCustodian)
    }

    /// What a block leaves in force: found by remembering every height.
    struct Snapshot {
        var purposes: Set<Int> = []
        var notAfter: UInt64 = 0
        var waive = false

        func covers(_ purpose: WirePurpose, at height: UInt64) -> Bool {
            purposes.contains(purpose.rawValue) && (notAfter == 0 || height <= notAfter)
        }
    }

    @Test(
        "any history of grants and withdrawals, against one that keeps every height",
        arguments: UInt64(0)..<100)
    func histories(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var consortium = try Consortium(enrolling: false)
        var snapshots: [Snapshot] = [Snapshot()]
        for _ in 0..<20 {
            let height = max(
                1, consortium.height.value + UInt64.random(in: 0...2, using: &random))
            while snapshots.count <= height { snapshots.append(snapshots[snapshots.count - 1]) }
            let now = Int(height)
            let chosen = Self.purposes.filter { _ in Bool.random(using: &random) }
            let outcome: Rejection?
            if Bool.random(using: &random) {
                let notAfter =
                    Bool.random(using: &random)
                    ? 0 : height + UInt64.random(in: 0...6, using: &random) - min(height, 2)
                let waive = Bool.random(using: &random)
                outcome = try consortium.outcome(
                    .grant(Self.patient, chosen, waive: waive, notAfter: notAfter),
                    by: Consortium.east, at: height)
                let isGood = !chosen.isEmpty && (notAfter == 0 || notAfter >= height)
                #expect((outcome == nil) == isGood, "seed \(seed), height \(height)")
                if isGood {
                    snapshots[now] = Snapshot(
                        purposes: Set(chosen.map(\.rawValue)), notAfter: notAfter, waive: waive)
                }
            } else {
                outcome = try consortium.outcome(
                    .withdraw(Self.patient, chosen), by: Consortium.east, at: height)
                let isGood = chosen.contains { snapshots[now].covers($0, at: height) }
                #expect((outcome == nil) == isGood, "seed \(seed), height \(height)")
                if isGood { snapshots[now].purposes.subtract(chosen.map(\.rawValue)) }
            }
            let state = state(consortium)
            for query in 0...height + 8 {
                let snapshot = snapshots[min(Int(query), now)]
                for purpose in Self.purposes {
                    let interval = state.interval(for: purpose, at: query)
                    #expect(
                        (interval != nil) == snapshot.covers(purpose, at: query),
                        "seed \(seed), at \(query) seen from \(height), \(purpose)")
                    if let interval { #expect(interval.waiveReward == snapshot.waive) }
                }
            }
        }
    }
}
