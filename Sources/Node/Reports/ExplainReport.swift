import Contracts
import Cryptography
package import Ledger
package import Wire

/// What one reader answered to an item, and what it earned by rule pay/1.
package struct ReaderReport: Codable, Sendable {
    package var annotator: String
    /// `none`, `committed` or `revealed`.
    package let answer: String
    /// Of a measurement, boxes or a mask 2 when it is positive, else 1.
    @OrNull package var grade: UInt32?
    /// The answer in words.
    @OrNull package var value: String?
    /// Boxes or a mask, all of it.
    @OrNull package var drawn: DrawnAnswer? = nil
    /// How far boxes or a mask agree with the consensus.
    @OrNull package var agreementPermille: UInt64? = nil
    /// Whether the answer supports the consensus, as the agreement says; null without consensus.
    @OrNull package var inConsensus: Bool?
    /// What the answer is paid against, of grades and classes.
    @OrNull package var reference: UInt32?
    /// The same of any answer, in words.
    @OrNull package var referenceValue: String? = nil
    /// How much the reader weighs in others' references; null unless its period closed with gold.
    @OrNull package var weight: UInt64? = nil
    /// Micro-points beyond chance, rounded down, before the fee.
    @OrNull package var figure: Int64?
    /// Micro-points that every row must reach.
    @OrNull package var fee: UInt64?
    /// Figure less fee in tokens of one round's share at today's weights, rounded down.
    @OrNull package var tokensPerRound: String?
    /// How the figure comes about, in words and numbers.
    package var arithmetic: String
    /// The wave in which the reader was asked, the first is 1.
    package var wave: UInt32 = 1
    /// Whether it was asked as a senior.
    package var senior = false
}

/// An outcome put into question.
package struct DisputeReport: Codable, Sendable {
    package var by: String
    package let reason: String
    package let height: UInt64
    /// `open`, `upheld` or `reversed`.
    package let outcome: String
    /// What the readers' outcome was, in words; null where there was none.
    @OrNull package var earlier: String?
}

/// Why an item came out as it did, and what each reader got.
package struct ExplainReport: Codable, Sendable {
    package let item: String
    /// `open`, `approved`, `disputed` or `tooFew`.
    package let outcome: String
    package let reason: String
    @OrNull package var grade: UInt32?
    /// The consensus in words.
    @OrNull package var value: String?
    /// Boxes or a mask, all of it.
    @OrNull package var drawn: DrawnAnswer?
    @OrNull package var spread: UInt32?
    @OrNull package var posteriorPermille: UInt32?
    package let period: UInt32
    @OrNull package var closedHeight: UInt64?
    /// The transaction that closed it.
    @OrNull package var closedBy: String?
    package var readers: [ReaderReport]
    /// Null while nobody disputed it.
    @OrNull package var dispute: DisputeReport?
    /// The true answer, when the item turned out to be gold.
    @OrNull package var gold: String?
    /// Boxes or a mask, all of it.
    @OrNull package var goldDrawn: DrawnAnswer?
    package let settledHeight: UInt64

    /// The same without names, in the order of the answers, which says nothing of who gave them.
    package func anonymous() throws -> Self {
        var report = self
        let ordered = try readers.map { reader in
            let drawn = String(decoding: try reader.drawn.map(reportJSON) ?? [], as: UTF8.self)
            return (reader: reader, order: (reader.wave, reader.value ?? "", reader.answer, drawn))
        }.sorted { $0.order < $1.order }
        report.readers = ordered.enumerated().map { place, entry in
            var reader = entry.reader
            reader.annotator = "reader \(place + 1)"
            (reader.reference, reader.referenceValue, reader.weight) = (nil, nil, nil)
            (reader.figure, reader.fee, reader.tokensPerRound) = (nil, nil, nil)
            reader.arithmetic = "shown without names"
            return reader
        }
        report.dispute?.by = "somebody"
        return report
    }
}

package func outcomeName(_ outcome: WireItemOutcome) -> String {
    switch outcome {
    case .open: "open"
    case .approved: "approved"
    case .disputed: "disputed"
    case .tooFew: "tooFew"
    case .UNRECOGNIZED: "unknown"
    }
}

