import Contracts
import Ledger
import TestSupport
import Testing
import Wire

/// What a ruling corrects when more than one period, agreement or kind of truth plays a part.
@Suite("Rulings on closed periods")
struct RulingTests {
    static let east = Consortium.east
    static let readers = ["north-1", "north-2", "west-1"].map { AccountID(.annotator, $0) }

    /// Three readers who read everything, and two seniors a site.
    private static func study(
        _ answer: String = "ordinal", _ change: (inout WireAgreement) -> Void = { _ in }
    ) throws -> Consortium {
        var agreement = drawnAgreement(answer)
        agreement.annotation.waves = [3]
        agreement.rewards.appealWindow = 400
        if answer == "measurement" {
            agreement.annotation.classes = 0
            agreement.annotation.nearDistance = 0
            agreement.annotation.maximumSpread = 0
            agreement.annotation.absoluteTolerance = 500
            agreement.training.positiveAbove = 1
            agreement.training.negativeBelow = 2
        }
        change(&agreement)
        var consortium = try Consortium(agreement, enrolling: false)
        try consortium.enrol(readers, of: [Consortium.north, Consortium.west])
        return consortium
    }

    private func items(_ numbers: ClosedRange<Int>) throws -> [ItemID] {
        try numbers.map { try itemID("east/\($0 + 100)") }
    }

    /// Two readers right, the third wrong in two items of three.
    private static func grade(_ place: Int, _ seat: Int) -> UInt32 {
        let right: UInt32 = place.isMultiple(of: 2) ? 2 : 4
        return seat == 2 && !place.isMultiple(of: 3) ? 6 - right : right
    }

    /// Readings that follow a pattern; those to items of `torn` find no consensus.
    private func read(
        _ items: [ItemID], _ consortium: inout Consortium, torn: Set<ItemID> = [],
        _ answer: (_ place: Int, _ seat: Int) -> Answer = { .grade(grade($0, $1)) }
    ) throws {
        try consortium.draw(items, by: Self.east)
        var answers: [ItemID: [AccountID: Answer]] = [:]
        for (place, item) in items.enumerated() {
            for (seat, reader) in Self.readers.enumerated() {
                answers[item, default: [:]][reader] =
                    torn.contains(item) ? .grade([1, 3, 5][seat]) : answer(place, seat)
            }
        }
        try consortium.answer(answers)
        // Two seniors are asked about what found no consensus, and do not agree either.
        for item in items where torn.contains(item) && consortium.item(item)?.outcome == .open {
            try consortium.answer(item, [1, 5])
        }
    }

    private func reverse(
        _ item: ItemID, to label: Answer, _ consortium: inout Consortium
    ) throws {
        try consortium.applied([.dispute(item.text)], by: Self.east)
        try consortium.answer(item, with: label)
        #expect(consortium.item(item)?.hasReversal == true)
    }

    private func pay(_ consortium: Consortium, _ period: UInt32 = 1) throws -> [WirePayState] {
        try Self.readers.map { reader in
            try #require(consortium.read { $0.pay(of: reader, in: period) })
        }
    }

    private func close(_ period: UInt32, _ consortium: inout Consortium) throws {
        try consortium.applied([.closePeriod(period)], by: Consortium.coordinator)
    }

    @Test("gold on items without a label judges nobody, neither at the close nor after a ruling")
    func goldWithoutLabel() throws {
        var results: [[WirePayState]] = []
        for isGold in [false, true] {
            var consortium = try Self.study()
            let items = try items(1...33)
            let gold = consortium.gold([items[32]: 3])
            if isGold {
                try consortium.applied(
                    [.commitGold(gold.commitment)], by: Consortium.coordinator)
            }
            try read(items, &consortium, torn: [items[32]])
            #expect(consortium.item(items[32])?.outcome == .disputed)
            if isGold {
                try consortium.applied(
                    [.revealGold(gold.commitment, gold.answers, salt: gold.salt)],
                    by: Consortium.coordinator)
            }
            try close(1, &consortium)
            let period = consortium.value(WirePeriodState.self, .periods, [0, 0, 0, 1])
            #expect(period?.gold == 0)
            results.append(try pay(consortium))
            try reverse(items[0], to: .grade(5), &consortium)
            results.append(try pay(consortium))
        }
        #expect(results[0] == results[2] && results[1] == results[3])
        #expect(results[0] != results[1])
    }

