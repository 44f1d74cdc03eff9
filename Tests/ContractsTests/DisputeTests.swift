import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// Disputes: seniors are asked about an outcome, and a reversal corrects pay by postings.
struct DisputeTests {
    static let east = Consortium.east

    private func items(_ numbers: ClosedRange<Int>) throws -> [ItemID] {
        try numbers.map { try itemID("east/\($0 + 100)") }
    }

    /// Thirty-two items of three readers with answers that follow a pattern; one organisation
    /// each has one reader, so the same three read everything.
    private static func study(
        _ change: (inout WireAgreement) -> Void = { _ in }
    ) throws -> (Consortium, [AccountID]) {
        var agreement = drawnAgreement()
        change(&agreement)
        agreement.annotation.waves = [3]
        agreement.annotation.goldOrganisation = ""
        agreement.annotation.goldWindow = 0
        agreement.rewards.appealWindow = 40
        var consortium = try Consortium(agreement, enrolling: false)
        let readers = ["north-1", "north-2", "west-1"].map { AccountID(.annotator, $0) }
        try consortium.enrol(readers, of: [Consortium.north, Consortium.west])
        return (consortium, readers)
    }

    /// Reads the items: two readers right, the third wrong in every third item.
    private func read(
        _ items: [ItemID], _ consortium: inout Consortium, _ readers: [AccountID]
    ) throws {
        try consortium.draw(items, by: Self.east)
        var answers: [ItemID: [AccountID: UInt32]] = [:]
        for (place, item) in items.enumerated() {
            let grade: UInt32 = place % 2 == 0 ? 2 : 4
            answers[item] = [
                readers[0]: grade, readers[1]: grade,
                readers[2]: place % 3 == 0 ? (grade == 2 ? 3 : 3) : grade,
            ]
        }
        try consortium.annotate(answers)
    }

    private func pay(_ consortium: Consortium, _ reader: AccountID) -> WirePayState? {
        consortium.read { $0.pay(of: reader, in: 1) }
    }

    @Test("seniors who agree with the outcome, or not with each other, leave it")
    func upheld() throws {
        for grades: [UInt32] in [[2, 2], [1, 5]] {
            var (consortium, readers) = try Self.study()
            let item = try items(1...1)[0]
            try read([item], &consortium, readers)
            try consortium.applied([.dispute(item.text, "too low")], by: readers[2])
            try consortium.answer(item, grades)
            let state = try #require(consortium.item(item))
            #expect(state.outcome == .approved && !state.hasReversal && !state.isUnderWay)
            #expect(state.dispute.by == readers[2].text && state.dispute.decidedHeight > 0)
            #expect(state.labelGrade == 2)
        }
    }

