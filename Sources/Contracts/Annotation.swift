package import Cryptography
package import Ledger
package import Wire

/// What a commitment hides: SHA-256 over tag, network, item, annotator, answer and salt, each
/// framed by its length. The salt is 32 bytes that only the annotator can derive.
package func answerCommitment(
    network: NetworkID, item: ItemID, annotator: AccountID, answer: Answer, salt: [UInt8]
) -> Digest {
    let fields: [[UInt8]] = [
        Array("tally/answer/v1".utf8), network.digest.bytes, Array(item.text.utf8),
        Array(annotator.text.utf8), answer.bytes, salt,
    ]
    return Digest.sha256(fields.flatMap { bigEndian(UInt64($0.count)) + $0 })
}

/// The salt of an annotator's answer to an item.
///
/// Derived, not stored, so that neither a crash nor a new computer loses it; `secret` comes from
/// the annotator's signing key and is known to nobody else.
package func answerSalt(secret: [UInt8], network: NetworkID, item: ItemID) -> [UInt8] {
    hmacSHA256(key: secret, network.digest.bytes + Array(item.text.utf8)).bytes
}

/// What waits for a height; the table `due` orders it by height, kind and id.
package enum DueKind: UInt8, Sendable {
    case item = 1
    case window = 2
    case offers = 3
    case round = 4
    case period = 5
}

package func dueKey(_ height: UInt64, _ kind: DueKind, _ id: String) -> [UInt8] {
    bigEndian(height) + [kind.rawValue] + Array(id.utf8)
}

extension ChangeSet {
    mutating func setDue(_ height: UInt64, _ kind: DueKind, _ id: String) {
        set(.due, dueKey(height, kind, id), [1])
    }

    mutating func clearDue(_ height: UInt64, _ kind: DueKind, _ id: String) {
        set(.due, dueKey(height, kind, id), nil)
    }

    package mutating func item(_ item: ItemID) -> WireItemState? {
        value(WireItemState.self, .items, Array(item.text.utf8))
    }

    /// `was` is the height for which the item waited before; nil when it waited for none.
    mutating func setItem(_ item: ItemID, to state: WireItemState, was: UInt64?) {
        set(.items, Array(item.text.utf8), to: state)
        let closable = state.isUnderWay ? closableFrom(state) : nil
        guard closable != was else { return }
        if let was { clearDue(was, .item, item.text) }
        if let closable { setDue(closable, .item, item.text) }
    }

    /// Whether a reader's keys were void before it had to reveal.
    fileprivate mutating func hadLeft(_ reader: AccountID, at height: UInt64) -> Bool {
        guard let member = member(reader), member.endedHeight > 0 else { return false }
        return member.endedHeight <= height
    }

    /// Takes an item into the open period.
    mutating func join(_ item: ItemID, _ state: inout WireItemState, _ call: Call) {
        var period = openPeriod()
        period.items += 1
        if period.goldUntil > 0, !period.isReady(call.context.agreement.annotation) {
            endGoldWindow(of: &period)
        }
        setOpenPeriod(period)
        state.period = period.number
        set(.periodItems, periodItemKey(period.number, item), [1])
    }

    mutating func openItem(
        _ item: ItemID, readers: [String], size: ImageSize?, seedCommitment: [UInt8], _ call: Call
    ) {
        var state = WireItemState()
        state.width = size?.width ?? 0
        state.height = size?.height ?? 0
        join(item, &state, call)
        if call.context.agreement.annotation.isDrawn {
            awaitSeed(of: item, &state, seedCommitment, call)
        } else {
            state.readers = readers
            state.openWindows(call)
        }
        setItem(item, to: state, was: nil)
    }
}

extension WireItemState {
    /// Starts the windows of the readers asked now; without any the item can be closed at once.
    mutating func openWindows(_ call: Call) {
        let rule = call.context.agreement.annotation
        let window = presentReaders.isEmpty ? 0 : UInt64(rule.commitWindow)
        commitUntil = call.context.height.advanced(by: window).value
        revealFrom = 0
        revealUntil =
            call.context.height
            .advanced(by: window).advanced(by: UInt64(rule.revealWindow)).value
    }
}

/// The first height at which reveals are valid.
private func revealFrom(_ state: WireItemState) -> UInt64 {
    state.revealFrom != 0 ? state.revealFrom : state.commitUntil + 1
}

/// The first height at which the item can be closed, as far as is known now.
///
/// At once when all that was committed is revealed; else when the reveal window is over; without
/// the site's secret when the window for it is.
///
/// - Returns: nil once the secret is overdue: then the item waits for it, however long.
func closableFrom(_ state: WireItemState) -> UInt64? {
    guard !state.awaitsSeed else { return state.secretOverdue ? nil : state.seedUntil + 1 }
    let outstanding = state.presentAnswers.contains { $0.grade == 0 }
    return outstanding ? state.revealUntil + 1 : revealFrom(state)
}

