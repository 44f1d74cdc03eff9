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

    mutating func decided(_ outcome: WireItemOutcome) {
        var period = openPeriod()
        period.decided += 1
        switch outcome {
        case .approved: period.approved += 1
        case .disputed: period.disputed += 1
        case .tooFew: period.tooFew += 1
        case .open, .UNRECOGNIZED: break
        }
        setOpenPeriod(period)
    }

    private mutating func score(_ account: [UInt8], cells: Int) -> WireScoreState {
        var state = value(WireScoreState.self, .scores, account) ?? WireScoreState()
        if state.settled.count != cells { state.settled = Array(repeating: 0, count: cells) }
        if state.online.count != cells { state.online = Array(repeating: 0, count: cells) }
        return state
    }

    /// The online update of score/1 by an approved item.
    ///
    /// - Returns: the posterior of the consensus grade in per mille, before the item is counted.
    mutating func scoreOnline(
        _ answers: [WireAnswerState], consensus: Int, classes: Int
    ) -> UInt32 {
        let cells = classes * classes
        var tables: [AccountID: [UInt64]] = [:]
        var states: [AccountID: WireScoreState] = [:]
        var given: [ClassAnswer] = []
        for answer in answers {
            guard let reader = AccountID(answer.annotator) else { continue }
            let state = score(Array(reader.text.utf8), cells: cells)
            states[reader] = state
            tables[reader] = sum(state.settled, state.online)
            given.append(ClassAnswer(annotator: reader, answer: Int(answer.grade) - 1))
        }
        var prior = score([], cells: classes)
        // Counts stay far below 2⁶³: an item adds 2³⁰, and the ledger cannot hold 2³³ items.
        guard
            var counts = try? ScoreCounts(
                classes: classes, prior: sum(prior.settled, prior.online), confusion: tables),
            let posterior = try? counts.posterior(of: given),
            (try? counts.add(given, posterior: posterior)) != nil
        else { return 0 }
        prior.online = difference(counts.prior, prior.settled)
        prior.onlineAnswers += 1
        set(.scores, [], to: prior)
        for reader in states.keys.sorted() {
            guard var state = states[reader] else { continue }
            state.online = difference(counts.confusion(of: reader), state.settled)
            state.onlineAnswers += 1
            set(.scores, Array(reader.text.utf8), to: state)
        }
        return UInt32(posterior.permille(of: consensus - 1))
    }

    /// Replaces the online counts of a period by its batch.
    fileprivate mutating func settleScores(_ batch: ScoreCounts, classes: Int) {
        var prior = score([], cells: classes)
        prior.settled = sum(prior.settled, batch.prior)
        prior.settledAnswers += prior.onlineAnswers
        prior.online = Array(repeating: 0, count: classes)
        prior.onlineAnswers = 0
        set(.scores, [], to: prior)
        for reader in batch.annotators {
            let key = Array(reader.text.utf8)
            var state = score(key, cells: classes * classes)
            state.settled = sum(state.settled, batch.confusion(of: reader))
            state.settledAnswers += state.onlineAnswers
            state.online = Array(repeating: 0, count: classes * classes)
            state.onlineAnswers = 0
            set(.scores, key, to: state)
        }
    }
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
/// is still open then goes on in the next period.
func close(_ body: WirePeriodClose, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    let rule = call.context.agreement.annotation
    var period = changes.openPeriod()
    try call.require(
        body.period == period.number && period.items > 0
            && (period.decided == period.items || period.decided >= rule.periodItems),
        else: .periodNotReady)
    var approved: [ItemID: [AccountID: Int]] = [:]
    var carriedOver: [(ItemID, WireItemState)] = []
    for entry in changes.entries(in: .periodItems, prefix: bigEndian(period.number)) {
        guard let text = String(validatingUTF8Bytes: entry.key.key.dropFirst(4)),
            let item = ItemID(text), let state = changes.item(item)
        else { continue }
        if state.outcome == .open { carriedOver.append((item, state)) }
        guard state.outcome == .approved else { continue }
        approved[item] = Dictionary(
            state.answers.filter { $0.grade > 0 }.compactMap { answer in
                AccountID(answer.annotator).map { ($0, Int(answer.grade) - 1) }
            }, uniquingKeysWith: { first, _ in first })
    }
    try changes.closeBooks(of: period, approved, classes: Int(rule.classes))
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

extension ChangeSet {
    fileprivate mutating func closeBooks(
        of period: WirePeriodState, _ approved: [ItemID: [AccountID: Int]], classes: Int
    ) throws(Rejection) {
        let items = approved.sorted { $0.key < $1.key }.map { item, answers in
            (
                item: item,
                answers: answers.sorted { $0.key < $1.key }
                    .map { ClassAnswer(annotator: $0.key, answer: $0.value) }
            )
        }
        var carried: [AccountID: PayRows] = [:]
        var totals: [AccountID: WirePayTotal] = [:]
        for entry in entries(in: .payTotals) {
            guard
                let reader = String(validatingUTF8Bytes: entry.key.key[...]).flatMap(
                    AccountID.init),
                let total = value(WirePayTotal.self, .payTotals, entry.key.key)
            else { continue }
            totals[reader] = total
            guard total.carriedAnswers > 0 || !total.carried.isEmpty else { continue }
            carried[reader] = PayRows(
                answers: UInt64(total.carriedAnswers), joint: total.carried)
        }
        let batch: ScoreBatch
        let results: [AccountID: PayResult]
        do {
            batch = try scoreBatch(items: items, classes: classes)
            results = try payPeriod(
                items: approved, classes: classes, ordinal: true, carried: carried)
        } catch { throw .amountOverflow }
        settleScores(batch.counts, classes: classes)
        for (reader, result) in results.sorted(by: { $0.key < $1.key }) {
            var pay = WirePayState()
            pay.answers = UInt32(clamping: result.answers)
            pay.rows = result.n
            pay.points = result.points
            pay.fee = result.fee
            pay.weight = result.weight ?? 0
            pay.shortfall = result.shortfall
            pay.rated = result.weight != nil
            pay.joint = result.rows.joint
            pay.accuracyPermille = UInt32(clamping: batch.counts.accuracyPermille(reader))
            pay.kappaPermille = Int32(clamping: batch.counts.kappaPermille(reader))
            set(.pay, payKey(period.number, reader), to: pay)
            var total = totals[reader] ?? WirePayTotal()
            total.weight = total.weight.addingReportingOverflow(pay.weight).partialValue
            total.shortfall = total.shortfall.addingReportingOverflow(pay.shortfall).partialValue
            total.carried = result.carried.joint
            total.carriedAnswers = UInt32(clamping: result.carried.answers)
            set(.payTotals, Array(reader.text.utf8), to: total)
        }
    }
}

extension String {
    /// - Returns: nil when the bytes are not UTF-8.
    package init?(validatingUTF8Bytes bytes: ArraySlice<UInt8>) {
        self.init(validating: bytes, as: UTF8.self)
    }
}
