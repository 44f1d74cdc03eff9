package import Ledger
package import Wire

/// What a reversal adds to the sums that a reader's pay is made of.
private struct PayChange {
    /// 1 when the item counts only since the reversal.
    var answers: UInt32 = 0
    /// Row of classes or grades taken away and put in its place: own answer and reference.
    var without: (own: Int, reference: Int)?
    var with: (own: Int, reference: Int)?
    /// Of measurements, boxes and masks: the sums before and after.
    var before: GradedRows?
    var after: GradedRows?
}

/// The sums themselves, of a period's pay or of what is carried.
private struct PaySums {
    var answers: UInt32
    var joint: [UInt64]
    var rows: UInt64
    var agreed: UInt64
    var chance: UInt64

    /// Adds a change; a sum that would leave its range stays as it was.
    mutating func add(_ change: PayChange, classes: Int) {
        answers = answers.addingReportingOverflow(change.answers).partialValue
        if change.without != nil || change.with != nil,
            let wide = widened(joint, to: classes)
        {
            joint = wide.isEmpty ? Array(repeating: 0, count: classes * classes) : wide
            let cells = 0..<classes
            if let row = change.without, cells.contains(row.own), cells.contains(row.reference) {
                let cell = row.own * classes + row.reference
                if joint[cell] > 0 { joint[cell] -= 1 }
            }
            if let row = change.with, cells.contains(row.own), cells.contains(row.reference) {
                joint[row.own * classes + row.reference] += 1
            }
        }
        guard let before = change.before, let after = change.after else { return }
        rows = moved(rows, before.count, after.count)
        agreed = moved(agreed, before.agreed, after.agreed)
        chance = moved(chance, before.chance, after.chance)
    }

    private func moved(_ sum: UInt64, _ before: UInt64, _ after: UInt64) -> UInt64 {
        let (up, overflow) = sum.addingReportingOverflow(after)
        return overflow || up < before ? sum : up - before
    }
}

/// What a reader's pay was and is.
private struct PayShift {
    let period: UInt32
    let before: WirePayState
    let after: WirePayState
}

extension ChangeSet {
    /// A reader's pay of a closed period as it counts now, after what reversals corrected.
    package mutating func pay(of reader: AccountID, in period: UInt32) -> WirePayState? {
        value(WirePayState.self, .reversals, payKey(period, reader))
            ?? value(WirePayState.self, .pay, payKey(period, reader))
    }

    /// Pays and charges what a reversal makes of a closed period.
    ///
    /// Of the item's first wave each row gets the seniors' label as its reference. The fee of a row
    /// stays what it was when the period closed, and rows are judged by the agreement of that day.
    /// Rounds whose appeal window is open are corrected by postings; those before are final.
    mutating func correctPay(
        of item: ItemID, from before: WireItemState, to after: WireItemState,
        _ call: Call
    ) throws(Rejection) {
        guard before.gold.isEmpty else { return }
        let rule = rule(of: before.period, call)
        let readers = before.firstAnswers.compactMap { AccountID($0.annotator) }.sorted()
        for reader in readers {
            let change = payChange(of: reader, item, from: before, to: after, rule)
            guard let shift = shift(reader, before.period, by: change, call) else { continue }
            for entry in entries(in: .roundShares) {
                guard
                    let share = value(WireRoundShareState.self, .roundShares, entry.key.key),
                    share.period > shift.period, share.weight > 0
                else { continue }
                try correct(reader, shift, share, window: entry.key.key, call)
            }
        }
    }

    /// The rule under which a period closed.
    private mutating func rule(of period: UInt32, _ call: Call) -> WireAnnotationRule {
        let closed = value(WirePeriodState.self, .periods, bigEndian(period))?.closedHeight
        return call.context.terms.annotationRule(at: closed)
    }

    private mutating func payChange(
        of reader: AccountID, _ item: ItemID, from before: WireItemState,
        to after: WireItemState, _ rule: WireAnnotationRule
    ) -> PayChange {
        var change = PayChange()
        change.answers = before.isApproved ? 0 : 1
        switch rule.kind {
        case .class, .ordinal:
            guard
                let scale = try? AnswerScale(
                    classes: Int(rule.classes), ordinal: rule.kind == .ordinal),
                let own = before.firstAnswers.first(where: { $0.annotator == reader.text })
            else { return change }
            if before.isApproved {
                change.without = reference(of: reader, before, scale)
                    .map { (Int(own.grade) - 1, $0) }
            }
            change.with = (Int(own.grade) - 1, Int(after.labelGrade) - 1)
        case .measurement:
            setSums(&change, reader, item, before, after, rule.measurementRule, rule) {
                measurements($0)
            }
        case .boxes:
            setSums(&change, reader, item, before, after, rule.boxRule, rule) { boxSets($0) }
        case .masks:
            setSums(&change, reader, item, before, after, rule.maskRule, rule) { masks($0) }
        }
        return change
    }

