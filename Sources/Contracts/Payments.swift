import Cryptography
import Ledger
package import Wire

/// What a payment's reference must be unique among.
enum ReferenceKind: String {
    /// The transfers of one signer.
    case transfer
    /// All redemptions that were paid.
    case redemption
    /// All income that was posted.
    case revenue
}

/// A transaction's id as a state key: the envelope's hash, then the index.
package func paymentKey(_ envelope: [UInt8], _ index: UInt32) -> [UInt8] {
    envelope + bigEndian(index)
}

extension ChangeSet {
    /// Uses a reference up; the same one a second time is the same payment again.
    mutating func use(
        _ reference: String, _ kind: ReferenceKind, of owner: String = "", _ call: Call
    ) throws(Rejection) {
        let key = Array(kind.rawValue.utf8) + [0] + Array(owner.utf8) + [0] + Array(reference.utf8)
        try call.require(bytes(.references, key) == nil, else: .referenceUsed)
        var state = WireReferenceState()
        state.envelope = data(call.id.envelope.bytes)
        state.index = call.id.index
        set(.references, key, to: state)
    }

    package mutating func redemption(_ key: [UInt8]) -> WireRedemptionState? {
        value(WireRedemptionState.self, .redemptions, key)
    }

    /// Whether an account belongs to a member whose keys are in force.
    fileprivate mutating func canReceive(_ account: AccountID, from payer: AccountID) -> Bool {
        account != payer && activeMember(account) != nil
    }
}

/// `transfer`: the signer's own money goes to another member.
///
/// A reference makes it safe to send again: the second transfer of a signer under it is refused.
func transfer(_ body: WireTransfer, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let receiver = AccountID(body.to) else { throw .malformedField }
    try call.require(body.microtokens > 0, else: .amountMalformed)
    try call.require(
        body.reference.isEmpty || isIdentifier(body.reference.utf8), else: .referenceMalformed)
    try call.require(changes.canReceive(receiver, from: call.signer), else: .cannotReceive)
    if !body.reference.isEmpty {
        try changes.use(body.reference, .transfer, of: call.signer.text, call)
    }
    try changes.post(
        from: call.signer, to: receiver, TokenAmount(microtokens: body.microtokens),
        rule: MoneyRule.transfer, delay: settlementDelay, call)
}

/// `redemption.request`: the signer puts money aside that the treasurer is to pay out.
func requestRedemption(
    _ body: WireRedemptionRequest, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(body.microtokens > 0, else: .amountMalformed)
    try changes.post(
        from: call.signer, to: ConsortiumAccount.redemption(of: call.signer),
        TokenAmount(microtokens: body.microtokens), rule: MoneyRule.redemption, call)
    var state = WireRedemptionState()
    state.account = call.signer.text
    state.microtokens = body.microtokens
    changes.set(.redemptions, paymentKey(call.id.envelope.bytes, call.id.index), to: state)
}

/// `redemption.accept`: the treasurer takes a request on, before it pays outside.
///
/// From then on the owner cannot give it up: it would keep the tokens and have the money as well.
func acceptRedemption(
    _ body: WireRedemptionAccept, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(body.envelope.count == 32, else: .malformedField)
    try call.require(isTreasurer(call), else: .notTreasurer)
    let key = paymentKey([UInt8](body.envelope), body.index)
    guard var state = changes.redemption(key) else { throw .unknownRedemption }
    try call.require(state.closedHeight == 0, else: .redemptionClosed)
    try call.require(state.acceptedHeight == 0, else: .redemptionAccepted)
    state.acceptedHeight = call.height
    changes.set(.redemptions, key, to: state)
}

