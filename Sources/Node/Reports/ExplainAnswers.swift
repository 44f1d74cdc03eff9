import Contracts
import Ledger
import Wire

extension WireAnnotationRule {
    /// Whether an answer supports a consensus of its kind.
    func supports(_ answer: Answer, _ label: Answer) -> Bool {
        switch (answer, label) {
        case (.grade(let own), .grade(let label)):
            kind == .ordinal
                ? max(own, label) - min(own, label) <= nearDistance : own == label
        case (.measurement(let own), .measurement(let label)):
            measurementRule.supports(own, label)
        case (.boxes(let own), .boxes(let label)): boxRule.supports(own, label)
        case (.mask(let own), .mask(let label)): maskRule.supports(own, label)
        default: false
        }
    }

    /// How far boxes or a mask agree with a consensus, per mille.
    func agreementPermille(_ answer: Answer, _ label: Answer) -> UInt64? {
        switch (answer, label) {
        case (.boxes(let own), .boxes(let label)): boxRule.agreement(own, label)
        case (.mask(let own), .mask(let label)): maskRule.agreement(own, label)
        default: nil
        }
    }
}

/// A row of a measurement, boxes or a mask as pay/1 counted it.
private struct ExplainedRow {
    /// Agreement with the own reference, and with that of the reader's next row, in per mille.
    let agreed: UInt64
    let chance: UInt64
    let reference: Answer
    let next: ItemID
    let nextReference: Answer
}

extension ReportView {
    /// The rule by which an item was decided, with the names that its classes have now: names are
    /// added at the end alone.
    func rule(of item: WireItemState) -> WireAnnotationRule {
        var rule = tip.terms.annotationRule(at: item.closedHeight)
        let present = agreement.annotation
        if rule.kind.isGrade == present.kind.isGrade { rule.labels = present.labels }
        return rule
    }

    /// The rule under which a period closed; of the open one that in force.
    mutating func rule(ofPeriod number: UInt32) -> WireAnnotationRule {
        let closed = state.value(WirePeriodState.self, .periods, bigEndian(number))
        return tip.terms.annotationRule(at: closed?.closedHeight)
    }

    /// Whether the answers to an item are rows on gold: it had a label when its period closed.
    func isJudgedByGold(_ item: WireItemState) -> Bool {
        !item.gold.isEmpty && item.isApproved
            && (item.outcome == .approved || !item.reversal.afterClose)
    }

    /// How far a closed item's answers agree, in the words of the agreement's rule.
    func support(_ state: WireItemState, _ grades: [UInt32]) -> String {
        let rule = rule(of: state)
        let count = grades.count
        let share = "\(rule.nearShareNumerator)/\(rule.nearShareDenominator)"
        switch rule.kind {
        case .ordinal:
            let median = lowerMedian(grades) ?? 0
            let near = grades.count { rule.supports(.grade($0), .grade(median)) }
            return "lower median \(median); \(near) of \(count) answers within "
                + "\(rule.nearDistance) of it (at least \(share) needed); spread \(state.spread) "
                + "(at most \(rule.maximumSpread))"
        case .class:
            let needed =
                "at least \(rule.posteriorPermille)‰ and \(rule.minimumVotes) votes needed"
            guard state.outcome == .approved else {
                return "of \(count) answers no class is likely enough (\(needed))"
            }
            let votes = grades.count { $0 == state.grade }
            return "\(answerText(.grade(state.grade), rule)) is likeliest with "
                + "\(state.posteriorPermille)‰ and \(votes) of \(count) votes (\(needed))"
        case .measurement:
            let values = state.readersAnswers.compactMap(\.measurement)
            let median = lowerMedian(values) ?? 0
            let near = values.count { rule.measurementRule.supports($0, median) }
            let tolerance = Int64(clamping: rule.measurementRule.tolerance(around: median))
            return "lower median \(decimalText(thousandths: median)); \(near) of \(count) answers "
                + "within \(decimalText(thousandths: tolerance)) of it (at least "
                + "\(rule.minimumAnswers) and \(share) needed)"
        case .boxes:
            let sets = state.readersAnswers.compactMap { $0.boxes(on: state.size) }
            let reference = rule.boxRule.reference(of: sets.map { (value: $0, weight: 1) })
            let near = sets.count { set in
                reference.map { rule.boxRule.supports(set, $0) } ?? false
            }
            return "\(near) of \(count) readers agree by \(rule.agreementPermille)‰ with the boxes "
                + "that half of them drew (more than half needed)"
        case .masks:
            let masks = state.readersAnswers.compactMap { $0.mask(on: state.size) }
            let median = lowerMedian(rule.maskRule.leaveOneOut(masks)) ?? 0
            return "the median reader's Dice with the majority of the others is \(median)‰ (at "
                + "least \(rule.agreementPermille)‰ needed)"
        }
    }

