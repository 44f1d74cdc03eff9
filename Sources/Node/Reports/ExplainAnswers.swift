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
}

extension ReportView {
    /// How far a closed item's answers agree, in the words of the agreement's rule.
    func support(_ state: WireItemState, _ grades: [UInt32]) -> String {
        let rule = agreement.annotation
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
            let values = state.answers.compactMap(\.measurement)
            let median = lowerMedian(values) ?? 0
            let near = values.count { rule.measurementRule.supports($0, median) }
            let tolerance = Int64(clamping: rule.measurementRule.tolerance(around: median))
            return "lower median \(decimalText(thousandths: median)); \(near) of \(count) answers "
                + "within \(decimalText(thousandths: tolerance)) of it (at least "
                + "\(rule.minimumAnswers) and \(share) needed)"
        case .boxes:
            let sets = state.answers.compactMap { $0.boxes(on: state.size) }
            let reference = rule.boxRule.reference(of: sets.map { (value: $0, weight: 1) })
            let near = sets.count { set in
                reference.map { rule.boxRule.supports(set, $0) } ?? false
            }
            return "\(near) of \(count) readers agree by \(rule.agreementPermille)‰ with the boxes "
                + "that half of them drew (more than half needed)"
        case .masks:
            let masks = state.answers.compactMap { $0.mask(on: state.size) }
            let median = lowerMedian(rule.maskRule.leaveOneOut(masks)) ?? 0
            return "the median reader's Dice with the majority of the others is \(median)‰ (at "
                + "least \(rule.agreementPermille)‰ needed)"
        }
    }

    /// Sets the figure of a measurement, of boxes or a mask of an approved item.
    mutating func explainGraded(
        _ report: inout ReaderReport, _ account: AccountID, _ name: ItemID, _ item: WireItemState
    ) {
        let rule = agreement.annotation
        let items = approvedItems(of: item.period)
        let row: (agreed: UInt64, chance: UInt64)? =
            switch rule.kind {
            case .class, .ordinal: nil
            case .measurement:
                gradedRow(account, name, measurements(items), rule.measurementRule)
            case .boxes: gradedRow(account, name, boxSets(items), rule.boxRule)
            case .masks: gradedRow(account, name, masks(items), rule.maskRule)
            }
        guard let row else {
            report.arithmetic = "nobody else answered: no row, no pay"
            return
        }
        guard let pay = ratedPay(&report, account, item) else { return }
        let figure = 1000 * (Int64(row.agreed) - Int64(row.chance))
        set(
            &report, figure: figure, fee: pay.fee / pay.rows,
            "1000 × (\(row.agreed)‰ − \(row.chance)‰), the agreement with what the others said less "
                + "that with what they said of the reader's next item: \(figure) micro-points")
    }

    private mutating func approvedItems(of period: UInt32) -> [ItemID: WireItemState] {
        var items: [ItemID: WireItemState] = [:]
        for (key, state) in all(WireItemState.self, .items)
        where state.period == period && state.outcome == .approved {
            guard let item = ItemID(String(decoding: key, as: UTF8.self)) else { continue }
            items[item] = state
        }
        return items
    }

    private func gradedRow<Rule: GradedRule>(
        _ account: AccountID, _ item: ItemID, _ items: [ItemID: [AccountID: Rule.Value]],
        _ rule: Rule
    ) -> (agreed: UInt64, chance: UInt64)? {
        let rows = gradedRows(of: account, items: items, rule: rule)
        guard let place = rows.firstIndex(where: { $0.item == item }) else { return nil }
        let next = rows[place + 1 < rows.count ? place + 1 : 0]
        return (
            rule.agreement(rows[place].own, rows[place].reference),
            rule.agreement(rows[place].own, next.reference)
        )
    }
}
