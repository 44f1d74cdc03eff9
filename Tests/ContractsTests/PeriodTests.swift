import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct PeriodTests {
    static let site = Consortium.east
    static let readers = Consortium.readers(of: site)

    /// Grades near a truth that only the seed knows; every item is approved or not as they fall.
    func answers(
        _ range: Range<Int>, readers: [AccountID] = readers, seed: UInt64
    ) throws -> [ItemID: [AccountID: UInt32]] {
        var random = SplitMix64(seed: seed)
        var result: [ItemID: [AccountID: UInt32]] = [:]
        for number in range {
            let truth = Int.random(in: 1...5, using: &random)
            var grades: [AccountID: UInt32] = [:]
            for reader in readers {
                let error = Int.random(in: -2...2, using: &random) / 2
                let isSlip = Int.random(in: 0..<15, using: &random) == 0
                grades[reader] = UInt32(isSlip ? 6 - truth : min(5, max(1, truth + error)))
            }
            result[try itemID("east/\(number)")] = grades
        }
        return result
    }

    func annotate(
        _ consortium: inout Consortium, _ answers: [ItemID: [AccountID: UInt32]],
        readers: [AccountID] = readers
    ) throws {
        try consortium.register(answers.keys.sorted(), readers: readers, by: Self.site)
        try consortium.annotate(answers)
    }

    /// Answers to approved items, counted from 0, as the rules of scores and pay want them.
    func approved(
        _ consortium: Consortium, _ answers: [ItemID: [AccountID: UInt32]]
    ) -> [ItemID: [AccountID: Int]] {
        answers.filter { consortium.item($0.key)?.outcome == .approved }
            .mapValues { $0.mapValues { Int($0) - 1 } }
    }

    func batch(_ approved: [ItemID: [AccountID: Int]]) throws -> ScoreBatch {
        try scoreBatch(
            items: approved.sorted { $0.key < $1.key }.map { item, answers in
                (
                    item: item,
                    answers: answers.sorted { $0.key < $1.key }.map {
                        ClassAnswer(annotator: $0.key, answer: $0.value)
                    }
                )
            }, classes: 5)
    }

    func pay(_ consortium: Consortium, _ period: UInt32, _ reader: AccountID) -> WirePayState? {
        consortium.value(WirePayState.self, .pay, payKey(period, reader))
    }

    func total(_ consortium: Consortium, _ reader: AccountID) -> WirePayTotal? {
        consortium.value(WirePayTotal.self, .payTotals, Array(reader.text.utf8))
    }

    func score(_ consortium: Consortium, _ key: String) -> WireScoreState? {
        consortium.value(WireScoreState.self, .scores, Array(key.utf8))
    }

    func expect(
        _ state: WirePayState?, is result: PayResult<PayRows>?,
        source: SourceLocation = #_sourceLocation
    ) {
        guard let state, let result else {
            Issue.record("no pay", sourceLocation: source)
            return
        }
        #expect(UInt64(state.answers) == result.answers, sourceLocation: source)
        #expect(state.rows == result.n && state.points == result.points, sourceLocation: source)
        #expect(state.fee == result.fee, sourceLocation: source)
        #expect(state.weight == result.weight ?? 0, sourceLocation: source)
        #expect(state.shortfall == result.shortfall, sourceLocation: source)
        #expect(state.rated == (result.weight != nil), sourceLocation: source)
        #expect(state.joint == result.rows.joint, sourceLocation: source)
    }

    @Test(
        "a close keeps the batch's scores and the period's pay", arguments: [1, 2, 3] as [UInt64])
    func close(seed: UInt64) throws {
        var consortium = try Consortium()
        let answers = try self.answers(0..<48, seed: seed)
        try annotate(&consortium, answers)
        let approved = self.approved(consortium, answers)
        let online = try #require(self.score(consortium, ""))
        #expect(online.onlineAnswers == UInt64(approved.count) && online.settledAnswers == 0)
        #expect(approved.count > 30 && approved.count < 48, "seed \(seed)")
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)

        let batch = try self.batch(approved)
        let prior = try #require(self.score(consortium, ""))
        #expect(prior.settled == batch.counts.prior && prior.online == [0, 0, 0, 0, 0])
        #expect(prior.settledAnswers == online.onlineAnswers && prior.onlineAnswers == 0)
        let results = try payPeriod(items: approved, classes: 5, ordinal: true)
        for reader in Self.readers {
            let kept = try #require(self.score(consortium, reader.text))
            #expect(kept.settled == batch.counts.confusion(of: reader))
            #expect(kept.online.allSatisfy { $0 == 0 } && kept.onlineAnswers == 0)
            #expect(kept.settledAnswers == UInt64(approved.count))
            let pay = self.pay(consortium, 1, reader)
            expect(pay, is: results[reader])
            #expect(Int64(pay?.accuracyPermille ?? 0) == batch.counts.accuracyPermille(reader))
            #expect(Int64(pay?.kappaPermille ?? 0) == batch.counts.kappaPermille(reader))
            let total = try #require(self.total(consortium, reader))
            #expect(total.weight == results[reader]?.weight)
            #expect(total.shortfall == results[reader]?.shortfall)
            #expect(total.carried.isEmpty && total.carriedAnswers == 0)
        }
        let period = consortium.value(WirePeriodState.self, .periods, bigEndian(UInt32(1)))
        #expect(period?.decided == 48 && period?.approved == UInt32(approved.count))
        #expect(period?.closedHeight == consortium.height.value)
        #expect(consortium.openPeriod().number == 2 && consortium.openPeriod().items == 0)
    }

    @Test("below 30 answers rows carry over, and the next period pays for them")
    func carryOver() throws {
        var consortium = try Consortium()
        let first = try answers(0..<20, seed: 4)
        try annotate(&consortium, first)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        let before = try payPeriod(items: approved(consortium, first), classes: 5, ordinal: true)
        for reader in Self.readers {
            let total = try #require(self.total(consortium, reader))
            let result = try #require(before[reader])
            #expect(result.weight == nil && result.answers > 0 && result.answers < 30)
            expect(pay(consortium, 1, reader), is: result)
            #expect(total.weight == 0 && total.shortfall == 0)
            #expect(UInt64(total.carriedAnswers) == result.answers)
            #expect(total.carried == result.rows.joint)
        }
        let second = try answers(20..<45, seed: 5)
        try annotate(&consortium, second)
        try consortium.applied([.closePeriod(2)], by: Consortium.coordinator)
        let after = try payPeriod(
            items: approved(consortium, second), classes: 5, ordinal: true,
            carried: before.mapValues(\.carried))
        for reader in Self.readers {
            let result = try #require(after[reader])
            #expect(result.weight != nil && result.answers >= 30)
            expect(pay(consortium, 2, reader), is: result)
            let total = try #require(self.total(consortium, reader))
            #expect(total.weight == result.weight && total.shortfall == result.shortfall)
            #expect(total.carriedAnswers == 0 && total.carried.isEmpty)
        }
        #expect(after.values.contains { ($0.weight ?? 0) > 0 })
    }

    @Test("a reader who rests keeps the carried rows until there are enough")
    func rest() throws {
        var consortium = try Consortium()
        let early = try answers(0..<20, seed: 6)
        try annotate(&consortium, early)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        let resting = Self.readers[3]
        let carried = total(consortium, resting)
        let working = Array(Self.readers.prefix(3))
        let late = try answers(20..<60, readers: working, seed: 7)
        try annotate(&consortium, late, readers: working)
        try consortium.applied([.closePeriod(2)], by: Consortium.coordinator)
        #expect(total(consortium, resting) == carried)
        #expect(carried?.carriedAnswers ?? 0 > 0)
        #expect(pay(consortium, 2, resting)?.rated == false)
        #expect(pay(consortium, 2, working[0])?.rated == true)
    }

    @Test("weights and shortfalls of periods add up")
    func totals() throws {
        var consortium = try Consortium()
        for period in UInt32(1)...3 {
            let start = Int(period) * 100
            try annotate(&consortium, answers(start..<start + 45, seed: UInt64(period)))
            try consortium.applied([.closePeriod(period)], by: Consortium.coordinator)
        }
        for reader in Self.readers {
            let states = (UInt32(1)...3).compactMap { pay(consortium, $0, reader) }
            #expect(states.count == 3)
            let total = try #require(self.total(consortium, reader))
            #expect(total.weight == states.reduce(0) { $0 + $1.weight })
            #expect(total.shortfall == states.reduce(0) { $0 + $1.shortfall })
        }
    }

    @Test("enough decided items close a period; those still open go to the next")
    func stillOpen() throws {
        var agreement = testAgreement()
        agreement.annotation.periodItems = 2
        var consortium = try Consortium(agreement)
        let open = try itemID("east/open")
        try consortium.register([open], readers: Self.readers, by: Self.site)
        let first: [ItemID: [AccountID: UInt32]] = [
            try itemID("east/1"): Dictionary(uniqueKeysWithValues: Self.readers.map { ($0, 3) })
        ]
        try annotate(&consortium, first)
        #expect(try consortium.outcome(.closePeriod(1), by: Self.site) == .periodNotReady)
        let second: [ItemID: [AccountID: UInt32]] = [
            try itemID("east/2"): Dictionary(uniqueKeysWithValues: Self.readers.map { ($0, 4) })
        ]
        try annotate(&consortium, second)
        try consortium.applied([.closePeriod(1)], by: Self.site)

        #expect(consortium.item(open)?.period == 2)
        #expect(consortium.item(try itemID("east/1"))?.period == 1)
        #expect(consortium.openPeriod().items == 1 && consortium.openPeriod().decided == 0)
        let keys = consortium.state.entries(in: .periodItems, prefix: [], limit: .max).map(
            \.key.key)
        #expect(
            keys == [
                [0, 0, 0, 1] + Array("east/1".utf8), [0, 0, 0, 1] + Array("east/2".utf8),
                [0, 0, 0, 2] + Array("east/open".utf8),
            ])
        #expect(try consortium.outcome(.closePeriod(2), by: Self.site) == .periodNotReady)
        try consortium.applied([.closeItem(open.text)], by: Self.site, at: 30)
        #expect(consortium.openPeriod().decided == 1 && consortium.openPeriod().tooFew == 1)
        #expect(try consortium.outcome(.closePeriod(2), by: Self.site) == .periodTooShort)
        try consortium.applied([.closePeriod(2)], by: Consortium.coordinator)
        let period = consortium.value(WirePeriodState.self, .periods, bigEndian(UInt32(2)))
        #expect(period?.items == 1 && period?.tooFew == 1)
        #expect(consortium.state.entries(in: .due, prefix: [], limit: .max).isEmpty)
    }

    @Test("an item that is carried over commits, reveals and scores in its new period")
    func answeredLater() throws {
        var agreement = testAgreement()
        agreement.annotation.periodItems = 1
        agreement.annotation.commitWindow = 50
        var consortium = try Consortium(agreement)
        let (open, quick) = (try itemID("east/open"), try itemID("east/quick"))
        try consortium.register([open, quick], readers: Self.readers, by: Self.site)
        let grades = Dictionary(uniqueKeysWithValues: Self.readers.map { ($0, UInt32(2)) })
        try consortium.annotate([quick: grades])
        try consortium.applied([.closePeriod(1)], by: Self.site)
        let settled = try #require(self.score(consortium, Self.readers[0].text))
        try consortium.annotate([open: grades])
        #expect(consortium.item(open)?.outcome == .approved)
        try consortium.applied([.closePeriod(2)], by: Self.site)
        let after = try #require(self.score(consortium, Self.readers[0].text))
        #expect(settled.settledAnswers == 1 && after.settledAnswers == 2)
        #expect(zip(after.settled, settled.settled).allSatisfy { $0 >= $1 })
        #expect(after.settled.reduce(0, +) == 2 * settled.settled.reduce(0, +))
        #expect(pay(consortium, 2, Self.readers[0])?.answers == 2)
    }
}