/// `redemption.pay`: the treasurer paid outside what it had accepted, and the tokens leave.
func payRedemption(
    _ body: WireRedemptionPay, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(body.envelope.count == 32, else: .malformedField)
    try call.require(isTreasurer(call), else: .notTreasurer)
    try call.require(isIdentifier(body.reference.utf8), else: .referenceMalformed)
    let key = paymentKey([UInt8](body.envelope), body.index)
    guard var state = changes.redemption(key), let account = AccountID(state.account) else {
        throw .unknownRedemption
    }
    try call.require(state.closedHeight == 0, else: .redemptionClosed)
    try call.require(state.acceptedHeight > 0, else: .redemptionNotAccepted)
    try changes.use(body.reference, .redemption, call)
    try changes.post(
        from: ConsortiumAccount.redemption(of: account), to: ConsortiumAccount.payees,
        TokenAmount(microtokens: state.microtokens), rule: MoneyRule.redemption, call)
    state.reference = body.reference
    state.closedHeight = call.height
    changes.set(.redemptions, key, to: state)
}

/// `redemption.cancel`: by who asked for it, until it is accepted, or by the treasurer; the money
/// returns.
func cancelRedemption(
    _ body: WireRedemptionCancel, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(body.envelope.count == 32, else: .malformedField)
    let key = paymentKey([UInt8](body.envelope), body.index)
    guard var state = changes.redemption(key), let account = AccountID(state.account) else {
        throw .unknownRedemption
    }
    try call.require(call.signer == account || isTreasurer(call), else: .foreignRedemption)
    try call.require(state.closedHeight == 0, else: .redemptionClosed)
    try call.require(state.acceptedHeight == 0 || isTreasurer(call), else: .redemptionAccepted)
    try changes.post(
        from: ConsortiumAccount.redemption(of: account), to: account,
        TokenAmount(microtokens: state.microtokens), rule: MoneyRule.redemption,
        delay: settlementDelay, call)
    state.cancelled = true
    state.closedHeight = call.height
    changes.set(.redemptions, key, to: state)
}

/// Whether the signer is the treasurer of the agreement in force.
func isTreasurer(_ call: Call) -> Bool {
    call.signer.role == .treasurer
        && call.signer.text == call.context.agreement.rewards.treasurer
}

extension ChangeSet {
    package mutating func claims(of patient: [UInt8]) -> WireClaimState? {
        value(WireClaimState.self, .claims, patient)
    }
}

/// `claim.key`: the custodian states once with which key a patient will claim its money.
///
/// From then on the custodian cannot take the money for itself by enrolling a key of its own.
func setClaimKey(_ body: WireClaimKey, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    let patient = [UInt8](body.patient)
    try call.require(call.signer.role == .site, else: .notPermitted)
    try call.require(
        patient.count == 32 && VerifyingKey(body.key) != nil, else: .malformedField)
    guard let consent = changes.consent(of: patient) else { throw .unknownPatient }
    try call.require(consent.custodian == call.signer.text, else: .notCustodian)
    try call.require(
        changes.claims(of: patient) == nil && changes.member(patientAccount(patient)) == nil,
        else: .patientKeySet)
    var state = WireClaimState()
    state.key = body.key
    changes.set(.claims, patient, to: state)
}

/// `claim`: a patient's money goes where its claim key says; whoever brings the statement.
func claim(_ body: WireClaim, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let statement = try? WireClaimStatement(strictly: [UInt8](body.statement)),
        let signature = Signature(body.signature), let receiver = AccountID(statement.to),
        statement.patient.count == 32
    else { throw .malformedField }
    let patient = [UInt8](statement.patient)
    guard var state = changes.claims(of: patient), let key = VerifyingKey(state.key) else {
        throw .noPatientKey
    }
    let signed = payload(.claim, network: call.context.network, [UInt8](body.statement))
    try call.require(key.verifies(signature, of: signed), else: .wrongPatientKey)
    try call.require(
        state.claims < .max && statement.number == state.claims + 1, else: .claimOutOfOrder)
    let account = patientAccount(patient)
    try call.require(changes.canReceive(receiver, from: account), else: .cannotReceive)
    let held = changes.balance(of: account, at: call.height)
    let amount =
        statement.microtokens == 0 ? held : TokenAmount(microtokens: statement.microtokens)
    try call.require(amount > .zero, else: .insufficientBalance)
    try changes.post(
        from: account, to: receiver, amount, rule: MoneyRule.claim, delay: settlementDelay, call)
    state.claims += 1
    changes.set(.claims, patient, to: state)
}
