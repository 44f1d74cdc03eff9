package import Ledger
package import Wire

/// The key of the open period; closed ones stand under their number.
package let openPeriodKey: [UInt8] = [0, 0, 0, 0]

func periodItemKey(_ period: UInt32, _ item: ItemID) -> [UInt8] {
    bigEndian(period) + Array(item.text.utf8)
}

/// The key of a reader's pay in a period.
package func payKey(_ period: UInt32, _ reader: AccountID) -> [UInt8] {
    bigEndian(period) + Array(reader.text.utf8)
}

extension WirePeriodState {
    /// Whether every item has an outcome, or as many as the agreement asks for.
    private func isDecided(_ rule: WireAnnotationRule) -> Bool {
        items > 0 && (decided == items || decided >= rule.periodItems)
    }

    /// Whether as many items are decided as the agreement asks for; else it is the coordinator who
    /// says that the span of annotation is over.
    fileprivate func isFull(_ rule: WireAnnotationRule) -> Bool { decided >= rule.periodItems }

    /// Whether there are rows to compare. The chance term of measurements, boxes and masks is a
    /// reader's next row: one row alone is its own next one, and earns 0 whatever it says.
    private func hasRows(_ rule: WireAnnotationRule) -> Bool { rule.kind.isGrade || approved >= 2 }

    /// Whether the coordinator could close the period.
    package func isReady(_ rule: WireAnnotationRule) -> Bool { isDecided(rule) && hasRows(rule) }

    /// Checks that a signer may close the period.
    fileprivate func requireClosable(
        _ rule: WireAnnotationRule, _ call: Call
    ) throws(Rejection) {
        try call.require(isDecided(rule), else: .periodNotReady)
        try call.require(
            hasRows(rule) && (isFull(rule) || call.signer == call.context.coordinator),
            else: .periodTooShort)
    }
}

extension ChangeSet {
    package mutating func openPeriod() -> WirePeriodState {
        if let state = value(WirePeriodState.self, .periods, openPeriodKey) { return state }
        var first = WirePeriodState()
        first.number = 1
        return first
    }

    mutating func setOpenPeriod(_ state: WirePeriodState) {
        set(.periods, openPeriodKey, to: state)
    }

    mutating func decided(_ outcome: WireItemOutcome, _ call: Call) {
        var period = openPeriod()
        period.decided += 1
        switch outcome {
        case .approved: period.approved += 1
        case .disputed: period.disputed += 1
        case .tooFew: period.tooFew += 1
        case .open, .UNRECOGNIZED: break
        }
        openGoldWindow(of: &period, call)
        setOpenPeriod(period)
    }

    /// The counts of the prior.
    private mutating func prior(classes: Int) -> WireScoreState {
        var state = value(WireScoreState.self, .scores, []) ?? WireScoreState()
        func resized(_ counts: [UInt64]) -> [UInt64] {
            let kept = counts.count > classes ? [] : counts
            return kept + Array(repeating: 0, count: classes - kept.count)
        }
        state.settled = resized(state.settled)
        state.online = resized(state.online)
        return state
    }

    /// The counts of a reader, empty when they are of more classes than there are now.
    private mutating func score(of reader: AccountID, classes: Int) -> WireScoreState {
        var state =
            value(WireScoreState.self, .scores, Array(reader.text.utf8)) ?? WireScoreState()
        let none = Array(repeating: UInt64(0), count: classes * classes)
        func resized(_ table: [UInt64]) -> [UInt64] {
            table.isEmpty ? none : widened(table, to: classes) ?? none
        }
        state.settled = resized(state.settled)
        state.online = resized(state.online)
        return state
    }

    /// What score/1 makes of an item's answers before the item is counted.
    ///
    /// - Returns: nil for answers that no reveal could have left.
    mutating func onlineScore(_ answers: [WireAnswerState], classes: Int) -> OnlineScore? {
        var tables: [AccountID: [UInt64]] = [:]
        var states: [AccountID: WireScoreState] = [:]
        var given: [ClassAnswer] = []
        for answer in answers {
            guard let reader = AccountID(answer.annotator) else { continue }
            let state = score(of: reader, classes: classes)
            states[reader] = state
            tables[reader] = sum(state.settled, state.online)
            given.append(ClassAnswer(annotator: reader, answer: Int(answer.grade) - 1))
        }
        let prior = prior(classes: classes)
        // Counts stay far below 2⁶³: an item adds 2³⁰, and the ledger cannot hold 2³³ items.
        guard
            let counts = try? ScoreCounts(
                classes: classes, prior: sum(prior.settled, prior.online), confusion: tables),
            let posterior = try? counts.posterior(of: given)
        else { return nil }
        return OnlineScore(
            posterior: posterior, answers: given, counts: counts, prior: prior, states: states)
    }

