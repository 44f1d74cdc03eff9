import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// Gold: bound before the items open, shown at the period's close, used by score and pay.
struct GoldTests {
    static let east = Consortium.east

    @Test("gold enters batch and pay as the reference program has it")
    func close() throws {
        var consortium = try Consortium.drawn()
        let items = try (1...36).map { try itemID("east/\($0 + 100)") }
        let truth = Dictionary(
            uniqueKeysWithValues: items.prefix(4).enumerated().map {
                ($1, UInt32($0 % 2 == 0 ? 4 : 2))
            })
        let gold = consortium.gold(truth)
        try consortium.applied([.commitGold(gold.commitment)], by: Consortium.coordinator)
        try consortium.draw(items, by: Self.east)
        var first: [ItemID: [AccountID: Int]] = [:]
        var all: [ItemID: [AccountID: UInt32]] = [:]
        for (place, item) in items.enumerated() {
            let grade: UInt32 = place % 2 == 0 ? 4 : 2
            for (seat, reader) in consortium.asked(item).enumerated() {
                let given = (place + seat) % 5 == 0 ? 3 : grade
                all[item, default: [:]][reader] = given
                first[item, default: [:]][reader] = Int(given) - 1
            }
        }
        try consortium.annotate(all)
        #expect(items.allSatisfy { consortium.item($0)?.outcome == .approved })
        #expect(
            try consortium.outcome(.closePeriod(1), by: Consortium.coordinator) == .goldAwaited)
        try consortium.applied(
            [.revealGold(gold.commitment, gold.answers, salt: gold.salt)],
            by: Consortium.coordinator)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        #expect(consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 1])?.gold == 4)

