import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// One transaction and how it must end; the rows of a transition stand in the order of its checks,
/// and each breaks, beside its own check, as many later ones as it can.
struct TransitionRow: Sendable, CustomTestStringConvertible {
    /// Nil when the transaction must be applied.
    let rejection: Rejection?
    let name: String
    /// Prepares a founded consortium and sends the transaction as its last block.
    let attempt: @Sendable (inout Consortium) throws -> Rejection?

    init(
        _ rejection: Rejection?, _ name: String,
        _ attempt: @escaping @Sendable (inout Consortium) throws -> Rejection?
    ) {
        self.rejection = rejection
        self.name = name
        self.attempt = attempt
    }

    var testDescription: String { "\(rejection.map { "\($0)" } ?? "applied"): \(name)" }
}

struct TransitionTests {
    static let founded = Result { try Consortium() }

    /// Rejections that no history from a founding document can produce.
    static let unreachable: [Rejection: String] = [
        .answersUnderWay: "it refuses a decision of the voters, not a transaction",
        .namesNoMember: "it refuses a decision of the voters, not a transaction",
        .supplyFixed: "it refuses a decision of the voters, not a transaction",
        .labelsMoved: "it refuses a decision of the voters, not a transaction",
        .amountOverflow: "all tokens stay below 2^62, and no history has so many incomes",
    ]

    static let rows =
        membershipRows + consentRows + recordRows + annotationRows + closingRows + runRows
        + referenceRows + roundRows + settlementRows + offenceRows + panelRows + disputeRows
        + goldRows + paymentRows + claimRows + correctionRows + revenueRows

    @Test("every transition gives the first reason in check order", arguments: rows)
    func transition(row: TransitionRow) throws {
        var consortium = try Self.founded.get()
        let outcome = try row.attempt(&consortium)
        #expect(outcome == row.rejection)
        if row.rejection != nil {
            #expect(
                consortium.changes.keys.allSatisfy { [.sequences, .beacons].contains($0.table) })
        }
        #expect(consortium.audit().isEmpty)
    }

    @Test("every rejection is produced by a row, or is listed as out of reach")
    func completeness() {
        let produced = Set(Self.rows.compactMap(\.rejection))
        #expect(produced.union(Self.unreachable.keys) == Set(Rejection.allCases))
        #expect(produced.isDisjoint(with: Self.unreachable.keys))
    }

    @Test("codes and sentences belong to one rejection each; 0 means applied")
    func codes() {
        #expect(Set(Rejection.allCases.map(\.description)).count == Rejection.allCases.count)
        #expect(Rejection(rawValue: 0) == nil)
        #expect(Rejection.allCases.map(\.rawValue) == Rejection.allCases.map(\.rawValue).sorted())
    }

    @Test("an amount that would leave 64 bits is refused even on a state that nothing leads to")
    func overflow() throws {
        var consortium = try Self.founded.get()
        let reader = AccountID(.annotator, "east-9")
        var balance = WireBalanceState()
        balance.available = .max
        let stake = ConsortiumAccount.stake(of: reader)
        consortium.corrupt(.balances, Array(stake.text.utf8), balance.encoded())
        let outcome = try consortium.outcome(
            .enrol(memberDocument(reader)), by: Consortium.east)
        #expect(outcome == .amountOverflow)
        #expect(consortium.changes.keys.allSatisfy { $0.table == .sequences })
    }

    @Test("a transaction without a body is rejected, should an envelope ever hold one")
    func emptyBody() throws {
        let consortium = try Self.founded.get()
        var changes = ChangeSet(above: consortium.state)
        let id = TransactionID(envelope: .zero, index: 0)
        #expect(throws: Rejection.malformedField) {
            try Contracts.apply(
                WireTransaction(), id: id, signer: Consortium.east,
                in: consortium.context(at: 2), to: &changes)
        }
    }
}