extension Reporter {
    package func explain(_ item: ItemID) throws -> ExplainReport {
        try read { view in
            guard let state = view.state.item(item) else {
                let record = view.state.value(
                    WireRecordState.self, .records, Array(item.text.utf8))
                throw ReportError.notFound(
                    record?.duplicate == true
                        ? "\(item) is a duplicate of another record; it opened no item"
                        : "there is no item \(item) at height \(view.height); see `tally data list`"
                )
            }
            let rule = view.rule(of: state)
            let isClosed = state.outcome != .open
            let isApproved = state.isApproved
            let label = state.label(kind: rule.kind)
            let gold = Answer(bytes: state.gold, kind: rule.kind, size: state.size)
            let closedBy = Digest(state.closeEnvelope).map {
                TransactionID(envelope: $0, index: state.closeIndex)
            }
            return ExplainReport(
                item: item.text,
                outcome: outcomeName(state.hasReversal ? .approved : state.outcome),
                reason: view.reason(state), grade: isApproved ? state.labelGrade : nil,
                value: label.map { answerText($0, rule) },
                drawn: label.flatMap { DrawnAnswer($0, rule) },
                spread: isClosed && !state.hasReversal ? state.spread : nil,
                posteriorPermille: isApproved && rule.kind.isGrade && !state.hasReversal
                    ? state.posteriorPermille : nil,
                period: state.period, closedHeight: isClosed ? state.closedHeight : nil,
                closedBy: isClosed ? closedBy?.description : nil,
                readers: try state.everyReader.map { try view.reader($0, item, state) },
                dispute: view.dispute(state),
                gold: gold.map { answerText($0, rule) },
                goldDrawn: gold.flatMap { DrawnAnswer($0, rule) },
                settledHeight: view.height)
        }
    }
}

extension ReportView {
    fileprivate func reason(_ state: WireItemState) -> String {
        let rule = rule(of: state)
        let grades = state.readersAnswers.map(\.grade)
        if state.hasReversal {
            return "two seniors reversed the readers' outcome, "
                + "\(outcomeName(state.outcome)), in a dispute"
        }
        if state.outcome != .open, state.later.last?.seniors == true, !state.hasDispute {
            return state.outcome == .approved
                ? "two seniors agree, after \(grades.count) answers of readers did not suffice"
                : "neither \(grades.count) answers of readers nor two seniors came to a label"
        }
        if state.isSecretLost {
            return "nobody can open the site's secret any more: nobody was asked"
        }
        switch state.outcome {
        case .open where state.secretOverdue:
            return
                "the site has not opened its secret by height \(state.seedUntil); until it does it "
                + "can register nothing and submit no update"
        case .open where state.awaitsSeed:
            return
                "the site's secret is awaited until height \(state.seedUntil); then the panel is "
                + "drawn"
        case .open:
            let wave = state.later.last?.seniors == true ? "seniors" : "readers"
            let revealed = state.presentAnswers.count { $0.grade > 0 }
            return "wave \(state.wave + 1): \(state.presentAnswers.count) of "
                + "\(state.presentReaders.count) \(wave) have committed, \(revealed) have revealed"
        case .tooFew where state.everyReader.isEmpty:
            return rule.isDrawn
                ? "nobody could be asked: no reader with the credential \"\(rule.credential)\" "
                    + "was enrolled who may read it"
                : "no readers were listed"
        case .tooFew, .UNRECOGNIZED:
            return "\(grades.count) answers, at least \(rule.minimumAnswers) are needed"
        case .approved, .disputed: return support(state, grades)
        }
    }

    fileprivate func dispute(_ state: WireItemState) -> DisputeReport? {
        guard state.hasDispute else { return nil }
        let rule = rule(of: state)
        var before = state
        before.clearReversal()
        return DisputeReport(
            by: state.dispute.by, reason: state.dispute.reason, height: state.dispute.height,
            outcome: state.hasReversal
                ? "reversed" : state.dispute.decidedHeight == 0 ? "open" : "upheld",
            earlier: before.label(kind: rule.kind).map { answerText($0, rule) }
                ?? outcomeName(state.outcome))
    }

