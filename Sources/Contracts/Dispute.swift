import Cryptography
import Ledger
import Wire

/// `item.dispute`: one of the item's readers, or its site, asks two seniors about its outcome.
///
/// Once an item, inside its appeal window; where seniors decided already there is nobody above.
/// Seniors are paid whatever they say, so an account may occupy few of them at a time.
func dispute(
    _ body: WireItemDispute, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard let item = ItemID(body.item), body.reason.utf8.count <= 1_000 else {
        throw .malformedField
    }
    guard var state = changes.item(item) else { throw .unknownItem }
    try call.require(
        state.everyReader.contains(call.signer.text)
            || call.signer == AccountID(.site, item.site), else: .notAssigned)
    try call.require(state.outcome != .open, else: .itemNotReady)
    try call.require(
        !state.hasDispute && state.later.last?.seniors != true, else: .alreadyAdjudicated)
    let (until, overflow) = state.closedHeight.addingReportingOverflow(
        UInt64(call.context.agreement.rewards.appealWindow))
    try call.require(overflow || call.height <= until, else: .disputeWindowOver)
    let (underWay, key) = (changes.disputesUnderWay(of: call.signer), disputesKey(call.signer.text))
    try call.require(underWay < disputesPerAccount, else: .tooManyDisputes)
    try call.require(changes.askSeniors(item, &state, call), else: .noSeniors)
    changes.set(.sequences, key, to: sequence(underWay + 1))
    state.dispute.by = call.signer.text
    state.dispute.reason = body.reason
    state.dispute.height = call.height
    changes.setItem(item, to: state, was: nil)
}

/// How many disputes of one account may be under way at a time.
package let disputesPerAccount: UInt64 = 4

/// Under it the disputes that an account has under way are counted, as a sequence.
private func disputesKey(_ account: String) -> [UInt8] { Array("disputes of \(account)".utf8) }

private func sequence(_ last: UInt64) -> WireSequenceState {
    var state = WireSequenceState()
    state.last = last
    return state
}

extension ChangeSet {
    fileprivate mutating func disputesUnderWay(of account: AccountID) -> UInt64 {
        value(WireSequenceState.self, .sequences, disputesKey(account.text))?.last ?? 0
    }

    /// Ends a dispute: two seniors who agree on another label reverse the outcome.
    ///
    /// The earlier outcome stays recorded; what was paid by it is corrected by postings.
    mutating func endDispute(
        _ state: inout WireItemState, of item: ItemID, _ rule: WireAnnotationRule, _ call: Call
    ) throws(Rejection) {
        state.dispute.decidedHeight = call.height
        if let account = AccountID(state.dispute.by) {
            let underWay = disputesUnderWay(of: account)
            set(
                .sequences, disputesKey(account.text), to: sequence(underWay - min(1, underWay)))
        }
        guard let label = rule.ruling(state), state.label(kind: rule.kind) != label else { return }
        let before = state
        state.reversal.grade = rule.grade(of: label)
        if !rule.kind.isGrade { state.reversal.consensus = data(label.bytes) }
        state.reversal.height = call.height
        state.reversal.closeEnvelope = data(call.id.envelope.bytes)
        state.reversal.closeIndex = call.id.index
        var period = openPeriod()
        state.reversal.afterClose = state.period != period.number
        guard !state.reversal.afterClose else {
            return try correctPay(of: item, from: before, to: state, call)
        }
        switch before.outcome {
        case .disputed: period.disputed -= min(1, period.disputed)
        case .tooFew: period.tooFew -= min(1, period.tooFew)
        case .open, .approved, .UNRECOGNIZED: return
        }
        period.approved += 1
        openGoldWindow(of: &period, call)
        setOpenPeriod(period)
    }
}
