import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

private let (east, north, west) = (Consortium.east, Consortium.north, Consortium.west)
private let (coordinator, developer) = (Consortium.coordinator, Consortium.developer)
private let treasurer = Consortium.treasurer
private let reader = AccountID(.annotator, "east-1")
private let short = [UInt8](repeating: 1, count: 31)
private let request = named("no request")

private struct NoPosting: Error {}

/// A transfer of the developer's to west, available there, and its transaction's envelope.
private func posted(_ consortium: inout Consortium) throws -> (WirePosting, [UInt8]) {
    try funded(&consortium)
    let effects = try consortium.applied(
        [.transfer(to: west.text, 10_000)], by: developer)
    try consortium.applied([.grant(named("more"))], by: north, at: consortium.height.value + 2)
    guard let effect = effects.first, let posting = effect.postings.first else {
        throw NoPosting()
    }
    return (posting, [UInt8](effect.envelope))
}

/// A quorum but one voter have said the same; then the coordinator says so.
private func corrected(_ consortium: inout Consortium) throws -> Rejection? {
    let (posting, envelope) = try posted(&consortium)
    let word = WireTransaction.correction(envelope, posting, returned: 4_000)
    for voter in Consortium.sites.prefix(2) { try consortium.applied([word], by: voter) }
    return try consortium.outcome(word, by: coordinator)
}

/// The first word on a posting that is stated otherwise.
private func oneWord(
    _ consortium: inout Consortium, _ change: (inout WirePosting) -> Void
) throws -> Rejection? {
    var (posting, envelope) = try posted(&consortium)
    change(&posting)
    return try consortium.outcome(.correction(envelope, posting, returned: 4_000), by: east)
}

/// 4,000 of 10,000 have been taken back; three voters then say that so many more should be.
private func correctedTwice(
    _ consortium: inout Consortium, returned: UInt64, _ change: (inout WirePosting) -> Void
) throws -> Rejection? {
    var (posting, envelope) = try posted(&consortium)
    for voter in Consortium.sites {
        try consortium.applied(
            [.correction(envelope, posting, returned: 4_000)], by: voter)
    }
    change(&posting)
    return try consortium.outcome(
        .correction(envelope, posting, returned: returned), by: east)
}

extension TransitionTests {
    static let correctionRows = [
        TransitionRow(.malformedField, "a correction of a transaction of 31 bytes") {
            try $0.outcome(.correction(short, WirePosting(), returned: 0), by: reader)
        },
        TransitionRow(.malformedField, "a correction with a reason of 201 bytes") {
            let (posting, envelope) = try posted(&$0)
            return try $0.outcome(
                .correction(
                    envelope, posting, returned: 0,
                    reason: String(repeating: "a", count: 201)), by: reader)
        },
        TransitionRow(.notAVoter, "a reader corrects nothing") {
            let (posting, envelope) = try posted(&$0)
            return try $0.outcome(.correction(envelope, posting, returned: 0), by: reader)
        },
        TransitionRow(.returnedOutOfRange, "a correction of nothing") {
            let (posting, envelope) = try posted(&$0)
            return try $0.outcome(.correction(envelope, posting, returned: 0), by: east)
        },
        TransitionRow(.returnedOutOfRange, "a correction of more than was posted") {
            let (posting, envelope) = try posted(&$0)
            return try $0.outcome(.correction(envelope, posting, returned: 10_001), by: east)
        },
        TransitionRow(.notCorrectable, "a correction of what a pool received") {
            try oneWord(&$0) { $0.credit = "pool/1.1" }
        },
        TransitionRow(.notCorrectable, "a correction of income that went to a member") {
            try oneWord(&$0) { $0.debit = "external/revenue" }
        },
        TransitionRow(.notCorrectable, "a correction of what came out of redemptions") {
            try oneWord(&$0) { $0.debit = "external/redemptions" }
        },
        TransitionRow(.notCorrectable, "a correction of a payout that nobody had put aside") {
            try oneWord(&$0) { $0.credit = "external/redemptions" }
        },
        TransitionRow(.notCorrectable, "a correction of a payout of no member's") {
            try oneWord(&$0) {
                $0.debit = "redemption-moon/lab"
                $0.credit = "external/redemptions"
            }
        },
        TransitionRow(.insufficientBalance, "a correction of more income than ever came") {
            var (posting, envelope) = try posted(&$0)
            posting.debit = "external/revenue"
            posting.credit = "revenue/sale-1"
            let word = WireTransaction.correction(envelope, posting, returned: 4_000)
            for voter in Consortium.sites.prefix(2) { try $0.applied([word], by: voter) }
            return try $0.outcome(word, by: west)
        },
        TransitionRow(.insufficientBalance, "a correction of more payouts than there were") {
            var (posting, envelope) = try posted(&$0)
            posting.debit = "redemption-developer/lab"
            posting.credit = "external/redemptions"
            let word = WireTransaction.correction(envelope, posting, returned: 4_000)
            for voter in Consortium.sites.prefix(2) { try $0.applied([word], by: voter) }
            return try $0.outcome(word, by: west)
        },
        TransitionRow(.notCorrectable, "a correction of what was put aside to be paid out") {
            try oneWord(&$0) { $0.credit = "redemption-developer/lab" }
        },
        TransitionRow(.correctionDiffers, "a second one that states another amount") {
            try correctedTwice(&$0, returned: 1) { $0.microtokens = 10_001 }
        },
        TransitionRow(.correctionDiffers, "a second one of more than is left") {
            try correctedTwice(&$0, returned: 6_001) { _ in }
        },
        TransitionRow(nil, "the first word for the rest") {
            try correctedTwice(&$0, returned: 6_000) { _ in }
        },
        TransitionRow(.insufficientBalance, "the receiver has spent it") {
            var (posting, envelope) = try posted(&$0)
            posting.microtokens = 900_000
            let word = WireTransaction.correction(envelope, posting, returned: 900_000)
            for voter in Consortium.sites.prefix(2) { try $0.applied([word], by: voter) }
            return try $0.outcome(word, by: west)
        },
        TransitionRow(nil, "the last word that is needed") { try corrected(&$0) },
    ]

