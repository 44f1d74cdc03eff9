import Ledger
package import Wire

extension WireItemState {
    /// Whether no reader has been asked yet: windows open with the first wave.
    var isBeforeFirstWave: Bool { commitUntil == 0 }

    /// Whether somebody is still asked: readers before there is an outcome, or seniors in a
    /// dispute about it.
    package var isUnderWay: Bool {
        outcome == .open || (hasDispute && dispute.decidedHeight == 0)
    }

    /// The number of the wave that is asked now; the first is 0.
    package var wave: UInt32 { UInt32(clamping: later.count) }

    /// Who is asked now.
    package var presentReaders: [String] { later.last?.readers ?? readers }

    /// Whoever was asked, wave after wave.
    package var everyReader: [String] { readers + later.flatMap(\.readers) }

    /// What came from those who are asked now.
    package var presentAnswers: [WireAnswerState] { answers.filter { $0.wave == wave } }

    /// The numbers of the waves that adjudicate.
    package var seniorWaves: Set<UInt32> {
        Set(later.enumerated().filter(\.element.seniors).map { UInt32(clamping: $0.offset + 1) })
    }

    /// What readers, not seniors, revealed.
    package var readersAnswers: [WireAnswerState] {
        let seniors = seniorWaves
        return answers.filter { $0.grade > 0 && !seniors.contains($0.wave) }
    }

    /// What the first wave revealed: all that pay and score see, gold items aside.
    package var firstAnswers: [WireAnswerState] {
        answers.filter { $0.grade > 0 && $0.wave == 0 }
    }
}

/// How many seniors adjudicate.
let seniorsAsked = 2

extension ChangeSet {
    /// Asks the next wave, or two seniors after the last.
    ///
    /// - Returns: false when nobody is left to ask.
    mutating func askFurther(
        _ item: ItemID, _ state: inout WireItemState, _ call: Call
    ) -> Bool {
        let rule = call.context.agreement.annotation
        let asked = state.everyReader.count
        if !state.seed.isEmpty, rule.waves.indices.contains(state.later.count + 1) {
            var wave = WireWaveState()
            wave.readers = draw(
                item, state, count: Int(rule.waves[state.later.count + 1]) - asked,
                credential: rule.credential, call)
            if !wave.readers.isEmpty {
                state.later.append(wave)
                state.openWindows(call)
                return true
            }
        }
        return askSeniors(item, &state, call)
    }

    /// Asks two seniors who have not been asked before.
    ///
    /// - Returns: false when there are no two.
    mutating func askSeniors(
        _ item: ItemID, _ state: inout WireItemState, _ call: Call
    ) -> Bool {
        var wave = WireWaveState()
        wave.seniors = true
        wave.readers = draw(
            item, state, count: seniorsAsked,
            credential: call.context.agreement.annotation.seniorCredential, call)
        guard wave.readers.count == seniorsAsked else { return false }
        state.later.append(wave)
        state.openWindows(call)
        return true
    }

    /// Pays the flat fee for each answer that was given after others had revealed.
    ///
    /// Such an answer can lean on the ones before it, so it is no reference for anybody's pay and
    /// has none of its own beside the fee; what the reserve does not hold is not paid.
    mutating func payLaterAnswers(_ state: WireItemState, _ call: Call) throws(Rejection) {
        guard state.wave > 0 else { return }
        let fee = TokenAmount(
            microtokens: call.context.agreement.annotation.laterFeeMicrotokens)
        for answer in state.presentAnswers where answer.grade > 0 {
            guard let reader = AccountID(answer.annotator),
                balance(of: ConsortiumAccount.reserve, at: call.height) >= fee
            else { continue }
            try post(
                from: ConsortiumAccount.reserve, to: reader, fee, rule: MoneyRule.annotation,
                delay: UInt64(call.context.agreement.rewards.appealWindow), call)
        }
    }

    /// Ends an item by what its two seniors say together.
    mutating func adjudicate(_ state: inout WireItemState, by rule: WireAnnotationRule) {
        let readers = state.readersAnswers
        if let low = readers.map(\.grade).min(), let high = readers.map(\.grade).max(),
            rule.kind.isGrade
        {
            state.spread = high - low
        }
        guard let label = rule.ruling(state) else {
            let isAnswered = readers.count >= max(1, Int(rule.minimumAnswers))
            state.outcome = isAnswered ? .disputed : .tooFew
            return
        }
        state.outcome = .approved
        state.keep(label, rule)
        countApproved(&state, rule)
    }
}

extension WireItemState {
    /// Sets the label of an approved item.
    mutating func keep(_ label: Answer, _ rule: WireAnnotationRule) {
        grade = rule.grade(of: label)
        if !rule.kind.isGrade { consensus = data(label.bytes) }
    }
}

extension WireAnnotationRule {
    /// What two seniors say together, by the rule of the study for two answers.
    ///
    /// - Returns: nil unless both answered and agree.
    func ruling(_ state: WireItemState) -> Answer? {
        let answers = state.presentAnswers.filter { $0.grade > 0 }
        guard answers.count == seniorsAsked else { return nil }
        var rule = self
        rule.minimumAnswers = UInt32(clamping: seniorsAsked)
        let size = state.size
        switch kind {
        case .class:
            return answers[0].grade == answers[1].grade ? .grade(answers[0].grade) : nil
        case .ordinal:
            return rule.ordinalRule.outcome(of: answers.map { Int($0.grade) }).label
                .map { .grade(UInt32($0)) }
        case .measurement:
            return rule.measurementRule.consensus(of: answers.compactMap(\.measurement)).label
                .map { .measurement($0) }
        case .boxes:
            return rule.boxRule.consensus(of: answers.compactMap { $0.boxes(on: size) }).label
                .map { .boxes($0) }
        case .masks:
            return rule.maskRule.consensus(of: answers.compactMap { $0.mask(on: size) }).label
                .map { .mask($0) }
        }
    }
}
