import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

private let (east, north, west) = (Consortium.east, Consortium.north, Consortium.west)
private let developer = Consortium.developer
private let treasurer = Consortium.treasurer
private let reader = AccountID(.annotator, "east-1")
private let short = [UInt8](repeating: 1, count: 31)
private let patient = named("patient p")
private let request = named("no request")

/// Round 1 has paid the developer 150,001 and patient p 400,001, both
/// available now.
func funded(_ consortium: inout Consortium) throws {
    try consortium.applied([.grant(patient)], by: north)
    try consortium.startRun(rounds: 2)
    try consortium.openRound(1, 1)
    try consortium.closeRound(
        1, 1, roundValues([(1, 0), (1, 0), (1, 0)], patients: [patient: 1]))
    try consortium.applied([.grant(named("later"))], by: north, at: consortium.height.value + 2)
}

/// The developer has put 1,000 aside; gives the request's envelope.
private func requested(_ consortium: inout Consortium) throws -> [UInt8] {
    try funded(&consortium)
    let effects = try consortium.applied([.redeem(1_000)], by: developer)
    return effects.map { [UInt8]($0.envelope) }.first ?? []
}

private func accepted(_ consortium: inout Consortium) throws -> [UInt8] {
    let id = try requested(&consortium)
    try consortium.applied([.accept(id)], by: treasurer)
    return id
}

private func paidOut(_ consortium: inout Consortium) throws -> [UInt8] {
    let id = try accepted(&consortium)
    try consortium.applied([.payOut(id, reference: "bank-1")], by: treasurer)
    return id
}

private func keyed(_ consortium: inout Consortium) throws {
    try funded(&consortium)
    try consortium.applied([.claimKey(patient, claimKey())], by: north)
}

private func claiming(
    _ consortium: inout Consortium, to account: String = "developer/lab",
    _ microtokens: UInt64 = 0, number: UInt64 = 1, key: String = "claim"
) throws -> Rejection? {
    let claim = try claimTransaction(
        of: patient, to: account, microtokens, number: number, key: key,
        network: consortium.network)
    return try consortium.outcome(claim, by: reader)
}