    @Test("a reversal in the open period enters its pay as the seniors' label")
    func openPeriod() throws {
        var (consortium, readers) = try Self.study()
        let items = try items(1...32)
        try read(items, &consortium, readers)
        var plain = consortium
        try plain.applied([.closePeriod(1)], by: Consortium.coordinator)
        let item = items[0]
        try consortium.applied([.dispute(item.text)], by: Self.east)
        #expect(consortium.asked(item).allSatisfy { $0.name.contains("-s") })
        try consortium.answer(item, [5, 5])
        let state = try #require(consortium.item(item))
        #expect(state.grade == 2 && state.reversal.grade == 5 && state.labelGrade == 5)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        for reader in readers {
            let (was, now) = (
                try #require(pay(plain, reader)), try #require(pay(consortium, reader))
            )
            #expect(was.rows == now.rows && now.points < was.points)
            #expect(
                now.joint[4...].enumerated().contains { $0.element > 0 && ($0.offset + 4) % 5 == 4 }
            )
        }
    }

    @Test("a reversal after the close moves what is pending, and the books of a replay agree")
    func closedPeriod() throws {
        var (consortium, readers) = try Self.study()
        let items = try items(1...32)
        try read(items, &consortium, readers)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        try consortium.startRun()
        try consortium.openRound(1, 1)
        try consortium.closeRound(1, 1, roundValues([(1, 0), (1, 0), (1, 0)]))
        let before = readers.map { consortium.held($0) }
        let was = readers.map { pay(consortium, $0) }
        let item = items[0]
        try consortium.applied([.dispute(item.text)], by: readers[0])
        try consortium.answer(item, [5, 5])
        #expect(consortium.item(item)?.reversal.grade == 5)
        #expect(consortium.audit().isEmpty)
        var moved = false
        for (index, reader) in readers.enumerated() {
            let now = try #require(pay(consortium, reader))
            let old = try #require(was[index])
            #expect(now.points != old.points && now.rows == old.rows)
            let total = consortium.value(
                WirePayTotal.self, .payTotals, Array(reader.text.utf8))
            #expect(total?.weight == now.weight && total?.shortfall == now.shortfall)
            let stored = consortium.value(WirePayState.self, .pay, payKey(1, reader))
            #expect(stored == old, "the record of the close stays")
            // The round's rate: what one micro-point brought when it closed.
            let weights = was.compactMap { $0?.weight }.reduce(0, +)
            let share = consortium.value(
                WireRoundShareState.self, .roundShares, Array("round/1.1".utf8))
            #expect(share?.weight == weights)
            let rate = { (weight: UInt64) in (share?.microtokens ?? 0) * weight / weights }
            #expect(consortium.held(reader) + rate(old.weight) == before[index] + rate(now.weight))
            moved = moved || consortium.held(reader) != before[index]
        }
        #expect(moved)
    }

    @Test("corrected sums are those of a period computed anew with the seniors' label")
    func recomputed() throws {
        var (consortium, readers) = try Self.study()
        let items = try items(1...32)
        try read(items, &consortium, readers)
        var answers: [ItemID: [AccountID: Int]] = [:]
        for item in items {
            for answer in consortium.item(item)?.answers ?? [] {
                let reader = try #require(AccountID(answer.annotator))
                answers[item, default: [:]][reader] = Int(answer.grade) - 1
            }
        }
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        for (place, label) in [(0, UInt32(5)), (7, 1)] {
            try consortium.applied([.dispute(items[place].text)], by: Self.east)
            try consortium.answer(items[place], [label, label])
        }
        let anew = try payPeriod(
            items: answers, classes: 5, ordinal: true, rulings: [items[0]: 4, items[7]: 0])
        for reader in readers {
            let own = try #require(pay(consortium, reader))
            let expected = try #require(anew[reader])
            #expect(own.joint == expected.rows.joint && own.points == expected.points)
            #expect(own.rows == expected.n && UInt64(own.answers) == expected.answers)
        }
    }

    @Test("the same of measurements, whose rows hang together")
    func recomputedMeasurements() throws {
        var (consortium, readers) = try Self.study { agreement in
            agreement.annotation.answer = "measurement"
            agreement.annotation.classes = 0
            agreement.annotation.nearDistance = 0
            agreement.annotation.maximumSpread = 0
            agreement.annotation.absoluteTolerance = 500
            agreement.training.positiveAbove = 1
            agreement.training.negativeBelow = 2
        }
        let items = try items(1...32)
        try consortium.draw(items, by: Self.east)
        var answers: [ItemID: [AccountID: Int64]] = [:]
        for (place, item) in items.enumerated() {
            for (seat, reader) in readers.enumerated() {
                answers[item, default: [:]][reader] = Int64(place * 370 + seat * (place % 4) * 60)
            }
        }
        try measure(items, answers, &consortium)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        let rule = consortium.agreement.annotation.measurementRule
        let plain = try payPeriod(items: answers, rule: rule)
        for reader in readers {
            #expect(pay(consortium, reader)?.agreed == plain[reader]?.rows.agreed)
        }
        let rulings = [items[3]: Int64(9_000), items[31]: -4_000]
        for (item, label) in rulings.sorted(by: { $0.key < $1.key }) {
            try consortium.applied([.dispute(item.text)], by: Self.east)
            let seniors = consortium.asked(item)
            #expect(seniors.count == 2)
            try measure(
                [item], [item: Dictionary(uniqueKeysWithValues: seniors.map { ($0, label) })],
                &consortium)
            #expect(consortium.item(item)?.label(kind: .measurement) == .measurement(label))
        }
        let anew = try payPeriod(items: answers, rule: rule, rulings: rulings)
        for reader in readers {
            let own = try #require(pay(consortium, reader))
            let expected = try #require(anew[reader])
            #expect(own.agreed == expected.rows.agreed && own.chance == expected.rows.chance)
            #expect(own.rows == expected.n && own.points == expected.points)
        }
    }

    /// Readers commit to measurements in the next block and reveal in the one after it.
    private func measure(
        _ items: [ItemID], _ answers: [ItemID: [AccountID: Int64]], _ consortium: inout Consortium
    ) throws {
        let start = consortium.height.value + 1
        let readers = Set(answers.values.flatMap(\.keys)).sorted()
        for (at, isReveal) in [(start, false), (start + 1, true)] {
            for reader in readers {
                let transactions = try items.compactMap { item -> WireTransaction? in
                    guard let value = answers[item]?[reader] else { return nil }
                    let salt = try salt(of: reader, for: item, network: consortium.network)
                    guard isReveal else {
                        return .commit(
                            item.text,
                            answerCommitment(
                                network: consortium.network, item: item, annotator: reader,
                                answer: .measurement(value), salt: salt
                            ).bytes)
                    }
                    var transaction = WireTransaction()
                    transaction.answerReveal.item = item.text
                    transaction.answerReveal.measurement = value
                    transaction.answerReveal.salt = data(salt)
                    return transaction
                }
                try consortium.applied(transactions, by: reader, at: at)
            }
        }
        try consortium.applied(
            items.map { .closeItem($0.text) }, by: Consortium.coordinator, at: start + 1)
    }

    @Test("money whose appeal window is over stays where it is")
    func final() throws {
        var (consortium, readers) = try Self.study()
        let items = try items(1...32)
        try read(items, &consortium, readers)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
        try consortium.startRun()
        try consortium.openRound(1, 1)
        try consortium.closeRound(1, 1, roundValues([(1, 0), (1, 0), (1, 0)]))
        let closed = consortium.height.value
        try consortium.applied([.dispute(items[0].text)], by: readers[0])
        let seniors = consortium.asked(items[0])
        for senior in seniors {
            try consortium.applied(
                [consortium.commit(items[0], 5, by: senior)], by: senior,
                at: consortium.height.value)
        }
        for senior in seniors {
            try consortium.applied(
                [consortium.reveal(items[0], 5, by: senior)], by: senior,
                at: max(consortium.height.value, closed + 2))
        }
        let held = readers.map { consortium.held($0) }
        try consortium.applied(
            [.closeItem(items[0].text)], by: Consortium.coordinator, at: closed + 40)
        #expect(consortium.item(items[0])?.hasReversal == true)
        #expect(readers.map { consortium.held($0) } == held)
        #expect(consortium.audit().isEmpty)
    }
}
