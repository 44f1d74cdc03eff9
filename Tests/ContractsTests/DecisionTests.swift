import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

@Suite("What a decision of the voters can bring about")
struct DecisionTests {
    static let founded = Result { try Consortium() }
    static let office = AccountID(.treasurer, "branch")
    static let team = AccountID(.developer, "second")

    /// Whether a decision with another agreement could be carried out; nil when it could.
    private func outcome(
        _ consortium: Consortium, bringing members: [AccountID] = [], leaving: [AccountID] = [],
        _ change: (inout WireAgreement) -> Void
    ) throws -> Rejection? {
        var wire = WireDecision()
        wire.term = 2
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
        wire.voters = consortium.genesis.voters.wire
        wire.members = try members.sorted().map { data(try memberDocument($0)) }
        wire.leaving = leaving.sorted().map(\.text)
        wire.agreement = consortium.agreement
        change(&wire.agreement)
        wire.reason = "another treasurer"
        let decision = try Decision(strictly: wire.encoded(), network: consortium.network)
        do throws(Rejection) {
            try Contracts.check(
                decision, on: consortium.state, at: consortium.height.next,
                inForce: consortium.agreement)
            return nil
        } catch { return error }
    }

    private func name(_ agreement: inout WireAgreement) {
        agreement.rewards.treasurer = Self.office.text
        var share = WireDeveloperShare()
        share.account = Self.team.text
        share.weight = 1
        agreement.rewards.developers.append(share)
    }

    @Test("whom a new agreement names is a member in force, or enters by the same decision")
    func named() throws {
        let consortium = try Self.founded.get()
        #expect(try outcome(consortium) { _ in } == nil)
        #expect(try outcome(consortium, name) == .namesNoMember)
        #expect(try outcome(consortium, bringing: [Self.office], name) == .namesNoMember)
        #expect(try outcome(consortium, bringing: [Self.team], name) == .namesNoMember)
        #expect(try outcome(consortium, bringing: [Self.office, Self.team], name) == nil)
        let nobody = try outcome(consortium) { $0.rewards.treasurer = "" }
        #expect(nobody == nil)
    }

    @Test("no decision changes the supply that was founded")
    func supply() throws {
        let consortium = try Self.founded.get()
        for change in [-1, 1] {
            let outcome = try outcome(consortium) {
                $0.rewards.supplyMicrotokens = UInt64(
                    Int64($0.rewards.supplyMicrotokens) + Int64(change))
            }
            #expect(outcome == .supplyFixed)
        }
    }

    @Test("a member that one site enrolled may be named, unless it has left")
    func enrolled() throws {
        var consortium = try Self.founded.get()
        try consortium.applied(
            [.enrol(memberDocument(Self.office)), .enrol(memberDocument(Self.team))],
            by: Consortium.west)
        #expect(try outcome(consortium, name) == nil)
        #expect(
            try outcome(consortium, leaving: [Self.office], name) == .namesNoMember)
        try consortium.applied([.revoke(Self.team.text)], by: Self.team)
        #expect(try outcome(consortium, name) == .namesNoMember)
    }
}
