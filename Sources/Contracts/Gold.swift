package import Cryptography
package import Ledger
package import Wire

/// How many commitments to gold a period may have: each is looked at when it closes.
let goldPerPeriod = 64

/// What a commitment to gold hides: SHA-256 over tag, network, organisation, then item and answer
/// of each, and a salt of 32 bytes, each framed by its length.
package func goldCommitment(
    network: NetworkID, organisation: AccountID, answers: [WireGoldAnswer], salt: [UInt8]
) -> Digest {
    let fields: [[UInt8]] =
        [
            Array("tally/gold/v1".utf8), network.digest.bytes, Array(organisation.text.utf8),
        ] + answers.flatMap { [Array($0.item.utf8), [UInt8]($0.answer)] } + [salt]
    return Digest.sha256(fields.flatMap { bigEndian(UInt64($0.count)) + $0 })
}

/// `gold.commit`: the organisation that the agreement names binds true answers, before the items
/// are opened and without saying which.
func commit(
    _ body: WireGoldCommit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(
        call.signer.text == call.context.agreement.annotation.goldOrganisation,
        else: .notPermitted)
    let key = [UInt8](body.commitment)
    try call.require(key.count == 32, else: .malformedField)
    try call.require(changes.bytes(.gold, key) == nil, else: .goldKnown)
    try call.require(
        changes.entries(in: .gold, limit: goldPerPeriod).count < goldPerPeriod,
        else: .goldExhausted)
    var state = WireGoldState()
    state.organisation = call.signer.text
    state.height = call.height
    changes.set(.gold, key, to: state)
}

/// `gold.reveal`: shows what a commitment hides, once the period can close.
///
/// All of it or nothing: an organisation that could pick would spare its friends. Therefore an item
/// gets one truth in its life, and what contradicts it can never be shown. Nothing is shown while an
/// item that it names is still read. An item counts when it was opened after the commitment, has its
/// outcome in this period, and none of its readers belongs to the organisation; others are passed
/// over.
func reveal(
    _ body: WireGoldReveal, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let rule = call.context.agreement.annotation
    try call.require(call.signer.text == rule.goldOrganisation, else: .notPermitted)
    let key = [UInt8](body.commitment)
    try call.require(key.count == 32 && body.salt.count == 32, else: .malformedField)
    guard let gold = changes.value(WireGoldState.self, .gold, key),
        gold.organisation == call.signer.text
    else { throw .unknownGold }
    var period = changes.openPeriod()
    try call.require(period.isReady(rule), else: .goldNotOpen)
    let opened = goldCommitment(
        network: call.context.network, organisation: call.signer, answers: body.answers,
        salt: [UInt8](body.salt))
    try call.require(opened.bytes == key, else: .goldDoesNotOpen)
    var last: ItemID?
    for entry in body.answers {
        guard let item = ItemID(entry.item), last.map({ $0 < item }) ?? true else {
            throw .goldMalformed
        }
        last = item
        guard var state = changes.item(item) else { continue }
        guard rule.answer(entry.answer, size: state.size) != nil, state.gold.isEmpty else {
            throw .goldMalformed
        }
        try call.require(state.outcome != .open, else: .goldNotOpen)
        let isLate = changes.registeredHeight(of: item).map { $0 < gold.height } ?? true
        guard !isLate, state.period == period.number, !changes.hasReader(of: call.signer, state)
        else { continue }
        state.gold = entry.answer
        changes.set(.items, Array(item.text.utf8), to: state)
        period.gold += 1
    }
    changes.set(.gold, key, nil)
    changes.setOpenPeriod(period)
}

