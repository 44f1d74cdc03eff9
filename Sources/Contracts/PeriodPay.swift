package import Ledger
package import Wire

extension ChangeSet {
    /// Scores and pays the readers of a period that closes.
    ///
    /// - Parameters:
    ///   - period: its number.
    ///   - approved: its approved items.
    ///   - rule: the agreement's.
    /// - Returns: how many items were judged by gold.
    /// - Throws: ``Rejection/amountOverflow`` when a count leaves its range.
    mutating func closeBooks(
        of period: UInt32, _ approved: [ItemID: WireItemState], _ rule: WireAnnotationRule
    ) throws(Rejection) -> Int {
        switch rule.kind {
        case .class, .ordinal: return try closeGrades(of: period, approved, rule)
        case .measurement:
            return try closeGraded(
                of: period, measurements(approved), rule.measurementRule,
                knowledge(of: approved, rule))
        case .boxes:
            return try closeGraded(
                of: period, boxSets(approved), rule.boxRule, knowledge(of: approved, rule))
        case .masks:
            return try closeGraded(
                of: period, masks(approved), rule.maskRule, knowledge(of: approved, rule))
        }
    }

    private mutating func closeGrades(
        of period: UInt32, _ approved: [ItemID: WireItemState], _ rule: WireAnnotationRule
    ) throws(Rejection) -> Int {
        // Answers and rows from before an agreement with fewer classes count no more.
        let classes = Int(rule.classes)
        let gold = truths(approved.mapValues { [UInt8]($0.gold) }, rule)
        let rulings = truths(
            approved.filter(\.value.hasReversal).mapValues {
                Answer.grade($0.reversal.grade).bytes
            }, rule)
        let approved = approved.mapValues { state in
            answers(of: state) { $0.grade > classes ? nil : Int($0.grade) - 1 }
        }.filter { !$0.value.isEmpty }
        let items = approved.sorted { $0.key < $1.key }.map { item, answers in
            (
                item: item,
                answers: answers.sorted { $0.key < $1.key }
                    .map { ClassAnswer(annotator: $0.key, answer: $0.value) }
            )
        }
        let totals = payTotals()
        let carried = totals.compactMapValues { total in
            total.carriedAnswers > 0
                ? widened(total.carried, to: classes).flatMap {
                    PayRows(answers: UInt64(total.carriedAnswers), joint: $0)
                } : nil
        }
        let batch: ScoreBatch
        let results: [AccountID: PayResult<PayRows>]
        let weights: [AccountID: UInt64]
        do {
            batch = try scoreBatch(items: items, classes: classes, gold: gold)
            results = try payPeriod(
                items: approved, classes: classes, ordinal: rule.kind == .ordinal, gold: gold,
                rulings: rulings, carried: carried)
            weights = try payReferenceWeights(
                items: approved,
                scale: AnswerScale(classes: classes, ordinal: rule.kind == .ordinal), gold: gold)
        } catch { throw .amountOverflow }
        settleScores(batch.counts, classes: classes)
        for (reader, result) in results.sorted(by: { $0.key < $1.key }) {
            var pay = payState(result)
            pay.joint = result.rows.joint
            if !gold.isEmpty { pay.referenceWeight = weights[reader] ?? 0 }
            pay.accuracyPermille = UInt32(clamping: batch.counts.accuracyPermille(reader))
            pay.kappaPermille = Int32(clamping: batch.counts.kappaPermille(reader))
            set(.pay, payKey(period, reader), to: pay)
            var total = (totals[reader] ?? WirePayTotal()).adding(pay)
            total.carried = result.carried.joint
            total.carriedAnswers = UInt32(clamping: result.carried.answers)
            set(.payTotals, Array(reader.text.utf8), to: total)
        }
        return gold.count
    }

