import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct RevenueTests {
    static let (p, q) = (named("patient p"), named("patient q"))
    static let treasurer = Consortium.treasurer

    /// Run 1 with rounds 1 and 2; patient q waives. Run 2 begins with what run 1 ended with.
    func trained(runs: UInt32) throws -> Consortium {
        var consortium = try Consortium()
        try consortium.applied(
            [.grant(Self.p), .grant(Self.q, waive: true)], by: Consortium.north)
        try consortium.startRun(rounds: 2)
        for round in 1...UInt32(2) {
            try consortium.openRound(1, round)
            try consortium.closeRound(
                1, round,
                roundValues(
                    [(1, 0), (2, 40), (1, 0)], patients: [Self.p: round, Self.q: 1]))
        }
        guard runs == 2 else { return consortium }
        let start = consortium.height.value + 1
        try consortium.applied(
            [.startRun(2, from: named("model 1.2"), rounds: 1)], by: Consortium.developer,
            at: start)
        for voter in Consortium.voters.prefix(3) {
            try consortium.applied([.fix(2, named("reference 2"))], by: voter, at: start)
        }
        try consortium.openRound(2, 1)
        try consortium.closeRound(
            2, 1, roundValues([(0, 0), (0, 0), (1, 0)], patients: [Self.p: 1]))
        return consortium
    }

    func post(
        _ amount: UInt64, for model: String, _ reference: String, _ consortium: inout Consortium
    ) throws -> [String: UInt64] {
        let postings = try consortium.applied(
            [.revenue(of: named(model), amount, reference: reference)], by: Self.treasurer
        ).flatMap(\.postings)
        var paid: [String: UInt64] = [:]
        for posting in postings {
            paid[posting.credit, default: 0] += posting.microtokens
            #expect(posting.rule == "revenue/1")
        }
        #expect(consortium.audit().isEmpty)
        return paid
    }

    /// Nobody annotated, so 7,000 of 10,000 points count: patients 4/7, sites and developers 1.5/7.
    @Test(
        "income follows the weights of all rounds of the run; what was waived goes to the commons")
    func oneRun() throws {
        var consortium = try trained(runs: 1)
        let paid = try post(7_000_000, for: "model 1.2", "sale-1", &consortium)
        #expect(paid["revenue/sale-1"] == 7_000_000)
        // p has 1 + 2 records in two rounds, q 1 + 1: 3 and 2 of 5.
        #expect(paid[patientAccount(Self.p).text] == 2_400_000)
        #expect(paid["commons/consortium"] == 1_600_000)
        #expect(paid[patientAccount(Self.q).text] == nil)
        #expect(paid["developer/lab"] == 1_500_000)
        // Half by value, all of it north's; half by counts 2, 4 and 2 of 8.
        #expect(paid["site/east"] == 187_500 && paid["site/west"] == 187_500)
        #expect(paid["site/north"] == 750_000 + 375_000)
        #expect(consortium.held(AccountID(kind: "revenue", name: "sale-1")) == 0)
    }

    @Test("a model in the middle of a run pays for the rounds before it alone")
    func middle() throws {
        var consortium = try trained(runs: 1)
        let paid = try post(7_000_000, for: "model 1.1", "sale-1", &consortium)
        #expect(paid[patientAccount(Self.p).text] == 2_000_000)
        #expect(paid["commons/consortium"] == 2_000_000)
    }

    @Test("a run passes a fixed share on to the model that it began with")
    func twoRuns() throws {
        var consortium = try trained(runs: 2)
        let paid = try post(7_000_000, for: "model 2.1", "sale-1", &consortium)
        // 80 % to run 2, where only p and west have weight; 20 % to run 1.
        #expect(paid["commons/consortium"] == 320_000)
        #expect(paid[patientAccount(Self.p).text] == 3_200_000 + 480_000)
        #expect(paid["developer/lab"] == 1_200_000 + 300_000)
        #expect(paid["site/north"] == 225_000)
    }

    @Test("what rounding takes is owed, so many small incomes add up to one large one")
    func residuals() throws {
        var consortium = try trained(runs: 1)
        var sum: UInt64 = 0
        for number in 0..<70 {
            let paid = try post(1, for: "model 1.2", "sale-\(number)", &consortium)
            sum += paid[patientAccount(Self.p).text, default: 0]
        }
        #expect(sum == 24)
        var whole = try trained(runs: 1)
        let paid = try post(70, for: "model 1.2", "sale-1", &whole)
        #expect(paid[patientAccount(Self.p).text] == 24)
    }

    /// Run 2 begins as run 1 did and makes the same models in rounds 1 and 2, with another patient.
    func repeated() throws -> Consortium {
        var consortium = try trained(runs: 1)
        try consortium.startRun(2, from: named("model 1.0"), rounds: 3)
        for round in 1...UInt32(3) {
            try consortium.openRound(2, round)
            try consortium.closeRound(
                2, round, roundValues([(1, 0), (0, 0), (0, 0)], patients: [named("r"): round]),
                model: round < 3 ? named("model 1.\(round)") : nil)
        }
        return consortium
    }

    @Test("a run that makes an earlier run's models again is paid for all of its own rounds")
    func repeatedModels() throws {
        var consortium = try repeated()
        let paid = try post(7_000_000, for: "model 2.3", "sale-1", &consortium)
        #expect(paid[patientAccount(named("r")).text] == 4_000_000)
        #expect(paid["site/east"] == 1_500_000 && paid["developer/lab"] == 1_500_000)
        // Run 1 has no part in it: run 2 never began with what run 1 made.
        #expect(paid[patientAccount(Self.p).text] == nil && paid["site/north"] == nil)
    }

    @Test("a run from a model that two runs made passes its share on to the first of them")
    func fromRepeated() throws {
        var consortium = try repeated()
        try consortium.startRun(3, from: named("model 1.2"), rounds: 1)
        try consortium.openRound(3, 1)
        try consortium.closeRound(
            3, 1, roundValues([(0, 0), (0, 0), (1, 0)], patients: [named("s"): 1]))
        let paid = try post(7_000_000, for: "model 3.1", "sale-1", &consortium)
        #expect(paid[patientAccount(named("s")).text] == 3_200_000)
        #expect(paid[patientAccount(Self.p).text] == 480_000)
        #expect(paid[patientAccount(named("r")).text] == nil)
    }

    @Test("a lineage that comes round, as no transaction makes one, ends where it does")
    func circle() throws {
        var consortium = try trained(runs: 2)
        var first = try #require(consortium.run(1))
        first.initialModel = data(named("model 2.1"))
        consortium.corrupt(.runs, bigEndian(UInt32(1)), first.encoded())
        let paid = try post(7_000_000, for: "model 2.1", "sale-1", &consortium)
        #expect(paid["revenue/sale-1"] == 7_000_000)
        #expect(paid[patientAccount(Self.p).text] == 3_200_000 + 480_000)
    }
}
