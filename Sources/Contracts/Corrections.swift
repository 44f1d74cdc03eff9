import Cryptography
package import Ledger
import Wire

/// What is in the midst of being divided or put aside, or is outside the books; a correction there
/// would break what the transaction that uses it counts on.
private func isPassedThrough(_ account: AccountID) -> Bool {
    ["pool", "revenue", ConsortiumAccount.outside].contains(account.kind)
        || account.kind.hasPrefix("redemption-")
}

/// Where what is taken back goes: to who paid it, and to the reserve when a pool did.
package func correctionReceiver(debit: AccountID) -> AccountID {
    isPassedThrough(debit) ? ConsortiumAccount.reserve : debit
}

/// `correction`: a voter's word that a posting is wrong; a quorum of equal ones takes it back.
///
/// The contracts remember balances, not postings: that the posting stands on the chain as stated,
/// each voter checks in its own copy before it gives its word, as with a round's values.
func correct(_ body: WireCorrection, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let envelope = Digest(body.envelope), let debit = AccountID(body.debit),
        let credit = AccountID(body.credit), body.reason.utf8.count <= 200
    else { throw .malformedField }
    try call.require(call.context.voters.keys[call.signer] != nil, else: .notAVoter)
    try call.require(
        body.returned > 0 && body.returned <= body.microtokens, else: .amountMalformed)
    try call.require(
        !isPassedThrough(credit) && debit.kind != ConsortiumAccount.outside && debit != credit,
        else: .notCorrectable)
    let key = paymentKey(envelope.bytes, body.index) + bigEndian(body.posting)
    var state =
        changes.value(WireCorrectionState.self, .corrections, key) ?? WireCorrectionState()
    if state.returned > 0 {
        try call.require(
            state.debit == body.debit && state.credit == body.credit
                && state.microtokens == body.microtokens
                && body.returned <= state.microtokens - state.returned, else: .correctionDiffers)
    }
    let hash = Digest.sha256(body.encoded())
    word(of: call.signer, hash, in: &state.words)
    if isQuorum(for: hash, in: state.words, call.context) {
        let id = TransactionID(envelope: envelope, index: body.index)
        let receiver = correctionReceiver(debit: debit)
        try changes.post(
            from: credit, to: receiver, TokenAmount(microtokens: body.returned),
            rule: MoneyRule.correction, delay: receiver.role == nil ? 0 : settlementDelay,
            corrects: "\(id)/\(body.posting)", call)
        state.debit = body.debit
        state.credit = body.credit
        state.microtokens = body.microtokens
        state.returned += body.returned
        state.words = []
    }
    changes.set(.corrections, key, to: state)
}