    private mutating func closeGraded<Rule: GradedRule>(
        of period: UInt32, _ approved: [ItemID: [AccountID: Rule.Value]], _ rule: Rule,
        _ known: PayKnowledge<Rule.Value>
    ) throws(Rejection) -> Int {
        let totals = payTotals()
        let carried = totals.compactMapValues { total in
            total.carriedAnswers > 0
                ? GradedRows(
                    answers: UInt64(total.carriedAnswers), count: total.carriedRows,
                    agreed: total.carriedAgreed, chance: total.carriedChance) : nil
        }
        let results: [AccountID: PayResult<GradedRows>]
        let weights: [AccountID: UInt64]
        do {
            results = try payPeriod(
                items: approved, rule: rule, gold: known.gold, rulings: known.rulings,
                carried: carried)
            weights = referenceWeights(
                of: try goldTests(of: approved, rule: rule, gold: known.gold), gold: known.gold)
        } catch { throw .amountOverflow }
        for (reader, result) in results.sorted(by: { $0.key < $1.key }) {
            var pay = payState(result)
            pay.agreed = result.rows.agreed
            if !known.gold.isEmpty { pay.referenceWeight = weights[reader] ?? 0 }
            pay.chance = result.rows.chance
            pay.accuracyPermille = UInt32(clamping: result.rows.agreementPermille)
            pay.kappaPermille = Int32(clamping: result.rows.kappaPermille)
            set(.pay, payKey(period, reader), to: pay)
            var total = (totals[reader] ?? WirePayTotal()).adding(pay)
            total.carriedAnswers = UInt32(clamping: result.carried.answers)
            total.carriedRows = result.carried.count
            total.carriedAgreed = result.carried.agreed
            total.carriedChance = result.carried.chance
            set(.payTotals, Array(reader.text.utf8), to: total)
        }
        return known.gold.count
    }

    private mutating func payTotals() -> [AccountID: WirePayTotal] {
        var totals: [AccountID: WirePayTotal] = [:]
        for entry in entries(in: .payTotals) {
            guard
                let reader = String(validatingUTF8Bytes: entry.key.key[...]).flatMap(
                    AccountID.init)
            else { continue }
            totals[reader] = value(WirePayTotal.self, .payTotals, entry.key.key)
        }
        return totals
    }
}

/// Grades from bytes, counted from 0; bytes that are no grade of the agreement are passed over.
private func truths(
    _ answers: [ItemID: [UInt8]], _ rule: WireAnnotationRule
) -> [ItemID: Int] {
    answers.compactMapValues { bytes in
        guard case .grade(let grade) = rule.answer(bytes, size: nil) else { return nil }
        return Int(grade) - 1
    }
}

/// The revealed answers of an item's first wave, by reader; of gold everybody's, for gold judges
/// also who answered after others had revealed.
private func answers<Value>(
    of state: WireItemState, _ value: (WireAnswerState) -> Value?
) -> [AccountID: Value] {
    Dictionary(
        (state.gold.isEmpty ? state.firstAnswers : state.answers.filter { $0.grade > 0 })
            .compactMap { answer in
                guard let reader = AccountID(answer.annotator), let value = value(answer) else {
                    return nil
                }
                return (reader, value)
            }, uniquingKeysWith: { first, _ in first })
}

/// Measurements of items, by reader.
package func measurements(
    _ items: [ItemID: WireItemState]
) -> [ItemID: [AccountID: Int64]] {
    items.mapValues { state in answers(of: state) { $0.measurement } }
}

/// Boxes of items, by reader.
package func boxSets(_ items: [ItemID: WireItemState]) -> [ItemID: [AccountID: BoxSet]] {
    items.mapValues { state in answers(of: state) { $0.boxes(on: state.size) } }
}

/// Masks of items, by reader.
package func masks(_ items: [ItemID: WireItemState]) -> [ItemID: [AccountID: RunMask]] {
    items.mapValues { state in answers(of: state) { $0.mask(on: state.size) } }
}

/// A table of counts, classes × classes, as one of more classes: a decision may add some at the
/// end, and what was counted before stays where it was.
///
/// - Returns: nil for the table of more classes than these.
package func widened(_ table: [UInt64], to classes: Int) -> [UInt64]? {
    guard !table.isEmpty, table.count != classes * classes else { return table }
    guard let own = (1..<max(1, classes)).first(where: { $0 * $0 == table.count }) else {
        return nil
    }
    var wide = Array(repeating: UInt64(0), count: classes * classes)
    for (cell, count) in table.enumerated() { wide[cell / own * classes + cell % own] = count }
    return wide
}

private func payState(_ result: PayResult<some PayEvidence>) -> WirePayState {
    var pay = WirePayState()
    pay.answers = UInt32(clamping: result.answers)
    pay.rows = result.n
    pay.points = result.points
    pay.fee = result.fee
    pay.weight = result.weight ?? 0
    pay.shortfall = result.shortfall
    pay.rated = result.weight != nil
    return pay
}

extension WirePayTotal {
    /// The total with another period's weight and shortfall.
    fileprivate func adding(_ pay: WirePayState) -> Self {
        var total = self
        total.weight = weight.addingReportingOverflow(pay.weight).partialValue
        total.shortfall = shortfall.addingReportingOverflow(pay.shortfall).partialValue
        return total
    }
}