    /// The reference of a reader's answer as pay/1 took it, counted from 0.
    package mutating func reference(
        of reader: AccountID, _ state: WireItemState, _ scale: AnswerScale
    ) -> Int? {
        if state.hasReversal { return Int(state.reversal.grade) - 1 }
        var others: [(answer: Int, weight: UInt64)] = []
        for answer in state.firstAnswers where answer.annotator != reader.text {
            guard let account = AccountID(answer.annotator) else { continue }
            others.append(
                (Int(answer.grade) - 1, referenceWeight(of: account, in: state.period)))
        }
        return payReference(of: others, scale: scale)
    }

    /// How much a reader weighs in others' references in a period that is closed.
    package mutating func referenceWeight(of reader: AccountID, in period: UInt32) -> UInt64 {
        let state = value(WirePeriodState.self, .periods, bigEndian(period))
        guard state.map({ $0.gold > 0 }) ?? false else { return 1 }
        return value(WirePayState.self, .pay, payKey(period, reader))?.referenceWeight ?? 0
    }

    private mutating func setSums<Rule: GradedRule>(
        _ change: inout PayChange, _ reader: AccountID, _ item: ItemID, _ before: WireItemState,
        _ after: WireItemState, _ graded: Rule, _ rule: WireAnnotationRule,
        _ values: ([ItemID: WireItemState]) -> [ItemID: [AccountID: Rule.Value]]
    ) {
        var items: [ItemID: WireItemState] = [:]
        for entry in entries(in: .periodItems, prefix: bigEndian(before.period)) {
            guard let text = String(validatingUTF8Bytes: entry.key.key.dropFirst(4)),
                let name = ItemID(text), let state = self.item(name), state.isApproved,
                state.firstAnswers.contains(where: { $0.annotator == reader.text })
            else { continue }
            items[name] = state
        }
        var weights: [AccountID: UInt64] = [:]
        for text in Set(items.values.flatMap { $0.firstAnswers.map(\.annotator) }) {
            guard let account = AccountID(text) else { continue }
            weights[account] = referenceWeight(of: account, in: before.period)
        }
        items[item] = before.isApproved ? before : nil
        change.before = sums(items, reader, graded, rule, weights, values)
        items[item] = after
        change.after = sums(items, reader, graded, rule, weights, values)
    }

    private func sums<Rule: GradedRule>(
        _ items: [ItemID: WireItemState], _ reader: AccountID, _ graded: Rule,
        _ rule: WireAnnotationRule, _ weights: [AccountID: UInt64],
        _ values: ([ItemID: WireItemState]) -> [ItemID: [AccountID: Rule.Value]]
    ) -> GradedRows? {
        let known: PayKnowledge<Rule.Value> = knowledge(of: items, rule)
        let rows = gradedRows(
            of: reader, items: values(items), rule: graded, gold: known.gold,
            rulings: known.rulings, weights: weights)
        return gradedSums(of: rows, rule: graded)
    }

    /// Changes the pay of the period in which a reader's rows were rated, or what it carries.
    ///
    /// - Returns: nil when no money moved by these rows yet.
    private mutating func shift(
        _ reader: AccountID, _ period: UInt32, by change: PayChange, _ call: Call
    ) -> PayShift? {
        let key = Array(reader.text.utf8)
        var total = value(WirePayTotal.self, .payTotals, key) ?? WirePayTotal()
        for number in period..<max(period, openPeriod().number) {
            guard let before = pay(of: reader, in: number), before.rated else { continue }
            let rule = rule(of: number, call)
            var sums = PaySums(
                answers: before.answers, joint: before.joint, rows: before.rows,
                agreed: before.agreed, chance: before.chance)
            sums.add(change, classes: Int(rule.classes))
            guard let after = repaid(before, sums, rule) else { return nil }
            set(.reversals, payKey(number, reader), to: after)
            total.weight = total.weight &- before.weight &+ after.weight
            total.shortfall = total.shortfall &- before.shortfall &+ after.shortfall
            set(.payTotals, key, to: total)
            return PayShift(period: number, before: before, after: after)
        }
        var sums = PaySums(
            answers: total.carriedAnswers, joint: total.carried, rows: total.carriedRows,
            agreed: total.carriedAgreed, chance: total.carriedChance)
        sums.add(change, classes: Int(call.context.agreement.annotation.classes))
        total.carriedAnswers = sums.answers
        total.carried = sums.joint
        total.carriedRows = sums.rows
        total.carriedAgreed = sums.agreed
        total.carriedChance = sums.chance
        set(.payTotals, key, to: total)
        return nil
    }

