import Ledger
package import Wire

extension WireAnnotationRule {
    /// The kind of answer; an agreement of another kind is refused before anybody signs under it.
    package var kind: AnswerKind { AnswerKind(rawValue: answer) ?? .ordinal }

    package var classRule: ClassRule {
        ClassRule(
            minimumAnswers: UInt64(minimumAnswers), minimumVotes: UInt64(minimumVotes),
            posteriorPermille: UInt64(posteriorPermille))
    }

    package var ordinalRule: OrdinalRule {
        OrdinalRule(
            minimumAnswers: Int(minimumAnswers), tolerance: UInt(nearDistance),
            support: UInt64(nearShareNumerator), outOf: UInt64(nearShareDenominator),
            spread: UInt(maximumSpread))
    }

    package var measurementRule: MeasurementRule {
        MeasurementRule(
            absoluteTolerance: absoluteTolerance,
            relativePermille: UInt64(relativeTolerancePermille),
            minimumAnswers: UInt64(minimumAnswers), support: UInt64(nearShareNumerator),
            outOf: UInt64(nearShareDenominator))
    }

    package var boxRule: BoxRule {
        BoxRule(
            overlapPermille: UInt64(overlapPermille),
            agreementPermille: UInt64(agreementPermille), minimumAnswers: UInt64(minimumAnswers))
    }

    package var maskRule: MaskRule {
        MaskRule(
            dicePermille: UInt64(agreementPermille), minimumAnswers: UInt64(minimumAnswers))
    }

    /// What an answer trains as: a grade as itself, else 2 for a positive answer and 1 for none.
    ///
    /// Positive is a measurement above the agreement's cut, and any box or pixel at all.
    func grade(of answer: Answer) -> UInt32 {
        switch answer {
        case .grade(let grade): grade
        case .measurement(let value): value > cut ? 2 : 1
        case .boxes(let set): set.boxes.isEmpty ? 1 : 2
        case .mask(let mask): mask.area == 0 ? 1 : 2
        }
    }
}

extension WireItemState {
    /// The image's size; nil where answers are not about pixels.
    package var size: ImageSize? { ImageSize(width: width, height: height) }

    /// Whether the item has a label, from its readers or from seniors who reversed its outcome.
    package var isApproved: Bool { outcome == .approved || hasReversal }

    /// The label's grade, or what it trains as.
    package var labelGrade: UInt32 { hasReversal ? reversal.grade : grade }

    /// The label of an approved item.
    package func label(kind: AnswerKind) -> Answer? {
        guard isApproved else { return nil }
        return kind.isGrade
            ? .grade(labelGrade)
            : Answer(bytes: hasReversal ? reversal.consensus : consensus, kind: kind, size: size)
    }
}

extension WireAnswerState {
    mutating func keep(_ answer: Answer, _ rule: WireAnnotationRule) {
        grade = rule.grade(of: answer)
        if !rule.kind.isGrade { self.answer = data(answer.bytes) }
    }

    /// The answer, once revealed.
    package func revealed(kind: AnswerKind, size: ImageSize?) -> Answer? {
        guard grade > 0 else { return nil }
        return kind.isGrade ? .grade(grade) : Answer(bytes: answer, kind: kind, size: size)
    }

    package var measurement: Int64? {
        guard case .measurement(let value) = revealed(kind: .measurement, size: nil) else {
            return nil
        }
        return value
    }

    package func boxes(on size: ImageSize?) -> BoxSet? {
        guard case .boxes(let set) = revealed(kind: .boxes, size: size) else { return nil }
        return set
    }

    package func mask(on size: ImageSize?) -> RunMask? {
        guard case .mask(let mask) = revealed(kind: .masks, size: size) else { return nil }
        return mask
    }
}

