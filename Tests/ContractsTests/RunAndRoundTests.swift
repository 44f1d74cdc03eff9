import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct RunAndRoundTests {
    static let model = named("model 1.0")
    static let values = roundValues([(1, 0), (1, 0), (1, 0)])
    let founded: Consortium

    init() throws { founded = try Consortium() }

    /// Keys of the table `due`: height, kind and id.
    func due(_ consortium: Consortium) -> [[UInt8]] {
        consortium.state.entries(in: .due, prefix: [], limit: .max).map(\.key.key)
    }

    func lineage(_ consortium: Consortium, _ model: [UInt8]) -> WireModelState? {
        consortium.value(WireModelState.self, .models, model)
    }

    @Test("a run starts with the sites as its roster and waits for offers")
    func start() throws {
        var consortium = founded
        try consortium.applied([.startRun(1, from: Self.model)], by: Consortium.developer, at: 4)
        let run = try #require(consortium.run(1))
        #expect(run.roster == Consortium.sites.map(\.text))
        #expect(run.rounds == 20 && run.startedHeight == 4 && run.isActive)
        #expect([UInt8](run.model) == Self.model && [UInt8](run.initialModel) == Self.model)
        #expect(run.offersUntil(consortium.agreement) == 9)
        #expect(due(consortium) == [dueKey(10, .offers, "1")])
        #expect(consortium.read { $0.newestRun() } == 1)
        let model = try #require(lineage(consortium, Self.model))
        #expect(model.run == 1 && model.round == 0 && model.parent.isEmpty)
        #expect(consortium.run(0) == nil)
    }

    @Test("offers stand in the sites' order, whatever order they came in")
    func offers() throws {
        var consortium = founded
        try consortium.applied([.startRun(1, from: Self.model)], by: Consortium.developer)
        for site in Consortium.sites.reversed() {
            try consortium.applied([.offer(1, named("\(site)"), count: 0)], by: site)
        }
        let offers = consortium.run(1)?.offers ?? []
        #expect(offers.map(\.site) == Consortium.sites.map(\.text))
        #expect(offers.map { [UInt8]($0.records) } == Consortium.sites.map { named("\($0)") })
    }

    @Test("a quorum of equal words fixes the reference set; the newest word of a voter counts")
    func reference() throws {
        var consortium = founded
        try consortium.applied([.startRun(1, from: Self.model)], by: Consortium.developer)
        func fix(_ voter: AccountID, _ root: String, _ count: UInt32 = 3) throws {
            try consortium.applied([.fix(1, named(root), count: count)], by: voter)
        }
        try fix(Consortium.east, "right")
        try fix(Consortium.east, "right")
        try fix(Consortium.north, "wrong")
        try fix(Consortium.west, "right", 4)
        try fix(Consortium.coordinator, "right")
        #expect(consortium.run(1)?.referenceRoot.isEmpty == true)
        #expect(
            consortium.run(1)?.reference.map(\.voter)
                == [Consortium.coordinator, Consortium.east, Consortium.north, Consortium.west]
                .map(\.text))
        #expect(due(consortium).count == 1)
        try fix(Consortium.north, "right")
        let run = try #require(consortium.run(1))
        #expect([UInt8](run.referenceRoot) == named("right") && run.referenceCount == 3)
        #expect(due(consortium).isEmpty)
    }

    @Test("a round asks the roster, keeps its answers in order and closes by a quorum's word")
    func round() throws {
        var consortium = founded
        try consortium.startRun(rounds: 2)
        try consortium.applied(
            [.openRound(1, 1, base: Self.model)], by: Consortium.coordinator, at: 10)
        #expect(due(consortium) == [dueKey(16, .round, "1.1")])
        for site in [Consortium.west, Consortium.east, Consortium.north] {
            #expect(consortium.round(1, 1)?.isReady(roster: ["", "", ""], at: 15) == false)
            try consortium.applied([consortium.submission(1, 1, by: site)], by: site, at: 11)
        }
        let state = try #require(consortium.round(1, 1))
        #expect(state.updates.map(\.site) == Consortium.sites.map(\.text))
        #expect(state.openedHeight == 10 && state.deadline == 15 && !state.isClosed)
        #expect(state.isReady(roster: Consortium.sites.map(\.text), at: 11))
        try consortium.closeRound(1, 1, Self.values)

        let closed = try #require(consortium.round(1, 1))
        #expect([UInt8](closed.model) == named("model 1.1") && closed.isClosed)
        #expect([UInt8](closed.values) == Self.values.encoded())
        #expect(closed.checks.count == 3 && closed.closedHeight == 12)
        #expect(!due(consortium).contains(dueKey(16, .round, "1.1")))
        let run = try #require(consortium.run(1))
        #expect(run.closed == 1 && run.opened == 1 && !run.finished && run.isActive)
        #expect([UInt8](run.model) == named("model 1.1"))
        let model = try #require(lineage(consortium, named("model 1.1")))
        #expect(model.run == 1 && model.round == 1 && [UInt8](model.parent) == Self.model)

        try consortium.openRound(1, 2)
        try consortium.closeRound(1, 2, Self.values)
        #expect(consortium.run(1)?.finished == true && consortium.run(1)?.isActive == false)
        #expect(
            try consortium.outcome(
                .openRound(1, 3, base: named("model 1.2")), by: Consortium.coordinator) == .runOver)
    }

    @Test("after the deadline a round closes without the sites that were late")
    func deadline() throws {
        var consortium = founded
        try consortium.startRun()
        try consortium.applied(
            [.openRound(1, 1, base: Self.model)], by: Consortium.coordinator, at: 10)
        try consortium.applied(
            [consortium.submission(1, 1, by: Consortium.east)], by: Consortium.east, at: 11)
        let digest = Digest.sha256(Self.values.encoded()).bytes
        let word = WireTransaction.checked(1, 1, model: named("model 1.1"), values: digest)
        #expect(try consortium.outcome(word, by: Consortium.west, at: 15) == .roundNotReady)
        try consortium.closeRound(1, 1, Self.values)
        #expect(consortium.height == Height(16))
        #expect(consortium.round(1, 1)?.updates.map(\.site) == ["site/east"])
    }

    @Test("the newest word of a voter counts, and a quorum must say the same")
    func words() throws {
        var consortium = founded
        try consortium.startRun()
        try consortium.openRound(1, 1)
        let (right, wrong) = (named("model 1.1"), named("model 6.6"))
        let bytes = Self.values.encoded()
        func check(_ voter: AccountID, _ model: [UInt8], _ values: [UInt8] = bytes) throws {
            try consortium.applied(
                [.checked(1, 1, model: model, values: Digest.sha256(values).bytes)], by: voter)
        }
        let close = WireTransaction.closeRound(1, 1, model: right, values: bytes)
        try check(Consortium.east, right)
        try check(Consortium.east, right)
        try check(Consortium.west, wrong)
        try check(Consortium.coordinator, right)
        try check(Consortium.north, right, [1])
        #expect(consortium.round(1, 1)?.checks.count == 4)
        #expect(try consortium.outcome(close, by: Consortium.coordinator) == .noQuorum)
        try check(Consortium.west, right)
        try check(Consortium.east, wrong)
        #expect(try consortium.outcome(close, by: Consortium.coordinator) == .noQuorum)
        try check(Consortium.north, right)
        #expect(try consortium.outcome(close, by: Consortium.coordinator) == nil)
    }

    @Test("a stopped run waits for nothing more, whether offers or a round were open")
    func stop() throws {
        var consortium = founded
        try consortium.applied([.startRun(1, from: Self.model)], by: Consortium.developer)
        try consortium.applied([.stopRun(1)], by: Consortium.coordinator)
        #expect(due(consortium).isEmpty)
        try consortium.startRun(2)
        try consortium.openRound(2, 1)
        try consortium.applied([.stopRun(2)], by: Consortium.developer)
        #expect(due(consortium).isEmpty)
        let run = try #require(consortium.run(2))
        #expect(run.stopped && !run.finished && run.closed == 0)
        #expect(consortium.round(2, 1)?.isClosed == false)
        try consortium.startRun(3)
        #expect(consortium.run(3)?.isActive == true && consortium.read { $0.newestRun() } == 3)
    }

    @Test("a run from an earlier model, or a round that gives one again, keeps its lineage")
    func descent() throws {
        var consortium = founded
        try consortium.startRun(rounds: 1)
        try consortium.openRound(1, 1)
        try consortium.closeRound(1, 1, Self.values)
        let model = named("model 1.1")
        let before = try #require(lineage(consortium, model))
        #expect(before.round == 1)
        try consortium.applied([.startRun(2, from: model)], by: Consortium.developer)
        #expect(lineage(consortium, model) == before)
        #expect(consortium.run(2).map { [UInt8]($0.initialModel) } == model)
    }
}
