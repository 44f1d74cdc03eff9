import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct SettlementTests {
    static let (p, q) = (named("patient p"), named("patient q"))
    static let readers = Consortium.readers(of: Consortium.east)
    /// Of a pool of 1,000,003: basis points 4000, 3000, 1500, 1500 by largest remainder.
    static let shares = (
        annotators: UInt64(300_001), developers: UInt64(150_001), patients: UInt64(400_001),
        sites: UInt64(150_000)
    )

    /// Two patients consent, the second waives the reward, and run 1 starts.
    func founded(_ agreement: WireAgreement = testAgreement()) throws -> Consortium {
        var consortium = try Consortium(agreement)
        try consortium.applied(
            [.grant(Self.p), .grant(Self.q, waive: true)], by: Consortium.north)
        try consortium.startRun()
        return consortium
    }

    /// Opens and closes the next round.
    @discardableResult
    func settle(
        _ consortium: inout Consortium, _ round: UInt32, _ values: WireRoundValues
    ) throws -> [WirePosting] {
        try consortium.openRound(1, round)
        return try consortium.closeRound(1, round, values).postings
    }

    /// Closes period 1: three readers agree on 40 items, the fourth says the opposite of them.
    func annotated(_ consortium: inout Consortium) throws {
        var answers: [ItemID: [AccountID: UInt32]] = [:]
        for number in 0..<40 {
            let grade = UInt32(number % 2 == 0 ? 2 : 3)
            var grades = Dictionary(uniqueKeysWithValues: Self.readers.map { ($0, grade) })
            grades[Self.readers[3]] = 5 - grade
            answers[try itemID("east/\(number)")] = grades
        }
        try consortium.register(
            answers.keys.sorted(), readers: Self.readers, by: Consortium.east)
        try consortium.annotate(answers)
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator)
    }

    func sums(_ postings: [WirePosting], _ kind: String) -> UInt64 {
        postings.filter { $0.credit.hasPrefix(kind) }.reduce(0) { $0 + $1.microtokens }
    }

    func waiting(_ consortium: Consortium, _ role: RewardRole) -> WireWaitingState? {
        consortium.value(WireWaitingState.self, .waiting, Array(role.rawValue.utf8))
    }

    @Test("the pool goes to the roles, to the last unit, and inside them by weight")
    func division() throws {
        var consortium = try founded()
        try annotated(&consortium)
        let values = roundValues([(1, 0), (2, 0), (1, 0)], patients: [Self.p: 3, Self.q: 1])
        let postings = try settle(&consortium, 1, values)
        #expect(sums(postings, "pool/") == 1_000_003)
        #expect(sums(postings, "annotator/") == Self.shares.annotators)
        #expect(sums(postings, "developer/") == Self.shares.developers)
        #expect(sums(postings, "patient/") == 300_001)
        #expect(sums(postings, "patient/") + sums(postings, "commons/") == Self.shares.patients)
        #expect(sums(postings, "site/") == Self.shares.sites)
        #expect(sums(postings, "site/north") == 75_000)
        #expect(consortium.held(ConsortiumAccount.pool(run: 1, round: 1)) == 0)
        #expect(RewardRole.allCases.allSatisfy { waiting(consortium, $0) == nil })
        #expect(
            postings.filter { !$0.credit.hasPrefix("appeal/") }.allSatisfy { $0.rule == "split/1" })
        #expect(consortium.audit().isEmpty)
        let half = Self.readers.map { consortium.held($0) }
        #expect(half[0] == 100_000 || half[0] == 100_001)
        #expect(half[3] == 0)
    }

    @Test("a waived share goes to the commons, as consent stood when the round was opened")
    func waiver() throws {
        var consortium = try founded()
        let values = roundValues([(1, 0), (1, 0), (1, 0)], patients: [Self.p: 1, Self.q: 1])
        try consortium.openRound(1, 1)
        try consortium.applied(
            [.grant(Self.p, waive: true), .grant(Self.q, waive: false)], by: Consortium.north)
        try consortium.closeRound(1, 1, values)
        #expect(consortium.held(patientAccount(Self.q)) == 0)
        #expect(consortium.held(patientAccount(Self.p)) == 200_000)
        #expect(consortium.balance(ConsortiumAccount.commons) == 200_001)
        try settle(&consortium, 2, values)
        #expect(consortium.held(patientAccount(Self.p)) == 200_000)
        #expect(consortium.held(patientAccount(Self.q)) > 0)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a role without weights waits, and its share joins the next round's")
    func waits() throws {
        var consortium = try founded()
        let nobody = roundValues([(0, 0), (0, 0), (0, 0)])
        let first = try settle(&consortium, 1, nobody)
        let waitingRoles: [(RewardRole, UInt64)] = [
            (.annotators, Self.shares.annotators), (.patients, Self.shares.patients),
            (.sites, Self.shares.sites),
        ]
        for (role, share) in waitingRoles {
            #expect(waiting(consortium, role)?.microtokens == share)
            #expect(waiting(consortium, role)?.pool == "pool/1.1")
        }
        #expect(sums(first, "developer/") == Self.shares.developers)
        let pool = ConsortiumAccount.pool(run: 1, round: 1)
        #expect(consortium.held(pool) == 1_000_003 - Self.shares.developers)

        let somebody = roundValues([(0, 0), (0, 0), (2, 0)], patients: [Self.p: 1])
        let second = try settle(&consortium, 2, somebody)
        #expect(consortium.held(pool) == 0)
        #expect((800_002...800_006).contains(sums(second, "patient/")))
        #expect((300_000...300_002).contains(sums(second, "site/west")))
        #expect(waiting(consortium, .patients) == nil && waiting(consortium, .sites) == nil)
        let kept = try #require(waiting(consortium, .annotators))
        #expect(kept.pool == "pool/1.2" && (600_001...600_003).contains(kept.microtokens))
        #expect(consortium.held(ConsortiumAccount.pool(run: 1, round: 2)) == kept.microtokens)

        try annotated(&consortium)
        let third = try settle(&consortium, 3, somebody)
        #expect(sums(third, "annotator/") > kept.microtokens + 300_000)
        #expect(waiting(consortium, .annotators) == nil)
        #expect(consortium.audit().isEmpty)
    }

    @Test("what waits joins a round of the next run, too")
    func waitsForTheNextRun() throws {
        var consortium = try founded()
        try settle(&consortium, 1, roundValues([(1, 0), (0, 0), (0, 0)]))
        try consortium.applied([.stopRun(1)], by: Consortium.developer)
        try consortium.startRun(2)
        try consortium.openRound(2, 1)
        let effect = try consortium.closeRound(
            2, 1, roundValues([(1, 0), (0, 0), (0, 0)], patients: [Self.p: 1]))
        #expect((800_002...800_006).contains(sums(effect.postings, "patient/")))
        #expect(consortium.held(ConsortiumAccount.pool(run: 1, round: 1)) == 0)
        #expect(consortium.audit().isEmpty)
    }

    @Test("counts alone decide while the run warms up; after that half follows value")
    func warmUp() throws {
        var consortium = try founded()
        let values = roundValues([(2, -5), (1, 900), (1, 0)], patients: [Self.p: 1])
        let first = try settle(&consortium, 1, values)
        #expect(
            Consortium.sites.map { sums(first, $0.text) } == [75_000, 37_500, 37_500])
        let second = try settle(&consortium, 2, values)
        let share = sums(second, "site/")
        #expect((150_000...150_002).contains(share))
        #expect((37_500...37_501).contains(sums(second, "site/east")))
        #expect((93_749...93_752).contains(sums(second, "site/north")))
        #expect((18_750...18_751).contains(sums(second, "site/west")))
        let third = try settle(
            &consortium, 3, roundValues([(2, -5), (1, -1), (1, 0)], patients: [Self.p: 1]))
        #expect((74_999...75_002).contains(sums(third, "site/east")))
        #expect(consortium.audit().isEmpty)
    }

    @Test("money can be used from its height on: two blocks later, pay after the appeal window")
    func availability() throws {
        var consortium = try founded()
        try annotated(&consortium)
        try settle(
            &consortium, 1, roundValues([(1, 0), (1, 0), (1, 0)], patients: [Self.p: 1]))
        let height = consortium.height.value
        for (account, delay) in [
            (patientAccount(Self.p), UInt64(2)), (Consortium.east, 2), (Consortium.developer, 2),
            (Self.readers[0], 6),
        ] {
            let held = consortium.held(account)
            #expect(held > 0)
            #expect(consortium.balance(account, at: height + delay - 1) == 0)
            #expect(consortium.balance(account, at: height + delay) == held)
            let state = consortium.value(
                WireBalanceState.self, .balances, Array(account.text.utf8))
            #expect(state?.pending(at: height) == held)
            #expect(state?.pending(at: height + delay) == 0)
        }
    }

    @Test("who falls short of the fee loses stake, round by round, until nothing is left")
    func penalties() throws {
        var agreement = testAgreement()
        agreement.rewards.roundPoolMicrotokens = 40_000_000
        var consortium = try founded(agreement)
        try annotated(&consortium)
        let reader = Self.readers[3]
        let total = try #require(
            consortium.value(WirePayTotal.self, .payTotals, Array(reader.text.utf8)))
        #expect(total.shortfall > 0 && total.weight == 0)
        let weights = Self.readers.compactMap {
            consortium.value(WirePayTotal.self, .payTotals, Array($0.text.utf8))?.weight
        }.reduce(0, +)
        var left: UInt64 = 10_000_000
        var escrow: UInt64 = 0
        let values = roundValues([(1, 0), (1, 0), (1, 0)], patients: [Self.p: 1])
        var rounds = 0
        for round in UInt32(1)...8 {
            let postings = try settle(&consortium, round, values)
            let share = sums(postings, "annotator/")
            let owed = UInt128(share) * UInt128(total.shortfall) / UInt128(weights)
            let penalty = UInt64(min(owed, UInt128(left)))
            left -= penalty
            escrow += penalty
            rounds += penalty > 0 ? 1 : 0
            #expect(sums(postings, "appeal/") == penalty)
            #expect(
                postings.filter { $0.credit.hasPrefix("appeal/") }.allSatisfy { $0.rule == "pay/1" }
            )
            #expect(consortium.held(ConsortiumAccount.stake(of: reader)) == left)
            #expect(consortium.held(ConsortiumAccount.appeal(of: reader)) == escrow)
            #expect(consortium.audit().isEmpty)
        }
        #expect(left == 0 && rounds > 1, "the stake is used up over several rounds")
        let reserve = consortium.held(ConsortiumAccount.reserve)
        for round in 1...8 {
            try consortium.applied([.expire("round/1.\(round)")], by: reader, at: 200)
        }
        #expect(consortium.held(ConsortiumAccount.appeal(of: reader)) == 0)
        #expect(consortium.held(ConsortiumAccount.reserve) == reserve + 10_000_000)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a reserve that runs dry hands out what it has, and then nothing")
    func dryReserve() throws {
        var agreement = testAgreement()
        agreement.rewards.supplyMicrotokens = 1_500_007
        agreement.rewards.stakeMicrotokens = 0
        var consortium = try founded(agreement)
        let values = roundValues([(1, 0), (1, 0), (1, 0)], patients: [Self.p: 1])
        #expect(sums(try settle(&consortium, 1, values), "pool/") == 1_000_003)
        let second = try settle(&consortium, 2, values)
        #expect(second.first?.microtokens == 500_004)
        #expect(consortium.held(ConsortiumAccount.reserve) == 0)
        let third = try settle(&consortium, 3, values)
        #expect(sums(third, "developer/") == 0 && sums(third, "patient/") == 0)
        #expect(consortium.round(1, 3)?.isClosed == true)
        #expect(consortium.audit().isEmpty)
    }
}
