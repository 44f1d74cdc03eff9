import Cryptography
package import Ledger
package import Wire

extension ChangeSet {
    package mutating func member(_ account: AccountID) -> WireMemberState? {
        value(WireMemberState.self, .members, Array(account.text.utf8))
    }

    /// A member whose keys are in force.
    package mutating func activeMember(_ account: AccountID) -> WireMemberState? {
        member(account).flatMap { $0.endedHeight == 0 ? $0 : nil }
    }

    /// Registers a member and its keys, each key for one member only.
    mutating func register(
        _ member: Member, organisation: AccountID, credentials: [String] = [], height: Height
    ) throws(Rejection) {
        let key = Array(member.account.text.utf8)
        guard bytes(.members, key) == nil else { throw .memberExists }
        try claimKeys(of: member)
        var state = WireMemberState()
        state.document = member.document
        state.organisation = organisation.text
        state.enrolledHeight = height.value
        state.credentials = credentials
        set(.members, key, to: state)
    }

    /// Gives a registered member new keys; a member that had left is back.
    mutating func rekey(_ member: Member) throws(Rejection) {
        guard var state = self.member(member.account) else { throw .unknownAccount }
        try claimKeys(of: member)
        state.document = member.document
        state.endedHeight = 0
        set(.members, Array(member.account.text.utf8), to: state)
    }

    /// Ends a member; its account and its keys stay taken.
    mutating func end(_ account: AccountID, height: Height) throws(Rejection) {
        guard var state = activeMember(account) else { throw .unknownAccount }
        state.endedHeight = height.value
        set(.members, Array(account.text.utf8), to: state)
    }

    /// Claims keys for one member for ever; its own earlier ones may stand in the new document.
    private mutating func claimKeys(of member: Member) throws(Rejection) {
        let owner = Array(member.account.text.utf8)
        let keys = [member.signingKey.bytes, member.transportKey, member.voteKey?.bytes ?? []]
            .filter { !$0.isEmpty }
        for key in keys {
            guard bytes(.keys, key).map({ $0 == owner }) ?? true else { throw .keyInUse }
        }
        guard Set(keys).count == keys.count else { throw .keyInUse }
        for own in keys { set(.keys, own, owner) }
    }

    /// Does what a decision says of the members: who enters, who has new keys, who leaves.
    ///
    /// The opening is the cause, signed by a quorum; no money moves by it. Who has left already
    /// stays so: the block that the term is opened on may be one that people did not know of.
    ///
    /// - Throws: what makes the decision impossible in this state; its block is then invalid.
    package mutating func open(
        _ decision: Decision, height: Height, inForce: WireAgreement
    ) throws(Rejection) {
        if let next = decision.agreement?.annotation {
            let period = openPeriod()
            let (was, answer) = (inForce.annotation, (next.answer, next.classes))
            guard period.decided >= period.items || answer == (was.answer, was.classes) else {
                throw .answersUnderWay
            }
            guard next.keepsLabels(of: was) else { throw .labelsMoved }
            if answer != (was.answer, was.classes) { endOverdue(of: nil, height: height) }
        }
        for member in decision.members {
            if self.member(member.account) == nil {
                try register(member, organisation: member.account, height: height)
            } else {
                try rekey(member)
                endOverdue(of: member.account, height: height)
            }
        }
        for account in decision.leaving where activeMember(account) != nil {
            try end(account, height: height)
            endOverdue(of: account, height: height)
        }
        if let next = decision.agreement {
            let supply = inForce.rewards.supplyMicrotokens
            guard next.rewards.supplyMicrotokens == supply else { throw .supplyFixed }
            let named = next.namedAccounts
            let before = Set(inForce.namedAccounts)
            for account in named where !before.contains(account) {
                guard activeMember(account) != nil else { throw .namesNoMember }
            }
        }
        let coordinator = activeMember(decision.coordinator)?.document
        guard let coordinator, [UInt8](coordinator.signingKey) == decision.coordinatorKey.bytes
        else { throw .unknownAccount }
        for voter in decision.voters.accounts {
            guard let document = activeMember(voter)?.document,
                [UInt8](document.voteKey) == decision.voters.keys[voter]?.bytes
            else { throw .notAVoter }
        }
    }
}

extension WireAnnotationRule {
    /// Whether a class that had a name has it still, and its number with it.
    ///
    /// Answers are numbers on the chain: another order would give those of the past another meaning.
    fileprivate func keepsLabels(of earlier: Self) -> Bool {
        let isSameSubject = kind == earlier.kind || (kind.isGrade && earlier.kind.isGrade)
        return !isSameSubject || labels.starts(with: earlier.labels)
    }
}