extension TransitionTests {
    static let paymentRows = [
        TransitionRow(.malformedField, "a transfer of nothing to no account") {
            try $0.outcome(.transfer(to: "lab", 0, reference: "A"), by: developer)
        },
        TransitionRow(.amountMalformed, "a transfer of nothing") {
            try $0.outcome(.transfer(to: "site/moon", 0, reference: "A"), by: developer)
        },
        TransitionRow(.referenceMalformed, "a transfer under a reference in capitals") {
            try $0.outcome(.transfer(to: "site/moon", 1, reference: "A"), by: developer)
        },
        TransitionRow(.cannotReceive, "a transfer to nobody") {
            try funded(&$0)
            try $0.applied([.transfer(to: west.text, 1, reference: "a")], by: developer)
            return try $0.outcome(
                .transfer(to: "site/moon", .max, reference: "a"), by: developer)
        },
        TransitionRow(.cannotReceive, "a transfer to oneself") {
            try funded(&$0)
            return try $0.outcome(.transfer(to: developer.text, .max), by: developer)
        },
        TransitionRow(.cannotReceive, "a transfer to who has left") {
            try funded(&$0)
            try $0.applied([.revoke(reader.text)], by: east)
            return try $0.outcome(.transfer(to: reader.text, .max), by: developer)
        },
        TransitionRow(.cannotReceive, "a transfer into the reserve") {
            try funded(&$0)
            return try $0.outcome(.transfer(to: "reserve/consortium", 1), by: developer)
        },
        TransitionRow(.referenceUsed, "a second transfer of one reference, of too much") {
            try funded(&$0)
            try $0.applied([.transfer(to: west.text, 1, reference: "a")], by: developer)
            return try $0.outcome(.transfer(to: west.text, .max, reference: "a"), by: developer)
        },
        TransitionRow(.insufficientBalance, "a transfer of one more than there is") {
            try funded(&$0)
            return try $0.outcome(.transfer(to: west.text, 150_002), by: developer)
        },
        TransitionRow(.insufficientBalance, "a transfer of what is not available yet") {
            try funded(&$0)
            try $0.applied([.transfer(to: west.text, 150_001)], by: developer)
            return try $0.outcome(
                .transfer(to: developer.text, 100_000 + 50_001), by: west)
        },
        TransitionRow(nil, "a transfer of all, and another signer's under the same reference") {
            try funded(&$0)
            try $0.applied([.transfer(to: west.text, 1, reference: "a")], by: east)
            return try $0.outcome(.transfer(to: west.text, 150_001, reference: "a"), by: developer)
        },
        TransitionRow(.amountMalformed, "a redemption of nothing") {
            try $0.outcome(.redeem(0), by: developer)
        },
        TransitionRow(.insufficientBalance, "a redemption of more than there is") {
            try funded(&$0)
            return try $0.outcome(.redeem(150_002), by: developer)
        },
        TransitionRow(nil, "a redemption of all") {
            try funded(&$0)
            return try $0.outcome(.redeem(150_001), by: developer)
        },
        TransitionRow(.malformedField, "a payout for a request of 31 bytes, by a site") {
            try $0.outcome(.payOut(short, reference: "A"), by: east)
        },
        TransitionRow(.notTreasurer, "a payout by a site") {
            try $0.outcome(.payOut(request, reference: "A"), by: east)
        },
        TransitionRow(.notTreasurer, "a payout by a treasurer whom the agreement does not name") {
            let other = AccountID(.treasurer, "other")
            try $0.applied([.enrol(memberDocument(other))], by: east)
            return try $0.outcome(.payOut(request, reference: "A"), by: other)
        },
        TransitionRow(.referenceMalformed, "a payout without a reference, for no request") {
            try funded(&$0)
            return try $0.outcome(.payOut(request, reference: ""), by: treasurer)
        },
        TransitionRow(.unknownRedemption, "a payout for no request under a used reference") {
            _ = try paidOut(&$0)
            return try $0.outcome(.payOut(request, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(.redemptionClosed, "a second payout, under the same reference") {
            let id = try paidOut(&$0)
            return try $0.outcome(.payOut(id, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(.redemptionClosed, "a payout of what was given up") {
            let id = try requested(&$0)
            try $0.applied([.giveUp(id)], by: developer)
            return try $0.outcome(.payOut(id, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(.referenceUsed, "a payout of another request under a used reference") {
            _ = try paidOut(&$0)
            let effects = try $0.applied([.redeem(1)], by: developer)
            let id = effects.map { [UInt8]($0.envelope) }.first ?? []
            try $0.applied([.accept(id)], by: treasurer)
            return try $0.outcome(.payOut(id, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(.redemptionNotAccepted, "a payout before it is accepted, of a used reference")
        {
            _ = try paidOut(&$0)
            let effects = try $0.applied([.redeem(1)], by: developer)
            let id = effects.map { [UInt8]($0.envelope) }.first ?? []
            return try $0.outcome(.payOut(id, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(nil, "a payout") {
            let id = try accepted(&$0)
            return try $0.outcome(.payOut(id, reference: "bank-1"), by: treasurer)
        },
        TransitionRow(.malformedField, "a site accepts a request of 31 bytes") {
            try $0.outcome(.accept(short), by: east)
        },
        TransitionRow(.notTreasurer, "a site accepts no request") {
            try $0.outcome(.accept(request), by: east)
        },
        TransitionRow(.notTreasurer, "the owner accepts its own request") {
            let id = try requested(&$0)
            return try $0.outcome(.accept(id), by: developer)
        },
        TransitionRow(.unknownRedemption, "accepting no request") {
            try $0.outcome(.accept(request), by: treasurer)
        },
        TransitionRow(.redemptionClosed, "accepting a paid request") {
            let id = try paidOut(&$0)
            return try $0.outcome(.accept(id), by: treasurer)
        },
        TransitionRow(.redemptionAccepted, "accepting a request twice") {
            let id = try accepted(&$0)
            return try $0.outcome(.accept(id), by: treasurer)
        },
        TransitionRow(nil, "the treasurer accepts a request") {
            let id = try requested(&$0)
            return try $0.outcome(.accept(id), by: treasurer)
        },
        TransitionRow(.redemptionAccepted, "its owner gives up what the treasurer has accepted") {
            let id = try accepted(&$0)
            return try $0.outcome(.giveUp(id), by: developer)
        },
        TransitionRow(nil, "the treasurer gives up what it has accepted") {
            let id = try accepted(&$0)
            return try $0.outcome(.giveUp(id), by: treasurer)
        },
        TransitionRow(nil, "its owner gives up what nobody has accepted") {
            let id = try requested(&$0)
            return try $0.outcome(.giveUp(id), by: developer)
        },
        TransitionRow(.malformedField, "giving up a request of 31 bytes") {
            try $0.outcome(.giveUp(short), by: east)
        },
        TransitionRow(.unknownRedemption, "giving up no request") {
            try $0.outcome(.giveUp(request), by: east)
        },
        TransitionRow(.foreignRedemption, "giving up another's paid request") {
            let id = try paidOut(&$0)
            return try $0.outcome(.giveUp(id), by: east)
        },
        TransitionRow(.redemptionClosed, "giving up a paid request") {
            let id = try paidOut(&$0)
            return try $0.outcome(.giveUp(id), by: developer)
        },
        TransitionRow(nil, "the treasurer gives a request back") {
            let id = try requested(&$0)
            return try $0.outcome(.giveUp(id), by: treasurer)
        },
    ]

    static let claimRows = [
        TransitionRow(.notPermitted, "a reader sets a claim key") {
            try $0.outcome(.claimKey(short, short), by: reader)
        },
        TransitionRow(.malformedField, "a pseudonym of 31 bytes") {
            try $0.outcome(.claimKey(short, claimKey()), by: north)
        },
        TransitionRow(.malformedField, "a key of 31 bytes") {
            try $0.outcome(.claimKey(patient, short), by: north)
        },
        TransitionRow(.unknownPatient, "a key for nobody") {
            try $0.outcome(.claimKey(patient, claimKey()), by: north)
        },
        TransitionRow(.notCustodian, "another site sets a second key") {
            try keyed(&$0)
            return try $0.outcome(.claimKey(patient, claimKey("mine")), by: east)
        },
        TransitionRow(.patientKeySet, "the custodian sets a second key") {
            try keyed(&$0)
            return try $0.outcome(.claimKey(patient, claimKey("mine")), by: north)
        },
        TransitionRow(.patientKeySet, "a key for a patient who is a member") {
            try funded(&$0)
            try $0.applied([.enrol(memberDocument(patientAccount(patient)))], by: north)
            return try $0.outcome(.claimKey(patient, claimKey()), by: north)
        },
        TransitionRow(.wrongPatientKey, "the custodian enrols a keyed patient with its own key") {
            try keyed(&$0)
            return try $0.outcome(
                .enrol(memberDocument(patientAccount(patient))), by: north)
        },
        TransitionRow(nil, "a claim key") {
            try keyed(&$0); return nil
        },
        TransitionRow(.malformedField, "a claim that is no statement") {
            var transaction = WireTransaction()
            transaction.claim.statement = data([1])
            return try $0.outcome(transaction, by: reader)
        },
        TransitionRow(.malformedField, "a claim without a signature") {
            var claim = try claimTransaction(
                of: patient, to: "developer/lab", network: $0.network)
            claim.claim.signature = data(short)
            return try $0.outcome(claim, by: reader)
        },
        TransitionRow(.noPatientKey, "a claim of a patient without a key") {
            try funded(&$0)
            return try claiming(&$0, to: "site/moon", .max, number: 9)
        },
        TransitionRow(.wrongPatientKey, "a claim under another key") {
            try keyed(&$0)
            return try claiming(&$0, to: "site/moon", .max, number: 9, key: "mine")
        },
        TransitionRow(.wrongPatientKey, "a claim for another network") {
            try keyed(&$0)
            let claim = try claimTransaction(of: patient, to: "developer/lab", network: .none)
            return try $0.outcome(claim, by: reader)
        },
        TransitionRow(.claimOutOfOrder, "the second claim first") {
            try keyed(&$0)
            return try claiming(&$0, to: "site/moon", .max, number: 2)
        },
        TransitionRow(.claimOutOfOrder, "a claim once more") {
            try keyed(&$0)
            _ = try claiming(&$0, 1)
            return try claiming(&$0, 1)
        },
        TransitionRow(.cannotReceive, "a claim to nobody") {
            try keyed(&$0)
            return try claiming(&$0, to: "site/moon", .max)
        },
        TransitionRow(.insufficientBalance, "a claim of one more than there is") {
            try keyed(&$0)
            return try claiming(&$0, 400_002)
        },
        TransitionRow(.insufficientBalance, "a claim of all when all is gone") {
            try keyed(&$0)
            _ = try claiming(&$0)
            return try claiming(&$0, number: 2)
        },
        TransitionRow(nil, "a claim of all, brought by a reader") {
            try keyed(&$0)
            return try claiming(&$0)
        },
    ]
}
