import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct PaymentTests {
    static let (p, q) = (named("patient p"), named("patient q"))
    static let (developer, treasurer) = (Consortium.developer, Consortium.treasurer)

    func founded() throws -> Consortium {
        var consortium = try Consortium()
        try funded(&consortium)
        return consortium
    }

    func supply(_ consortium: Consortium) -> WireSupplyState {
        consortium.value(WireSupplyState.self, .supply, []) ?? WireSupplyState()
    }

    @Test("a transfer moves the signer's money, available once it is settled")
    func transfer() throws {
        var consortium = try founded()
        let before = consortium.held(Consortium.west)
        let effects = try consortium.applied(
            [.transfer(to: "site/west", 50_001, reference: "invoice-7")], by: Self.developer)
        let posting = try #require(effects.first?.postings.first)
        #expect(posting.rule == "transfer/1" && posting.microtokens == 50_001)
        #expect(posting.availableFrom == consortium.height.value + 2)
        #expect(consortium.held(Self.developer) == 100_000)
        #expect(consortium.held(Consortium.west) == before + 50_001)
        #expect(consortium.balance(Consortium.west) == before)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a redemption waits in escrow until the treasurer has paid; then its tokens are no more")
    func redemption() throws {
        var consortium = try founded()
        let issued = supply(consortium).issued
        let id = try #require(
            consortium.applied([.redeem(50_000), .redeem(1)], by: Self.developer).first
        ).envelope
        let escrow = ConsortiumAccount.redemption(of: Self.developer)
        #expect(consortium.held(escrow) == 50_001)
        #expect(supply(consortium).issued == issued)
        try consortium.applied(
            [.accept([UInt8](id)), .payOut([UInt8](id), reference: "bank-1")], by: Self.treasurer)
        #expect(consortium.held(escrow) == 1)
        #expect(supply(consortium).issued == issued - 50_000)
        #expect(supply(consortium).redeemed == 50_000)
        try consortium.applied([.giveUp([UInt8](id), index: 1)], by: Self.developer)
        #expect(consortium.held(escrow) == 0)
        #expect(consortium.held(Self.developer) == 100_001)
        #expect(consortium.audit().isEmpty)
    }

    @Test("what the treasurer has accepted, it alone gives back")
    func accepted() throws {
        var consortium = try founded()
        let request = try #require(
            consortium.applied([.redeem(50_000)], by: Self.developer).first)
        let id = [UInt8](request.envelope)
        try consortium.applied([.accept(id)], by: Self.treasurer)
        #expect(
            try consortium.outcome(.giveUp(id), by: Self.developer) == .redemptionAccepted)
        #expect(consortium.held(ConsortiumAccount.redemption(of: Self.developer)) == 50_000)
        try consortium.applied([.giveUp(id)], by: Self.treasurer)
        #expect(consortium.held(Self.developer) == 150_001)
        #expect(consortium.audit().isEmpty)
    }

    /// The word of a quorum on a posting from or to the outside.
    private func correct(
        from debit: String, to credit: String, _ amount: UInt64, returned: UInt64,
        _ consortium: inout Consortium
    ) throws {
        var posting = WirePosting()
        posting.debit = debit
        posting.credit = credit
        posting.microtokens = amount
        for voter in Consortium.sites {
            try consortium.applied(
                [.correction(named("wrong"), posting, returned: returned)], by: voter)
        }
        #expect(consortium.audit().isEmpty)
    }

    @Test("a wrong income leaves by the reserve, and the supply with it")
    func wrongIncome() throws {
        var consortium = try founded()
        try consortium.applied(
            [.revenue(of: named("model 1.1"), 1_000_000, reference: "sale-1")], by: Self.treasurer)
        let (before, reserve) = (supply(consortium), consortium.held(ConsortiumAccount.reserve))
        try correct(
            from: "external/revenue", to: "revenue/sale-1", 1_000_000, returned: 400_000,
            &consortium)
        #expect(supply(consortium).issued == before.issued - 400_000)
        #expect(supply(consortium).revenue == 600_000)
        #expect(consortium.held(ConsortiumAccount.reserve) == reserve - 400_000)
    }

    @Test("a wrong payout gives the owner its tokens back, and the supply")
    func wrongPayout() throws {
        var consortium = try founded()
        let request = try #require(
            consortium.applied([.redeem(50_000)], by: Self.developer).first)
        let id = [UInt8](request.envelope)
        try consortium.applied(
            [.accept(id), .payOut(id, reference: "bank-1")], by: Self.treasurer)
        let before = supply(consortium)
        try correct(
            from: "redemption-developer/lab", to: "external/redemptions", 50_000,
            returned: 50_000, &consortium)
        #expect(supply(consortium).issued == before.issued + 50_000)
        #expect(supply(consortium).redeemed == 0)
        #expect(consortium.held(Self.developer) == 150_001)
        #expect(try consortium.outcome(.giveUp(id), by: Self.developer) == .redemptionClosed)
    }

    @Test("a patient claims with its key, whoever carries the claim, part after part")
    func claims() throws {
        var consortium = try founded()
        try consortium.applied([.claimKey(Self.p, claimKey())], by: Consortium.north)
        for (number, amount) in [(UInt64(1), UInt64(100_000)), (2, 0)] {
            let claim = try claimTransaction(
                of: Self.p, to: "site/west", amount, number: number, network: consortium.network)
            try consortium.applied([claim], by: Consortium.readers(of: Consortium.east)[0])
        }
        #expect(consortium.held(patientAccount(Self.p)) == 0)
        #expect(consortium.held(Consortium.west) >= 400_001)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a quorum of voters takes a posting back; the new posting names what it corrects")
    func correction() throws {
        var consortium = try founded()
        let effect = try #require(
            consortium.applied([.transfer(to: "site/west", 10_000)], by: Self.developer).first)
        let posting = try #require(effect.postings.first)
        try consortium.applied(
            [.grant(Self.q)], by: Consortium.north, at: consortium.height.value + 2)
        var postings: [WirePosting] = []
        for voter in Consortium.sites {
            postings += try consortium.applied(
                [.correction([UInt8](effect.envelope), posting, returned: 10_000)], by: voter
            ).flatMap(\.postings)
        }
        #expect(postings.map(\.rule) == ["correction/1"])
        #expect(postings.map(\.debit) == ["site/west"])
        #expect(postings.map(\.credit) == [Self.developer.text])
        #expect(postings.map(\.corrects) == ["\(hexString(effect.envelope))/0/0"])
        #expect(consortium.held(Self.developer) == 150_001)
        #expect(consortium.audit().isEmpty)
    }

    @Test("what a pool paid wrongly returns to the reserve, for pools are divided to the last unit")
    func correctionOfAPool() throws {
        var consortium = try founded()
        var posting = WirePosting()
        posting.debit = "pool/1.1"
        posting.credit = Self.developer.text
        posting.microtokens = 150_001
        let reserve = consortium.held(ConsortiumAccount.reserve)
        for voter in Consortium.sites {
            try consortium.applied(
                [.correction(named("close"), posting, returned: 1)], by: voter)
        }
        #expect(consortium.held(ConsortiumAccount.reserve) == reserve + 1)
        #expect(consortium.audit().isEmpty)
    }

    @Test("a granted appeal takes the penalty back, and its window still ends")
    func appeal() throws {
        var consortium = try Consortium()
        let readers = Consortium.readers(of: Consortium.east)
        let item = try itemID("east/1")
        try consortium.register([item], readers: Array(readers.prefix(2)), by: Consortium.east)
        try consortium.applied([consortium.commit(item, 3, by: readers[0])], by: readers[0])
        let effects = try consortium.applied(
            [.closeItem(item.text)], by: Consortium.coordinator, at: 10)
        let posting = try #require(effects.first?.postings.first)
        let envelope = [UInt8](try #require(effects.first?.envelope))
        for voter in Consortium.sites {
            try consortium.applied(
                [.correction(envelope, posting, returned: 4_000_000)], by: voter)
        }
        #expect(consortium.held(ConsortiumAccount.stake(of: readers[0])) == 4_000_000)
        try consortium.applied([.expire("item/east/1")], by: readers[1], at: 20)
        #expect(consortium.held(ConsortiumAccount.appeal(of: readers[0])) == 0)
        #expect(consortium.held(ConsortiumAccount.stake(of: readers[0])) == 4_000_000)
        #expect(consortium.audit().isEmpty)
    }
}
