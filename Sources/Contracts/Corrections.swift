import Cryptography
package import Ledger
import Wire

/// What is in the midst of being divided or put aside, or is outside the books; a correction there
/// would break what the transaction that uses it counts on.
private func isPassedThrough(_ account: AccountID) -> Bool {
    ["pool", "revenue", ConsortiumAccount.outside].contains(account.kind)
        || account.kind.hasPrefix("redemption-")
}

/// Between which accounts a correction moves what it takes back; nil for what is not corrected.
///
/// It goes to who paid it, and to the reserve when a pool or an income did. An income that was
/// posted wrongly leaves by the reserve, where corrections of its shares bring it first; what was
/// paid out wrongly returns to its owner. Supply, income and redemptions are lowered with it.
package func correctionAccounts(
    debit: AccountID, credit: AccountID
) -> (payer: AccountID, receiver: AccountID)? {
    if debit == ConsortiumAccount.payers, credit.kind == "revenue" {
        return (ConsortiumAccount.reserve, ConsortiumAccount.payers)
    }
    if credit == ConsortiumAccount.payees, let owner = ConsortiumAccount.owner(redemption: debit) {
        return (ConsortiumAccount.payees, owner)
    }
    guard !isPassedThrough(credit), debit.kind != ConsortiumAccount.outside, debit != credit else {
        return nil
    }
    return (credit, isPassedThrough(debit) ? ConsortiumAccount.reserve : debit)
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
        body.returned > 0 && body.returned <= body.microtokens, else: .returnedOutOfRange)
    guard let accounts = correctionAccounts(debit: debit, credit: credit) else {
        throw .notCorrectable
    }
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
        try changes.post(
            from: accounts.payer, to: accounts.receiver, TokenAmount(microtokens: body.returned),
            rule: MoneyRule.correction, delay: accounts.receiver.role == nil ? 0 : settlementDelay,
            corrects: "\(id)/\(body.posting)", call)
        state.debit = body.debit
        state.credit = body.credit
        state.microtokens = body.microtokens
        state.returned += body.returned
        state.words = []
    }
    changes.set(.corrections, key, to: state)
}