    /// A rated pay with other sums, under the fee of its period.
    private func repaid(
        _ before: WirePayState, _ sums: PaySums, _ rule: WireAnnotationRule
    ) -> WirePayState? {
        var after = before
        after.answers = sums.answers
        if rule.kind.isGrade {
            guard
                let scale = try? AnswerScale(
                    classes: Int(rule.classes), ordinal: rule.kind == .ordinal),
                let rows = PayRows(answers: UInt64(sums.answers), joint: sums.joint),
                let beyond = BeyondChance(rows, on: scale)
            else { return nil }
            after.joint = sums.joint
            after.rows = rows.count
            after.points = beyond.points(on: scale)
        } else {
            guard
                let rows = GradedRows(
                    answers: UInt64(sums.answers), count: sums.rows, agreed: sums.agreed,
                    chance: sums.chance)
            else { return nil }
            after.rows = rows.count
            after.agreed = rows.agreed
            after.chance = rows.chance
            after.points = rows.points
            after.accuracyPermille = UInt32(clamping: rows.agreementPermille)
            after.kappaPermille = Int32(clamping: rows.kappaPermille)
        }
        let rate = before.rows == 0 ? 0 : before.fee / before.rows
        let fee = Int64(clamping: rate.multipliedFullWidth(by: after.rows).low)
        after.fee = UInt64(clamping: fee)
        after.weight = UInt64(max(0, after.points - fee))
        after.shortfall = UInt64(max(0, fee - after.points))
        return after
    }

    /// What a reader fell short of in all periods that a round paid, as it counts now.
    private mutating func shortfall(
        of reader: AccountID, paidBy share: WireRoundShareState
    ) -> UInt64 {
        let total = value(WirePayTotal.self, .payTotals, Array(reader.text.utf8))?.shortfall ?? 0
        let open = max(share.period, openPeriod().number)
        return (share.period..<open).reduce(total) { left, later in
            left - min(left, pay(of: reader, in: later)?.shortfall ?? 0)
        }
    }

    /// Corrects what one round paid and charged a reader, while its appeal window is open.
    private mutating func correct(
        _ reader: AccountID, _ shift: PayShift, _ share: WireRoundShareState,
        window key: [UInt8], _ call: Call
    ) throws(Rejection) {
        guard var window = value(WireWindowState.self, .windows, key),
            call.height < window.untilHeight
        else { return }
        func part(_ weight: UInt64) -> UInt64 {
            UInt64(
                clamping: UInt128(share.microtokens) * UInt128(weight) / UInt128(share.weight))
        }
        let (was, now) = (part(shift.before.weight), part(shift.after.weight))
        let rule = MoneyRule.reversal
        if now < was {
            try takeBack(
                from: reader, to: ConsortiumAccount.reserve,
                TokenAmount(microtokens: was - now), pendingUntil: window.untilHeight, call)
        } else {
            let held = balance(of: ConsortiumAccount.reserve, at: call.height)
            try post(
                from: ConsortiumAccount.reserve, to: reader,
                min(held, TokenAmount(microtokens: now - was)), rule: rule,
                delay: window.untilHeight - call.height, call)
        }
        let (stake, appeal) = (
            ConsortiumAccount.stake(of: reader), ConsortiumAccount.appeal(of: reader)
        )
        let place = window.appeals.firstIndex(of: reader.text)
        let taken = place.map { window.microtokens[$0] } ?? 0
        let left = balance(of: stake, at: call.height).microtokens
        let (most, overflow) = left.addingReportingOverflow(taken)
        let owed = min(overflow ? .max : most, part(shortfall(of: reader, paidBy: share)))
        guard owed != taken else { return }
        if owed < taken {
            try post(
                from: appeal, to: stake, TokenAmount(microtokens: taken - owed), rule: rule, call)
        } else {
            try post(
                from: stake, to: appeal, TokenAmount(microtokens: owed - taken), rule: rule, call)
        }
        window.setPenalty(of: reader, to: owed)
        if window.rule.isEmpty { window.rule = MoneyRule.pay }
        set(.windows, key, to: window)
    }
}

extension WireWindowState {
    /// Sets what waits in escrow for a reader; accounts stay ascending, amounts above 0.
    fileprivate mutating func setPenalty(of reader: AccountID, to amount: UInt64) {
        if let place = appeals.firstIndex(of: reader.text) {
            appeals.remove(at: place)
            microtokens.remove(at: place)
        }
        guard amount > 0 else { return }
        let place =
            appeals.firstIndex { reader.text.utf8.lexicographicallyPrecedes($0.utf8) }
            ?? appeals.count
        appeals.insert(reader.text, at: place)
        microtokens.insert(amount, at: place)
    }
}