    fileprivate mutating func reader(
        _ text: String, _ name: ItemID, _ item: WireItemState
    ) throws -> ReaderReport {
        var report = try answered(text, name, item)
        let wave = item.later.lastIndex { $0.readers.contains(text) }.map { $0 + 1 } ?? 0
        report.wave = UInt32(clamping: wave + 1)
        report.senior = wave > 0 && item.later[wave - 1].seniors
        return report
    }

    private mutating func answered(
        _ text: String, _ name: ItemID, _ item: WireItemState
    ) throws -> ReaderReport {
        let rule = rule(of: item)
        let answer = item.answers.first { $0.annotator == text }
        guard let account = AccountID(text), let answer, answer.grade > 0 else {
            return ReaderReport(
                annotator: text, answer: answer == nil ? "none" : "committed", grade: nil,
                value: nil, inConsensus: nil, reference: nil, figure: nil, fee: nil,
                tokensPerRound: nil,
                arithmetic: answer.map { silence($0, item) } ?? absence(of: text))
        }
        let given = answer.revealed(kind: rule.kind, size: item.size)
        let label = item.label(kind: rule.kind)
        var report = ReaderReport(
            annotator: account.text, answer: "revealed", grade: answer.grade,
            value: given.map { answerText($0, rule) },
            drawn: given.flatMap { DrawnAnswer($0, rule) }, inConsensus: nil, reference: nil,
            figure: nil, fee: nil, tokensPerRound: nil, arithmetic: "")
        if let given, let label {
            report.inConsensus = rule.supports(given, label)
            report.agreementPermille = rule.agreementPermille(given, label)
        }
        report.weight = answer.wave > 0 ? nil : goldWeight(of: account, item)
        let isJudged = isJudgedByGold(item)
        if answer.wave > 0, answer.wave == item.wave, item.isUnderWay {
            report.arithmetic = "others are still asked: the flat fee comes with the wave's end"
        } else if answer.wave > 0, !isJudged {
            let fee = TokenAmount(microtokens: rule.laterFeeMicrotokens)
            report.arithmetic =
                "answered after others had revealed: the flat fee of \(fee) tokens, and judged by "
                + "gold alone"
        } else if !item.isApproved {
            let end = item.outcome == .open ? "is still open" : "ended without consensus"
            report.arithmetic = "the item \(end): no gain and no loss"
        } else if !item.gold.isEmpty, !isJudged {
            report.arithmetic =
                "gold, and without a label when the period closed: no row, no pay"
        } else if rule.kind.isGrade {
            try explainGrade(&report, account, answer.grade, item)
        } else {
            explainGraded(&report, account, name, item)
        }
        return report
    }

    /// A commitment without a reveal: as long as its own wave is asked there is time.
    private mutating func silence(_ answer: WireAnswerState, _ item: WireItemState) -> String {
        guard !item.isUnderWay || answer.wave < item.wave else {
            return "has committed and not yet revealed"
        }
        let member = AccountID(answer.annotator).flatMap { state.member($0) }
        let ended = member?.endedHeight ?? 0
        // When an earlier wave ended is not kept.
        let isLast = answer.wave == item.wave && !item.hasDispute
        guard ended > 0, !isLast || ended <= item.closedHeight else {
            return "committed and never revealed: the stake left was taken"
        }
        guard isLast, ended < item.closedHeight else {
            return "committed and never revealed; its keys ended at height \(ended), and if that "
                + "was before the reveals were over, its stake went back to the reserve"
        }
        return "committed and never revealed; its keys ended at height \(ended), and its stake "
            + "went back to the reserve with them"
    }

    private mutating func absence(of text: String) -> String {
        let ended = AccountID(text).flatMap { state.member($0) }?.endedHeight ?? 0
        return ended > 0
            ? "has not answered; its keys ended at height \(ended)" : "has not answered"
    }

    /// How much a reader weighs in others' references, once its period is closed with gold.
    private mutating func goldWeight(of account: AccountID, _ item: WireItemState) -> UInt64? {
        let period = state.value(WirePeriodState.self, .periods, bigEndian(item.period))
        guard item.period > 0, (period?.gold ?? 0) > 0 else { return nil }
        return state.referenceWeight(of: account, in: item.period)
    }