        let truths = truth.mapValues { Int($0) - 1 }
        let pay = try payPeriod(items: first, classes: 5, ordinal: true, gold: truths)
        let batch = try scoreBatch(
            items: items.map { item in
                (
                    item: item,
                    answers: (first[item] ?? [:]).sorted { $0.key < $1.key }
                        .map { ClassAnswer(annotator: $0.key, answer: $0.value) }
                )
            }, classes: 5, gold: truths)
        let weights = try payReferenceWeights(
            items: first, scale: AnswerScale(classes: 5, ordinal: true), gold: truths)
        #expect(pay.count == 8)
        for (reader, result) in pay {
            let state = try #require(
                consortium.value(WirePayState.self, .pay, payKey(1, reader)))
            #expect(state.rows == result.n && state.weight == result.weight ?? 0)
            #expect(state.joint == result.rows.joint)
            #expect(state.referenceWeight == weights[reader])
            #expect(Int64(state.accuracyPermille) == batch.counts.accuracyPermille(reader))
            let score = consortium.value(
                WireScoreState.self, .scores, Array(reader.text.utf8))
            #expect(score?.settled == batch.counts.confusion(of: reader))
        }
    }

    @Test("gold that came after the item, or read by its own reader, is passed over")
    func passedOver() throws {
        var agreement = drawnAgreement()
        agreement.annotation.goldOrganisation = Consortium.north.text
        var consortium = try Consortium.drawn(agreement)
        let items = try (1...3).map { try itemID("east/\($0)") }
        try consortium.draw([items[0]], by: Self.east)
        #expect(consortium.asked(items[0]).allSatisfy { $0.name.hasPrefix("west") })
        try consortium.answer(items[0], [3, 3, 3])
        let early = consortium.gold([items[0]: 4, items[1]: 4, items[2]: 4])
        let salt = early.salt
        let commitment = goldCommitment(
            network: consortium.network, organisation: Consortium.north, answers: early.answers,
            salt: salt
        ).bytes
        try consortium.applied([.commitGold(commitment)], by: Consortium.north)
        try consortium.draw([items[1], items[2]], by: Self.east)
        for item in items {
            #expect(consortium.asked(item).allSatisfy { $0.name.hasPrefix("west") })
        }
        try consortium.answer(items[1], [3, 3, 3])
        try consortium.answer(items[2], [3, 3, 3])
        try consortium.applied(
            [.revealGold(commitment, early.answers, salt: salt)], by: Consortium.north)
        #expect(items.map { consortium.item($0)?.gold.isEmpty } == [true, false, false])
        #expect(consortium.openPeriod().gold == 2)
    }

    @Test("gold of the organisation whose own readers read the item is passed over")
    func ownReaders() throws {
        var agreement = drawnAgreement()
        agreement.annotation.panel = "own-site"
        agreement.annotation.goldOrganisation = Self.east.text
        var consortium = try Consortium.drawn(agreement)
        let item = try itemID("east/1")
        let gold = consortium.gold([item: 4])
        let commitment = goldCommitment(
            network: consortium.network, organisation: Self.east, answers: gold.answers,
            salt: gold.salt
        ).bytes
        try consortium.applied([.commitGold(commitment)], by: Self.east)
        try consortium.draw([item], by: Self.east)
        try consortium.answer(item, [3, 3, 3])
        try consortium.applied(
            [.revealGold(commitment, gold.answers, salt: gold.salt)], by: Self.east)
        #expect(consortium.item(item)?.gold.isEmpty == true && consortium.openPeriod().gold == 0)
    }

    @Test("of truths that contradict each other none counts")
    func contradiction() throws {
        var consortium = try Consortium.drawn()
        let (item, plain) = (try itemID("east/1"), try itemID("east/2"))
        let truths = [2, 3, 4].map { consortium.gold([item: $0]) }
        try consortium.applied(
            truths.map { .commitGold($0.commitment) }, by: Consortium.coordinator)
        try consortium.draw([item, plain], by: Self.east)
        for item in [item, plain] { try consortium.answer(item, [3, 3, 3]) }
        try consortium.applied(
            [.revealGold(truths[1].commitment, truths[1].answers, salt: truths[1].salt)],
            by: Consortium.coordinator)
        #expect(consortium.item(item)?.gold.isEmpty == false)
        for other in [truths[0], truths[2]] {
            let outcome = try consortium.outcome(
                .revealGold(other.commitment, other.answers, salt: other.salt),
                by: Consortium.coordinator)
            #expect(outcome == .goldMalformed)
        }
        let until = consortium.openPeriod().goldUntil
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator, at: until + 1)
        #expect(consortium.item(item)?.gold.isEmpty == true)
        #expect(consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 1])?.gold == 0)
        #expect(consortium.state.entries(in: .gold, prefix: [], limit: .max).isEmpty)
        // It is paid as an item that nobody proposed.
        for reader in consortium.asked(item) {
            let pay = consortium.value(WirePayState.self, .pay, payKey(1, reader))
            let both = consortium.asked(plain).contains(reader)
            #expect(pay?.rows == (both ? 2 : 1) && pay?.referenceWeight == 0)
        }
    }

    @Test("one commitment withheld takes all gold of its period with it")
    func withheld() throws {
        for isShown in [true, false] {
            var consortium = try Consortium.drawn()
            let items = try (1...2).map { try itemID("east/\($0)") }
            let gold = items.map { consortium.gold([$0: 4]) }
            try consortium.applied(
                gold.map { .commitGold($0.commitment) }, by: Consortium.coordinator)
            try consortium.draw(items, by: Self.east)
            for item in items { try consortium.answer(item, [3, 3, 3]) }
            for entry in isShown ? gold : [gold[0]] {
                try consortium.applied(
                    [.revealGold(entry.commitment, entry.answers, salt: entry.salt)],
                    by: Consortium.coordinator)
            }
            let until = consortium.openPeriod().goldUntil
            try consortium.applied([.closePeriod(1)], by: Consortium.coordinator, at: until + 1)
            let counted = consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 1])?.gold
            #expect(counted == (isShown ? 2 : 0))
            #expect(items.allSatisfy { consortium.item($0)?.gold.isEmpty == !isShown })
        }
    }

    @Test("gold of an item that is still read is not shown, and counts in the next period")
    func stillRead() throws {
        var agreement = drawnAgreement()
        agreement.annotation.periodItems = 1
        agreement.annotation.secretWindow = 50
        var consortium = try Consortium.drawn(agreement)
        let items = try (1...3).map { try itemID("east/\($0)") }
        let gold = [[items[0]], Array(items[1...2])].map { named in
            consortium.gold(Dictionary(uniqueKeysWithValues: named.map { ($0, 4) }))
        }
        func show(_ place: Int, _ consortium: inout Consortium) throws -> Rejection? {
            try consortium.outcome(
                .revealGold(gold[place].commitment, gold[place].answers, salt: gold[place].salt),
                by: Consortium.coordinator)
        }
        func unshown() -> Int {
            consortium.state.entries(in: .gold, prefix: [], limit: .max).count
        }
        try consortium.applied(gold.map { .commitGold($0.commitment) }, by: Consortium.coordinator)
        try consortium.registerDrawn(items, by: Self.east)
        try consortium.applied(
            items.prefix(2).map { .openSeed($0.text, consortium.secret(of: $0)) }, by: Self.east,
            at: consortium.height.value + 2)
        for item in items.prefix(2) { try consortium.answer(item, [3, 3, 3]) }
        #expect(try show(0, &consortium) == nil)
        #expect(try show(1, &consortium) == .goldNotOpen)
        try consortium.applied(
            [.openSeed(items[2].text, consortium.secret(of: items[2]))], by: Self.east)
        #expect(consortium.height.value >= consortium.openPeriod().goldUntil)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        // All or nothing: what was shown alone does not count, and the rest may still.
        #expect(consortium.item(items[0])?.gold.isEmpty == true)
        #expect(consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 1])?.gold == 0)
        #expect(unshown() == 1)
        var forgetful = consortium
        try consortium.answer(items[2], [3, 3, 3])
        #expect(try show(1, &consortium) == nil)
        #expect(items.map { consortium.item($0)?.gold.isEmpty } == [true, true, false])
        try consortium.applied([.closePeriod(2)], by: Consortium.coordinator)
        #expect(consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 2])?.gold == 1)

        // Kept for one more period alone, also where that carries items over again.
        let more = try (4...5).map { try itemID("east/\($0)") }
        try forgetful.registerDrawn(more, by: Self.east)
        try forgetful.applied(
            [.openSeed(more[0].text, forgetful.secret(of: more[0]))], by: Self.east,
            at: forgetful.height.value + 2)
        try forgetful.answer(more[0], [3, 3, 3])
        try forgetful.applied(
            [.closePeriod(2)], by: Consortium.coordinator,
            at: forgetful.openPeriod().goldUntil + 1)
        #expect(forgetful.openPeriod().items > 0)
        #expect(forgetful.state.entries(in: .gold, prefix: [], limit: .max).isEmpty)
    }

    @Test("a period waits for its gold until a height, and no longer when another item opens")
    func window() throws {
        var consortium = try Consortium.drawn()
        func due() -> [[UInt8]] {
            consortium.state.entries(in: .due, prefix: [], limit: .max).map(\.key.key)
                .filter { $0[8] == DueKind.period.rawValue }
        }
        try consortium.draw([itemID("east/1")], by: Self.east)
        #expect(due().isEmpty)
        try consortium.answer(itemID("east/1"), [3, 3, 3])
        let until = consortium.height.value + 4
        #expect(consortium.openPeriod().goldUntil == until)
        #expect(due() == [dueKey(until + 1, .period, "1")])
        try consortium.registerDrawn([itemID("east/2")], by: Self.east)
        #expect(consortium.openPeriod().goldUntil == 0 && due().isEmpty)
        try consortium.applied(
            [.closeItem("east/2")], by: Consortium.coordinator, at: consortium.height.value + 7)
        #expect(due() == [dueKey(consortium.height.value + 5, .period, "1")])
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        #expect(due().isEmpty && consortium.openPeriod().goldUntil == 0)
    }

    @Test("an answer after a reveal is judged by gold and by nothing else")
    func lateAnswers() throws {
        var consortium = try Consortium.drawn()
        let (gold, plain) = (try itemID("east/1"), try itemID("east/2"))
        let hidden = consortium.gold([gold: 4])
        try consortium.applied([.commitGold(hidden.commitment)], by: Consortium.coordinator)
        try consortium.draw([gold, plain], by: Self.east)
        // One of three misses the first wave: 2 answers are too few, and two more readers are asked.
        let start = consortium.height.value
        for (at, isReveal) in [(start + 1, false), (start + 5, true)] {
            for item in [gold, plain] {
                for reader in consortium.asked(item).dropLast() {
                    let transaction =
                        isReveal
                        ? try consortium.reveal(item, 4, by: reader)
                        : try consortium.commit(item, 4, by: reader)
                    try consortium.applied([transaction], by: reader, at: at)
                }
            }
        }
        try consortium.applied(
            [gold, plain].map { .closeItem($0.text) }, by: Consortium.coordinator)
        let late = Dictionary(
            uniqueKeysWithValues: [gold, plain].map { ($0, consortium.asked($0)) })
        for item in [gold, plain] {
            #expect(late[item]?.count == 2)
            try consortium.answer(item, [4, 4])
            #expect(consortium.item(item)?.outcome == .approved)
        }
        try consortium.applied(
            [.revealGold(hidden.commitment, hidden.answers, salt: hidden.salt)],
            by: Consortium.coordinator)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        let first = Set(
            [gold, plain].flatMap { item in
                consortium.item(item)?.readers ?? []
            })
        for reader in late[gold] ?? [] where !first.contains(reader.text) {
            let pay = consortium.value(WirePayState.self, .pay, payKey(1, reader))
            #expect(pay?.answers == 1 && pay?.rows == 8 && pay?.joint[3 * 5 + 3] == 8)
        }
        for reader in late[plain] ?? []
        where !first.contains(reader.text) && late[gold]?.contains(reader) != true {
            #expect(consortium.value(WirePayState.self, .pay, payKey(1, reader)) == nil)
        }
    }
}