    @Test("the penalty of a round that paid two periods stays for what is short in the other one")
    func twoPeriods() throws {
        var consortium = try Self.study()
        for period: UInt32 in 1...2 {
            let start = period == 1 ? 1 : 40
            try read(items(start...start + 31), &consortium)
            try close(period, &consortium)
        }
        try consortium.startRun()
        try consortium.openRound(1, 1)
        try consortium.closeRound(1, 1, roundValues([(1, 0), (1, 0), (1, 0)]))
        let key = Array("round/1.1".utf8)
        let share = try #require(
            consortium.value(WireRoundShareState.self, .roundShares, key))
        let (worst, appeal) = (
            Self.readers[2], ConsortiumAccount.appeal(of: Self.readers[2])
        )
        func owed() throws -> UInt64 {
            let short = try (UInt32(1)...2).reduce(UInt64(0)) {
                try $0 + pay(consortium, $1)[2].shortfall
            }
            let (high, low) = share.microtokens.multipliedFullWidth(by: short)
            return share.weight.dividingFullWidth((high, low)).quotient
        }
        #expect(try owed() > 0 && owed() < consortium.agreement.rewards.stakeMicrotokens)
        #expect(try consortium.held(appeal) == owed())
        // A third period is closed since: what is short in it no round has charged.
        try read(items(80...111), &consortium)
        try close(3, &consortium)
        #expect(try pay(consortium, 3)[2].shortfall > 0)
        let (before, was) = (consortium.held(appeal), try pay(consortium, 2))
        for (place, label) in [(1, UInt32(2)), (2, 4), (4, 4)] {
            try reverse(items(1...32)[place], to: .grade(label), &consortium)
        }
        #expect(try consortium.held(appeal) == owed() && consortium.held(appeal) < before)
        #expect(try pay(consortium, 2) == was)
        #expect(
            consortium.held(ConsortiumAccount.stake(of: worst)) + consortium.held(appeal)
                == consortium.agreement.rewards.stakeMicrotokens)
        #expect(consortium.audit().isEmpty)
    }

    /// The first round of the first run closes, which pays the periods that are closed.
    private func payRound(_ consortium: inout Consortium) throws {
        try consortium.startRun()
        try consortium.openRound(1, 1)
        try consortium.closeRound(1, 1, roundValues([(1, 0), (1, 0), (1, 0)]))
    }

    /// What readers hold, have at stake and in escrow.
    private func money(_ consortium: Consortium) -> [UInt64] {
        Self.readers.flatMap { reader in
            [
                reader, ConsortiumAccount.stake(of: reader), ConsortiumAccount.appeal(of: reader),
            ].map { consortium.held($0) }
        }
    }

    @Test("a round that closed before a period did moves no money by rulings on that period")
    func laterPeriod() throws {
        var consortium = try Self.study()
        try read(items(1...32), &consortium)
        try close(1, &consortium)
        try payRound(&consortium)
        let later = try items(40...71)
        try read(later, &consortium)
        try close(2, &consortium)
        let (before, was) = (money(consortium), try pay(consortium, 2))
        for (place, label) in [(1, UInt32(2)), (2, 4), (4, 4)] {
            try reverse(later[place], to: .grade(label), &consortium)
        }
        #expect(try pay(consortium, 2) != was)
        #expect(money(consortium) == before)
    }

    @Test("a ruling moves a round's money below the end of its appeal window, and not at it")
    func endOfWindow() throws {
        for isOver in [false, true] {
            var consortium = try Self.study()
            let item = try items(1...32)[1]
            try read(items(1...32), &consortium)
            try close(1, &consortium)
            try payRound(&consortium)
            let window = consortium.value(
                WireWindowState.self, .windows, Array("round/1.1".utf8))
            let until = try #require(window).untilHeight
            try consortium.applied([.dispute(item.text)], by: Self.east, at: until - 10)
            for senior in consortium.asked(item) {
                try consortium.applied(
                    [consortium.commit(item, 2, by: senior)], by: senior, at: until - 9)
            }
            for senior in consortium.asked(item) {
                try consortium.applied(
                    [consortium.reveal(item, 2, by: senior)], by: senior, at: until - 8)
            }
            let before = money(consortium)
            try consortium.applied(
                [.closeItem(item.text)], by: Consortium.coordinator,
                at: isOver ? until : until - 1)
            #expect(consortium.item(item)?.hasReversal == true)
            #expect((money(consortium) == before) == isOver)
            #expect(consortium.audit().isEmpty)
        }
    }

    @Test(
        "what a ruling pays more is pending like the round's pay, and no more than the reserve has")
    func gain() throws {
        var gains: [UInt64] = []
        for isPoor in [false, true] {
            var consortium = try Self.study { agreement in
                // Seven stakes, a round's pool, and next to nothing.
                if isPoor { agreement.rewards.supplyMicrotokens = 70_000_000 + 1_000_003 + 7 }
            }
            let items = try items(1...32)
            // The third reader is alone in one item, and the seniors agree with it.
            try read(items, &consortium) { place, seat in
                .grade(place.isMultiple(of: 2) || place == 1 && seat == 2 ? 2 : 4)
            }
            try close(1, &consortium)
            try payRound(&consortium)
            let reader = Self.readers[2]
            let (held, available) = (consortium.held(reader), consortium.balance(reader))
            try reverse(items[1], to: .grade(2), &consortium)
            gains.append(consortium.held(reader) - held)
            #expect(consortium.balance(reader) == available)
            #expect(consortium.audit().isEmpty)
        }
        #expect(gains[1] <= 7 && gains[0] > 7)
    }

    @Test("rulings keep the weights by gold of the day, and take nothing from what gold has judged")
    func gold() throws {
        var consortium = try Self.study()
        let items = try items(1...32)
        let truths = Dictionary(
            uniqueKeysWithValues: (10..<20).map { (items[$0], Self.grade($0, 0)) })
        let gold = consortium.gold(truths)
        try consortium.applied([.commitGold(gold.commitment)], by: Consortium.coordinator)
        try read(items, &consortium)
        try consortium.applied(
            [.revealGold(gold.commitment, gold.answers, salt: gold.salt)],
            by: Consortium.coordinator)
        try close(1, &consortium)
        let before = try pay(consortium)
        #expect(Set(before.map(\.referenceWeight)).count == 2)
        try reverse(items[13], to: .grade(5), &consortium)
        #expect(try pay(consortium) == before)
        try reverse(items[1], to: .grade(5), &consortium)
        var answers: [ItemID: [AccountID: Int]] = [:]
        for (place, item) in items.enumerated() {
            for (seat, reader) in Self.readers.enumerated() {
                answers[item, default: [:]][reader] = Int(Self.grade(place, seat)) - 1
            }
        }
        let anew = try payPeriod(
            items: answers, classes: 5, ordinal: true, gold: truths.mapValues { Int($0) - 1 },
            rulings: [items[1]: 4])
        for (reader, own) in zip(Self.readers, try pay(consortium)) {
            #expect(own.joint == anew[reader]?.rows.joint && own.points == anew[reader]?.points)
        }
    }

    @Test("a ruling corrects pay by the agreement under which its period closed")
    func agreementOfTheDay() throws {
        var results: [[WirePayState]] = []
        for isChanged in [false, true] {
            var consortium = try Self.study("measurement")
            let items = try items(1...32)
            try read(items, &consortium) { place, seat in
                .measurement(Int64(place * 370 + seat * (place % 4) * 60))
            }
            try close(1, &consortium)
            if isChanged {
                try consortium.decide { $0.annotation.absoluteTolerance = 5_000 }
            }
            try reverse(items[3], to: .measurement(9_000), &consortium)
            results.append(try pay(consortium))
        }
        #expect(results[0] == results[1])
    }

    @Test("a grade that a decision adds takes nobody's score, carried rows or corrected pay")
    func moreClasses() throws {
        var consortium = try Self.study()
        let early = try items(1...32)
        try read(early, &consortium)
        try close(1, &consortium)
        let few = try items(40...51)
        try read(few, &consortium)
        try close(2, &consortium)
        var plain = consortium
        let before = try pay(consortium)
        try consortium.decide { $0.annotation.classes = 6 }
        func total(_ consortium: Consortium) -> WirePayTotal? {
            consortium.value(WirePayTotal.self, .payTotals, Array(Self.readers[0].text.utf8))
        }
        #expect(total(consortium)?.carriedAnswers == 12)
        // Of a rated period and of rows that are carried: as under the agreement of the day.
        for item in [early[0], few[0]] {
            try reverse(item, to: .grade(5), &consortium)
            try reverse(item, to: .grade(5), &plain)
        }
        #expect(try pay(consortium) == pay(plain) && pay(plain) != before)
        let (wide, narrow) = try (
            #require(total(consortium)).carried, #require(total(plain)).carried
        )
        #expect(wide.count == 36 && narrow.count == 25)
        #expect(
            (0..<5).allSatisfy { row in
                Array(wide[6 * row..<6 * row + 5]) == Array(narrow[5 * row..<5 * row + 5])
            })
        // The next period starts from the carried rows, and the scores from what they were.
        func settled(_ consortium: Consortium) -> UInt64 {
            let score = consortium.value(
                WireScoreState.self, .scores, Array(Self.readers[0].text.utf8))
            return score?.settled.reduce(0, +) ?? 0
        }
        let counted = settled(consortium)
        try read(items(60...83), &consortium)
        try close(3, &consortium)
        try read(items(60...83), &plain)
        try close(3, &plain)
        let last = try pay(consortium, 3)
        #expect(last.map(\.answers) == [36, 36, 36] && last.map(\.rows) == [36, 36, 36])
        #expect(last[0].rated && last[0].joint.count == 36)
        #expect(settled(consortium) >= counted + 24 << 30)
        #expect(settled(consortium) == settled(plain))
    }
}
