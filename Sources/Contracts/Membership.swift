import Cryptography
package import Ledger
package import Wire

extension ChangeSet {
    package mutating func member(_ account: AccountID) -> WireMemberState? {
        value(WireMemberState.self, .members, Array(account.text.utf8))
    }

    /// Registers a member and its keys, each key for one member only.
    mutating func register(
        _ member: Member, organisation: AccountID, height: Height
    ) throws(Rejection) {
        let key = Array(member.account.text.utf8)
        guard bytes(.members, key) == nil else { throw .memberExists }
        let keys = [member.signingKey.bytes, member.transportKey, member.voteKey?.bytes ?? []]
            .filter { !$0.isEmpty }
        for key in keys {
            guard bytes(.keys, key) == nil else { throw .keyInUse }
        }
        guard Set(keys).count == keys.count else { throw .keyInUse }
        var state = WireMemberState()
        state.document = member.document
        state.organisation = organisation.text
        state.enrolledHeight = height.value
        set(.members, key, to: state)
        for own in keys { set(.keys, own, key) }
    }
}

/// `member.enrol`: a site or the coordinator enrols a reader, developer, patient or treasurer.
///
/// A new reader's stake is advanced by the reserve.
func enrol(
    _ body: WireMemberEnrol, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(call.signer.role?.votes == true, else: .notPermitted)
    let member: Member
    do {
        member = try Member(strictly: [UInt8](body.member))
    } catch { throw .memberMalformed }
    try call.require(member.account.role?.votes == false, else: .notAFoundingRole)
    try changes.register(member, organisation: call.signer, height: call.context.height)
    guard member.account.role == .annotator else { return }
    let stake = TokenAmount(microtokens: call.context.agreement.rewards.stakeMicrotokens)
    try changes.post(
        from: ConsortiumAccount.reserve, to: ConsortiumAccount.stake(of: member.account), stake,
        rule: MoneyRule.stake, call)
}