private func answerIndex(_ state: WireItemState, of annotator: AccountID) -> Int? {
    state.answers.firstIndex { $0.annotator == annotator.text }
}

/// `answer.commit`: a listed reader binds an answer without showing it.
func commit(
    _ body: WireAnswerCommit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard let item = ItemID(body.item), body.commitment.count == 32 else { throw .malformedField }
    guard var state = changes.item(item) else { throw .unknownItem }
    try call.require(state.everyReader.contains(call.signer.text), else: .notAssigned)
    try call.require(state.isUnderWay, else: .itemClosed)
    try call.require(answerIndex(state, of: call.signer) == nil, else: .alreadyCommitted)
    try call.require(
        state.presentReaders.contains(call.signer.text) && state.revealFrom == 0
            && call.height <= state.commitUntil, else: .commitWindowOver)
    let was = closableFrom(state)
    var answer = WireAnswerState()
    answer.annotator = call.signer.text
    answer.wave = state.wave
    answer.commitment = body.commitment
    let place = state.answers.firstIndex {
        call.signer.text.utf8.lexicographicallyPrecedes($0.annotator.utf8)
    }
    state.answers.insert(answer, at: place ?? state.answers.count)
    if state.presentAnswers.count == state.presentReaders.count {
        state.revealFrom = call.height + 1
        state.revealUntil =
            call.context.height
            .advanced(by: UInt64(call.context.agreement.annotation.revealWindow)).value
    }
    changes.setItem(item, to: state, was: was)
}

/// `answer.reveal`: opens a commitment once all have committed or the commit window is over.
func reveal(
    _ body: WireAnswerReveal, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard let item = ItemID(body.item), body.salt.count == 32 else { throw .malformedField }
    guard var state = changes.item(item) else { throw .unknownItem }
    try call.require(state.everyReader.contains(call.signer.text), else: .notAssigned)
    try call.require(state.isUnderWay, else: .itemClosed)
    guard let place = answerIndex(state, of: call.signer) else { throw .notCommitted }
    try call.require(state.answers[place].grade == 0, else: .alreadyRevealed)
    let isPresent = state.answers[place].wave == state.wave
    try call.require(!isPresent || call.height >= revealFrom(state), else: .revealNotOpen)
    try call.require(
        isPresent && call.height <= state.revealUntil,
        else: .revealWindowOver)
    let answer = try call.answer(body, to: state)
    let commitment = answerCommitment(
        network: call.context.network, item: item, annotator: call.signer, answer: answer,
        salt: [UInt8](body.salt))
    try call.require(
        commitment.bytes == [UInt8](state.answers[place].commitment), else: .doesNotOpen)
    let was = closableFrom(state)
    state.answers[place].keep(answer, call.context.agreement.annotation)
    changes.setItem(item, to: state, was: was)
}

/// `item.close`: decides an item by the agreement's rule, or asks further readers.
///
/// A commitment never revealed costs the stake. Without an approved label the next wave is asked,
/// then two seniors; with nobody left to ask the item ends. An item whose site has not opened its
/// secret in time leaves the period, and waits.
func close(_ body: WireItemClose, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let item = ItemID(body.item) else { throw .malformedField }
    guard var state = changes.item(item) else { throw .unknownItem }
    try call.require(state.isUnderWay, else: .itemClosed)
    let rule = call.context.agreement.annotation
    guard let was = closableFrom(state), call.height >= was else { throw .itemNotReady }
    if state.awaitsSeed, changes.activeMember(AccountID(.site, item.site)) != nil {
        changes.setOverdue(item, &state, call)
        return changes.setItem(item, to: state, was: was)
    }
    let silent = state.presentAnswers.filter { $0.grade == 0 }
        .compactMap { AccountID($0.annotator) }
        .filter { !changes.hadLeft($0, at: state.revealUntil) }
    try changes.penalise(
        silent.map { ($0, nil) },
        window: state.wave == 0
            ? "item/\(item.text)" : "item/\(item.text)/\(state.wave)",
        rule: MoneyRule.annotation, call)
    try changes.payLaterAnswers(state, call)
    changes.forgetSeed(of: item, state, call)
    if state.outcome != .open {
        try changes.endDispute(&state, of: item, rule, call)
        return changes.setItem(item, to: state, was: was)
    }
    if state.later.last?.seniors == true {
        changes.adjudicate(&state, by: rule)
    } else {
        changes.decide(&state, by: rule)
        if state.outcome != .approved, changes.askFurther(item, &state, call) {
            state.outcome = .open
            state.spread = 0
            return changes.setItem(item, to: state, was: was)
        }
    }
    state.closedHeight = call.height
    state.closeEnvelope = data(call.id.envelope.bytes)
    state.closeIndex = call.id.index
    changes.decided(state.outcome, call)
    changes.setItem(item, to: state, was: was)
}