    /// The online update of score/1 by an approved item.
    mutating func count(_ score: OnlineScore) {
        var (counts, prior) = (score.counts, score.prior)
        guard (try? counts.add(score.answers, posterior: score.posterior)) != nil else { return }
        prior.online = difference(counts.prior, prior.settled)
        prior.onlineAnswers += 1
        set(.scores, [], to: prior)
        for (reader, state) in score.states.sorted(by: { $0.key < $1.key }) {
            var state = state
            state.online = difference(counts.confusion(of: reader), state.settled)
            state.onlineAnswers += 1
            set(.scores, Array(reader.text.utf8), to: state)
        }
    }

    /// Replaces the online counts of a period by its batch.
    mutating func settleScores(_ batch: ScoreCounts, classes: Int) {
        var prior = prior(classes: classes)
        prior.settled = sum(prior.settled, batch.prior)
        prior.settledAnswers += prior.onlineAnswers
        prior.online = Array(repeating: 0, count: classes)
        prior.onlineAnswers = 0
        set(.scores, [], to: prior)
        for reader in batch.annotators {
            var state = score(of: reader, classes: classes)
            state.settled = sum(state.settled, batch.confusion(of: reader))
            state.settledAnswers += state.onlineAnswers
            state.online = Array(repeating: 0, count: classes * classes)
            state.onlineAnswers = 0
            set(.scores, Array(reader.text.utf8), to: state)
        }
    }
}

/// An item's answers with all that score/1 knew before them.
struct OnlineScore {
    let posterior: Posterior
    fileprivate let answers: [ClassAnswer]
    fileprivate let counts: ScoreCounts
    fileprivate let prior: WireScoreState
    fileprivate let states: [AccountID: WireScoreState]
}

private func sum(_ one: [UInt64], _ other: [UInt64]) -> [UInt64] {
    zip(one, other).map { $0 &+ $1 }
}

private func difference(_ one: [UInt64], _ other: [UInt64]) -> [UInt64] {
    zip(one, other).map { $0 &- $1 }
}

/// `period.close`: batch scores and pay weights over the approved items of the open period.
///
/// Valid when every item of the period has an outcome, or as many as the agreement asks for; what
/// is still open then goes on in the next period. Below that number the coordinator alone closes:
/// whoever could end a period after each item would leave nothing to compare. Gold counts when all that was committed to is
/// shown: whoever could choose after the answers which truths to show could choose whom they hit.
func close(_ body: WirePeriodClose, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    let rule = call.context.agreement.annotation
    var period = changes.openPeriod()
    try call.require(body.period == period.number, else: .periodNotReady)
    try period.requireClosable(rule, call)
    let withheld = try changes.withheldGold(of: period, call)
    if period.goldUntil > 0 {
        changes.clearDue(goldDue(period), .period, "\(period.number)")
    }
    var approved: [ItemID: WireItemState] = [:]
    var carriedOver: [(ItemID, WireItemState)] = []
    for entry in changes.entries(in: .periodItems, prefix: bigEndian(period.number)) {
        guard let text = String(validatingUTF8Bytes: entry.key.key.dropFirst(4)),
            let item = ItemID(text), var state = changes.item(item)
        else { continue }
        if !withheld.isEmpty, !state.gold.isEmpty {
            state.gold = data([])
            changes.set(.items, Array(item.text.utf8), to: state)
        }
        if state.outcome == .open { carriedOver.append((item, state)) }
        if state.isApproved { approved[item] = state }
    }
    changes.forgetGold(withheld, of: period, carryingOver: !carriedOver.isEmpty)
    // Of items without a label nobody is judged, gold or not.
    period.gold = UInt32(clamping: try changes.closeBooks(of: period.number, approved, rule))
    period.closedHeight = call.height
    changes.set(.periods, bigEndian(period.number), to: period)
    var next = WirePeriodState()
    next.number = period.number + 1
    for (item, state) in carriedOver {
        var state = state
        state.period = next.number
        next.items += 1
        changes.set(.items, Array(item.text.utf8), to: state)
        changes.set(.periodItems, periodItemKey(period.number, item), nil)
        changes.set(.periodItems, periodItemKey(next.number, item), [1])
    }
    changes.setOpenPeriod(next)
}

extension String {
    /// - Returns: nil when the bytes are not UTF-8.
    package init?(validatingUTF8Bytes bytes: ArraySlice<UInt8>) {
        self.init(validating: bytes, as: UTF8.self)
    }
}