    static let revenueRows = [
        TransitionRow(.malformedField, "income for a model of 31 bytes") {
            try $0.outcome(.revenue(of: short, 0, reference: ""), by: east)
        },
        TransitionRow(.notTreasurer, "a site posts income") {
            try $0.outcome(.revenue(of: request, 0, reference: ""), by: east)
        },
        TransitionRow(.amountMalformed, "income of nothing") {
            try funded(&$0)
            return try $0.outcome(.revenue(of: request, 0, reference: ""), by: treasurer)
        },
        TransitionRow(.referenceMalformed, "income without a reference") {
            try funded(&$0)
            return try $0.outcome(.revenue(of: request, 1, reference: ""), by: treasurer)
        },
        TransitionRow(.unknownModel, "income for no model under a used reference") {
            try funded(&$0)
            try $0.applied(
                [.revenue(of: named("model 1.1"), 1, reference: "sale-1")], by: treasurer)
            return try $0.outcome(.revenue(of: request, 1, reference: "sale-1"), by: treasurer)
        },
        TransitionRow(.noContributions, "income for the initial model under a used reference") {
            try funded(&$0)
            try $0.applied(
                [.revenue(of: named("model 1.1"), 1, reference: "sale-1")], by: treasurer)
            return try $0.outcome(
                .revenue(of: named("model 1.0"), 1, reference: "sale-1"), by: treasurer)
        },
        TransitionRow(.referenceUsed, "too much income, twice") {
            try funded(&$0)
            try $0.applied(
                [.revenue(of: named("model 1.1"), 1, reference: "sale-1")], by: treasurer)
            return try $0.outcome(
                .revenue(of: named("model 1.1"), .max, reference: "sale-1"), by: treasurer)
        },
        TransitionRow(.supplyExceeded, "income beyond all tokens that there may be") {
            try funded(&$0)
            return try $0.outcome(
                .revenue(of: named("model 1.1"), 1 << 62, reference: "sale-1"), by: treasurer)
        },
        TransitionRow(.supplyExceeded, "income beyond 64 bits") {
            try funded(&$0)
            return try $0.outcome(
                .revenue(of: named("model 1.1"), .max, reference: "sale-1"), by: treasurer)
        },
        TransitionRow(nil, "income for a model") {
            try funded(&$0)
            return try $0.outcome(
                .revenue(of: named("model 1.1"), 1_000_000, reference: "sale-1"), by: treasurer)
        },
    ]
}
