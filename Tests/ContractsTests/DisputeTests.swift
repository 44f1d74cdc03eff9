import Contracts
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
    private static func study() throws -> (Consortium, [AccountID]) {
        var agreement = drawnAgreement()
        agreement.annotation.waves = [3]
        agreement.annotation.goldOrganisation = ""
        agreement.annotation.goldWindow = 0
        agreement.rewards.appealWindow = 40
        var consortium = try Consortium(agreement, enrolling: false)
        try consortium.applied(
            [.enrol(memberDocument(Consortium.developer))], by: Consortium.coordinator, at: 1)
        let readers = ["north-1", "north-2", "west-1"].map { AccountID(.annotator, $0) }
        for site in [Consortium.north, Consortium.west] {
            let own = readers.filter { $0.name.hasPrefix(site.name) }
            try consortium.applied(
                own.map { try .enrol(memberDocument($0), as: ["reader"]) }
                    + Consortium.seniors(of: site).map {
                        try .enrol(memberDocument($0), as: ["senior"])
                    }, by: site, at: 1)
        }
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