/// Checks that a decision could be carried out in a state.
///
/// - Parameters:
///   - decision: what people want.
///   - state: of the block that the term would be opened on.
///   - height: of the term's first block.
///   - agreement: in force below it.
/// - Throws: what makes it impossible.
package func check(
    _ decision: Decision, on state: any StateView, at height: Height,
    inForce agreement: WireAgreement
) throws(Rejection) {
    var changes = ChangeSet(above: state)
    try changes.open(decision, height: height, inForce: agreement)
}

/// The readers that one organisation may enrol in all, those who left included.
///
/// Each gets a stake from the reserve, so that without a limit any one site could empty it.
package let readersPerOrganisation: UInt64 = 1_000

/// Under it the readers that an organisation has enrolled are counted, as a sequence.
private func readerCountKey(_ organisation: AccountID) -> [UInt8] {
    Array("readers of \(organisation)".utf8)
}

/// Whether texts are credentials: at most 16 names, ascending, each once.
private func areCredentials(_ texts: [String]) -> Bool {
    texts.count <= 16 && texts.allSatisfy { isIdentifier($0.utf8) }
        && zip(texts, texts.dropFirst()).allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

/// `member.enrol`: a site or the coordinator enrols a reader, developer, patient or treasurer.
///
/// A new reader's stake is advanced by the reserve. Whom the agreement names, it trusts with money:
/// such an account enters by the word of a quorum, never by that of whoever sends it first.
func enrol(
    _ body: WireMemberEnrol, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(call.signer.role?.votes == true, else: .notPermitted)
    let member: Member
    do {
        member = try Member(strictly: [UInt8](body.member))
    } catch { throw .memberMalformed }
    try call.require(member.account.role?.votes == false, else: .notAFoundingRole)
    try call.require(
        !call.context.agreement.namedAccounts.contains(member.account), else: .namedByAgreement)
    let isReader = member.account.role == .annotator
    try call.require(
        areCredentials(body.credentials) && (isReader || body.credentials.isEmpty),
        else: .credentialsMalformed)
    let key = readerCountKey(call.signer)
    var readers = changes.value(WireSequenceState.self, .sequences, key) ?? WireSequenceState()
    try call.require(
        !isReader || readers.last < readersPerOrganisation, else: .tooManyReaders)
    if member.account.role == .patient, let pseudonym = Digest(hex: member.account.name),
        let consent = changes.consent(of: pseudonym.bytes)
    {
        try call.require(consent.custodian == call.signer.text, else: .notCustodian)
        let key = changes.claims(of: pseudonym.bytes)?.key
        try call.require(
            key.map { [UInt8]($0) == member.signingKey.bytes } ?? true, else: .wrongPatientKey)
    }
    try changes.register(
        member, organisation: call.signer, credentials: body.credentials,
        height: call.context.height)
    guard isReader else { return }
    readers.last += 1
    changes.set(.sequences, key, to: readers)
    let stake = TokenAmount(microtokens: call.context.agreement.rewards.stakeMicrotokens)
    try changes.post(
        from: ConsortiumAccount.reserve, to: ConsortiumAccount.stake(of: member.account), stake,
        rule: MoneyRule.stake, call)
}

/// `member.rekey`: new keys of a member that does not vote, signed with its old one.
///
/// Its organisation may not send it: whoever holds the keys holds the money. Who lost a key gets a
/// new one by a decision of the voters.
func rekey(
    _ body: WireMemberRekey, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let member: Member
    do {
        member = try Member(strictly: [UInt8](body.member))
    } catch { throw .memberMalformed }
    try call.require(member.account.role?.votes == false, else: .notAFoundingRole)
    try call.require(call.signer == member.account, else: .notPermitted)
    try changes.rekey(member)
}

/// `member.revoke`: ends the keys of a member that does not vote; from itself or its organisation.
///
/// Whom the agreement names, no organisation can end alone. A reader's stake returns to the
/// reserve that advanced it. What an appeal brings back to it later, or what stayed because a
/// decision ended the reader, the organisation or the coordinator sends after it.
func revoke(
    _ body: WireMemberRevoke, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard let account = AccountID(body.account) else { throw .malformedField }
    try call.require(account.role?.votes == false, else: .notAFoundingRole)
    guard let state = changes.member(account) else { throw .unknownAccount }
    let stake = ConsortiumAccount.stake(of: account)
    let left =
        account.role == .annotator ? changes.balance(of: stake, at: call.height) : .zero
    let hasLeft = state.endedHeight > 0
    try call.require(!hasLeft || left > .zero, else: .unknownAccount)
    let isNamed = call.context.agreement.namedAccounts.contains(account)
    try call.require(
        call.signer == account || (call.signer.text == state.organisation && !isNamed)
            || (call.signer == call.context.coordinator && hasLeft),
        else: .notPermitted)
    if !hasLeft { try changes.end(account, height: call.context.height) }
    try changes.post(
        from: stake, to: ConsortiumAccount.reserve, left, rule: MoneyRule.stake, call)
}