extension WireAnnotationRule {
    /// A true answer that the agreement asks for.
    ///
    /// - Returns: nil for bytes of another kind, or out of range.
    func answer(_ bytes: some Collection<UInt8>, size: ImageSize?) -> Answer? {
        guard let answer = Answer(bytes: bytes, kind: kind, size: size) else { return nil }
        switch answer {
        case .grade(let grade): return grade >= 1 && grade <= classes ? answer : nil
        case .boxes(let set):
            return set.boxes.allSatisfy { (1...max(1, classes)).contains($0.label) } ? answer : nil
        case .measurement, .mask: return answer
        }
    }
}

/// The height at which a period is closed without the gold that was withheld.
func goldDue(_ period: WirePeriodState) -> UInt64 {
    period.goldUntil.addingReportingOverflow(1).partialValue
}

extension ChangeSet {
    /// Whether a reader of an item belongs to an organisation.
    fileprivate mutating func hasReader(
        of organisation: AccountID, _ state: WireItemState
    ) -> Bool {
        for text in state.everyReader {
            if AccountID(text).flatMap({ member($0) })?.organisation == organisation.text {
                return true
            }
        }
        return false
    }

    /// Waits for gold from now on, when the period can close.
    mutating func openGoldWindow(of period: inout WirePeriodState, _ call: Call) {
        let rule = call.context.agreement.annotation
        guard !rule.goldOrganisation.isEmpty, period.goldUntil == 0, period.isReady(rule) else {
            return
        }
        period.goldUntil = call.context.height.advanced(by: UInt64(rule.goldWindow)).value
        setDue(goldDue(period), .period, "\(period.number)")
    }

    /// Takes back that the open period could close: an item was opened.
    mutating func endGoldWindow(of period: inout WirePeriodState) {
        clearDue(goldDue(period), .period, "\(period.number)")
        period.goldUntil = 0
    }

    /// Commitments to gold that nobody has opened, once the period waits for them no more.
    ///
    /// - Throws: ``Rejection/goldAwaited`` while their window is open.
    mutating func withheldGold(
        of period: WirePeriodState, _ call: Call
    ) throws(Rejection) -> [[UInt8]] {
        let unseen = entries(in: .gold, limit: goldPerPeriod).map(\.key.key)
        try call.require(
            unseen.isEmpty || call.height > period.goldUntil, else: .goldAwaited)
        return unseen
    }

    /// Forgets commitments that a period's close finds unshown.
    ///
    /// What they name may be among the items that go on in the next period; then they stay for
    /// that one, and no longer.
    mutating func forgetGold(
        _ withheld: [[UInt8]], of period: WirePeriodState, carryingOver isCarryingOver: Bool
    ) {
        let before =
            value(
                WirePeriodState.self, .periods, bigEndian(period.number &- 1))?.closedHeight ?? 0
        for key in withheld {
            let height = value(WireGoldState.self, .gold, key)?.height ?? 0
            if !isCarryingOver || height < before { set(.gold, key, nil) }
        }
    }
}

/// What is known of items beside their readers' answers.
package struct PayKnowledge<Value> {
    /// True answers, shown at the period's close.
    package var gold: [ItemID: Value] = [:]
    /// Labels by which seniors reversed an outcome.
    package var rulings: [ItemID: Value] = [:]
}

/// Gold and rulings of items whose answers are measurements, boxes or masks.
package func knowledge<Value>(
    of items: [ItemID: WireItemState], _ rule: WireAnnotationRule
) -> PayKnowledge<Value> {
    var known = PayKnowledge<Value>()
    for (item, state) in items {
        let gold = Answer(bytes: state.gold, kind: rule.kind, size: state.size)
        known.gold[item] = gold.flatMap { $0.value() }
        if state.hasReversal {
            known.rulings[item] = state.label(kind: rule.kind).flatMap { $0.value() }
        }
    }
    return known
}

extension Answer {
    /// What the answer holds, when it is of the type asked for.
    fileprivate func value<Value>() -> Value? {
        switch self {
        case .grade(let grade): grade as? Value
        case .measurement(let value): value as? Value
        case .boxes(let set): set as? Value
        case .mask(let mask): mask as? Value
        }
    }
}