    /// Sets the figure of a measurement, of boxes or a mask of an approved item.
    mutating func explainGraded(
        _ report: inout ReaderReport, _ account: AccountID, _ name: ItemID, _ item: WireItemState
    ) {
        let rule = rule(ofPeriod: item.period)
        let row: ExplainedRow? =
            switch rule.kind {
            case .class, .ordinal: nil
            case .measurement:
                gradedRow(account, name, item, rule, rule.measurementRule, measurements) {
                    .measurement($0)
                }
            case .boxes:
                gradedRow(account, name, item, rule, rule.boxRule, boxSets) { .boxes($0) }
            case .masks: gradedRow(account, name, item, rule, rule.maskRule, masks) { .mask($0) }
            }
        guard let row else {
            report.arithmetic =
                item.firstAnswers.count < 2
                ? "nobody else answered: no row, no pay"
                : "the others weigh nothing: no row, no pay"
            return
        }
        report.referenceValue = answerText(row.reference, rule)
        guard let pay = paidPeriod(of: account, item)?.pay else {
            report.arithmetic = unpaid(item)
            return
        }
        let times = item.gold.isEmpty ? 1 : Int64(goldMultiplicity)
        let figure = times * 1000 * (Int64(row.agreed) - Int64(row.chance))
        set(
            &report, figure: figure, fee: UInt64(times) * (pay.fee / pay.rows),
            (times > 1 ? "gold, \(times) rows: \(times) × " : "")
                + "1000 × (\(row.agreed)‰ − \(row.chance)‰), the agreement with its reference "
                + "(\(answerText(row.reference, rule))) less that with the reference of the reader's "
                + "next item, \(row.next) (\(answerText(row.nextReference, rule))): \(figure) "
                + "micro-points")
    }

    /// A row as pay/1 counted it, and the next row of the same reader for its chance term.
    ///
    /// Of a period's items only these two are decoded: a mask may have thousands of runs.
    private mutating func gradedRow<Rule: GradedRule>(
        _ account: AccountID, _ name: ItemID, _ item: WireItemState,
        _ annotation: WireAnnotationRule, _ rule: Rule,
        _ values: ([ItemID: WireItemState]) -> [ItemID: [AccountID: Rule.Value]],
        _ answer: (Rule.Value) -> Answer
    ) -> ExplainedRow? {
        func row(_ name: ItemID, _ item: WireItemState) -> GradedRow<Rule.Value>? {
            let answers = values([name: item])
            let known: PayKnowledge<Rule.Value> = knowledge(
                of: [name: item], annotation)
            if let truth = known.gold[name] {
                return answers[name]?[account].map {
                    GradedRow(item: name, own: $0, reference: truth)
                }
            }
            var state = state
            var weights: [AccountID: UInt64] = [:]
            for reader in answers[name].map({ Array($0.keys) }) ?? [] {
                weights[reader] = state.referenceWeight(of: reader, in: item.period)
            }
            return gradedRows(
                of: account, items: answers, rule: rule, rulings: known.rulings, weights: weights
            ).first
        }
        guard let own = row(name, item) else { return nil }
        let names = state.entries(in: .periodItems, prefix: bigEndian(item.period)).compactMap {
            ItemID(String(decoding: $0.key.key.dropFirst(4), as: UTF8.self))
        }
        let others = names.filter { $0 > name } + names.filter { $0 < name }
        var next = own
        for other in others {
            guard let candidate = state.item(other), candidate.isApproved,
                candidate.gold.isEmpty == item.gold.isEmpty,
                candidate.gold.isEmpty || isJudgedByGold(candidate),
                candidate.answers.contains(where: { $0.annotator == account.text }),
                let found = row(other, candidate)
            else { continue }
            next = found
            break
        }
        return ExplainedRow(
            agreed: rule.agreement(own.own, own.reference),
            chance: rule.agreement(own.own, next.reference), reference: answer(own.reference),
            next: next.item, nextReference: answer(next.reference))
    }
}