    /// Sets the figure of a grade or class of an approved item, from the period in which its row
    /// was paid.
    private mutating func explainGrade(
        _ report: inout ReaderReport, _ account: AccountID, _ grade: UInt32, _ item: WireItemState
    ) throws {
        let paid = paidPeriod(of: account, item)
        let rule = rule(ofPeriod: paid?.period ?? item.period)
        let scale = try AnswerScale(classes: Int(rule.classes), ordinal: rule.kind == .ordinal)
        let truth = Answer(bytes: item.gold, kind: rule.kind, size: nil)
        var reference = state.reference(of: account, item, scale)
        if case .grade(let grade) = truth { reference = Int(grade) - 1 }
        let multiplicity = truth == nil ? UInt64(1) : goldMultiplicity
        report.reference = reference.map { UInt32($0) + 1 }
        report.referenceValue = report.reference.map { answerText(.grade($0), rule) }
        guard let reference, scale.contains(reference) else {
            report.arithmetic =
                item.hasReversal
                ? "no class of the agreement under which the period closed: no row, no pay"
                : item.firstAnswers.count < 2
                    ? "nobody else answered: no row, no pay"
                    : "the others are tied, or weigh nothing: no row, no pay"
            return
        }
        guard let pay = paid?.pay,
            let rows = PayRows(answers: UInt64(pay.answers), joint: pay.joint),
            let beyond = BeyondChance(rows, on: scale), beyond.rows > 0
        else {
            report.arithmetic = unpaid(item)
            return
        }
        let own = Int(grade) - 1
        let figure = beyond.figure(
            own: own, reference: reference, multiplicity: multiplicity, on: scale)
        let agreed = scale.agreement(own, reference)
        let times = truth != nil ? "gold, \(multiplicity) rows: \(multiplicity) × " : ""
        set(
            &report, figure: figure, fee: multiplicity * (pay.fee / UInt64(beyond.rows)),
            "\(times)10^6 × (\(agreed)/\(scale.top) − C/(n²·\(scale.top))) with n = \(beyond.rows) rows "
                + "and chance C = \(beyond.chance): \(figure) micro-points")
    }

    /// The period in which a row of an item was paid, and its pay; nil when there is none yet.
    ///
    /// Rows of a reader below 30 answers are carried until a period in which it is rated.
    mutating func paidPeriod(
        of account: AccountID, _ item: WireItemState
    ) -> (period: UInt32, pay: WirePayState)? {
        for period in item.period..<max(item.period, state.openPeriod().number) {
            guard let pay = pay(of: account, in: period), pay.rated, pay.rows > 0 else { continue }
            return (period, pay)
        }
        return nil
    }

    /// Why a row of an item is not paid yet.
    mutating func unpaid(_ item: WireItemState) -> String {
        guard item.period < state.openPeriod().number else {
            return "period \(item.period) is open: pay is settled when it closes"
        }
        return "not yet rated (below \(ScoreReport.minimumAnswers) answers): the row is carried to "
            + "the next period"
    }

    /// Sets a figure less its fee, and how it comes about.
    mutating func set(
        _ report: inout ReaderReport, figure: Int64, fee: UInt64, _ arithmetic: String
    ) {
        report.figure = figure
        report.fee = fee
        report.tokensPerRound = tokensPerRound(figure - Int64(clamping: fee))
        report.arithmetic = "\(arithmetic), less the fee of \(fee)"
    }

    /// Micro-points in tokens of one round's share for annotators.
    private mutating func tokensPerRound(_ points: Int64) -> String? {
        let rewards = agreement.rewards
        let share = TokenAmount(microtokens: rewards.roundPoolMicrotokens)
            .portion(UInt64(rewards.annotatorsBasisPoints), of: 10_000)
        let weight = all(WirePayTotal.self, .payTotals).reduce(UInt64(0)) { sum, entry in
            sum.addingReportingOverflow(entry.value.weight).partialValue
        }
        return payFigure(points: points, share: share, totalWeight: weight).map(signedTokens)
    }
}

/// Microtokens with a sign, as tokens with six decimals.
private func signedTokens(_ microtokens: Int64) -> String {
    (microtokens < 0 ? "-" : "") + TokenAmount(microtokens: microtokens.magnitude).description
}