extension Call {
    /// The answer that a reveal shows, if it is one that the agreement asks for.
    func answer(
        _ body: WireAnswerReveal, to state: WireItemState
    ) throws(Rejection) -> Answer {
        let rule = context.agreement.annotation
        if rule.kind.isGrade {
            try require(body.grade >= 1 && body.grade <= rule.classes, else: .gradeOutOfRange)
            try require(body.answer == nil, else: .answerMalformed)
            return .grade(body.grade)
        }
        try require(body.grade == 0, else: .answerMalformed)
        switch (rule.kind, body.answer) {
        case (.measurement, .measurement(let value)): return .measurement(value)
        case (.boxes, .boxes(let answer)):
            let boxes = answer.boxes.map {
                Box(
                    label: $0.label, left: $0.left, top: $0.top, right: $0.right,
                    bottom: $0.bottom)
            }
            guard let size = state.size,
                boxes.allSatisfy({ (1...max(1, rule.classes)).contains($0.label) }),
                let set = BoxSet(size: size, boxes: boxes)
            else { throw .answerMalformed }
            return .boxes(set)
        case (.masks, .mask(let answer)):
            guard let size = state.size, let mask = RunMask(size: size, runs: answer.runs) else {
                throw .answerMalformed
            }
            return .mask(mask)
        default: throw .answerMalformed
        }
    }
}

extension ChangeSet {
    /// Decides an item from its revealed answers, and counts it into the scores when approved.
    mutating func decide(_ state: inout WireItemState, by rule: WireAnnotationRule) {
        let answers = state.readersAnswers
        let grades = answers.map { Int($0.grade) }
        let size = state.size
        switch rule.kind {
        case .class:
            let score = onlineScore(answers, classes: Int(rule.classes))
            state.end(score.map { rule.classRule.outcome(of: grades, $0, rule) }) { .grade($0) }
            if let score, state.outcome == .approved {
                let share = score.posterior.permille(of: Int(state.grade) - 1)
                state.posteriorPermille = UInt32(share)
            }
            countApproved(&state, rule)
        case .ordinal:
            state.end(rule.ordinalRule.outcome(of: grades)) { .grade(UInt32($0)) }
            if let low = grades.min(), let high = grades.max() { state.spread = UInt32(high - low) }
            countApproved(&state, rule)
        case .measurement:
            state.end(rule.measurementRule.consensus(of: answers.compactMap(\.measurement))) {
                .measurement($0)
            }
        case .boxes:
            state.end(rule.boxRule.consensus(of: answers.compactMap { $0.boxes(on: size) })) {
                .boxes($0)
            }
        case .masks:
            state.end(rule.maskRule.consensus(of: answers.compactMap { $0.mask(on: size) })) {
                .mask($0)
            }
        }
        guard !rule.kind.isGrade, let label = state.label(kind: rule.kind) else { return }
        state.grade = rule.grade(of: label)
    }

    /// Counts an approved item's first wave into the online scores, and keeps what they make of
    /// its label unless all of its readers did already.
    mutating func countApproved(_ state: inout WireItemState, _ rule: WireAnnotationRule) {
        let answers = state.firstAnswers
        guard state.outcome == .approved, rule.kind.isGrade, !answers.isEmpty,
            let score = onlineScore(answers, classes: Int(rule.classes))
        else { return }
        if state.posteriorPermille == 0 {
            let share = score.posterior.permille(of: Int(state.grade) - 1)
            state.posteriorPermille = UInt32(share)
        }
        count(score)
    }
}

extension ClassRule {
    /// The rule over an item's answers, classes counted from 1.
    fileprivate func outcome(
        of classes: [Int], _ score: OnlineScore, _ rule: WireAnnotationRule
    ) -> Consensus<UInt32> {
        var votes = [UInt64](repeating: 0, count: Int(rule.classes))
        for answer in classes where votes.indices.contains(answer - 1) { votes[answer - 1] += 1 }
        switch outcome(votes: votes, posterior: score.posterior) {
        case .approved(let label): return .approved(UInt32(label) + 1)
        case .indeterminate(let reason): return .indeterminate(reason)
        }
    }
}

extension WireItemState {
    fileprivate mutating func end<Label>(
        _ consensus: Consensus<Label>?, _ answer: (Label) -> Answer
    ) {
        switch consensus ?? .indeterminate(.tooFew) {
        case .approved(let label):
            outcome = .approved
            switch answer(label) {
            case .grade(let grade): self.grade = grade
            case let other: self.consensus = data(other.bytes)
            }
        case .indeterminate(.disputed): outcome = .disputed
        case .indeterminate(.tooFew): outcome = .tooFew
        }
    }
}
