import Contracts
package import Ledger
import Wire

/// What a closed period came to for one annotator.
package struct PeriodPay: Codable, Sendable {
    package let period: UInt32
    package let answers: UInt32
    /// Answers to approved items that had others to compare with, carried ones included.
    package let rows: UInt64
    /// Micro-points beyond chance.
    package let points: Int64
    package let fee: UInt64
    package let weight: UInt64
    package let shortfall: UInt64
    package let rated: Bool
    package let accuracyPermille: UInt32
    package let agreementPermille: Int32
}

/// An annotator's score: how often right, and how far beyond chance.
package struct ScoreReport: Codable, Sendable {
    /// Answers below which nothing is said of an annotator.
    package static let minimumAnswers: UInt64 = 30

    package let account: String
    package let answers: UInt64
    package let rated: Bool
    /// Null while not yet rated.
    @OrNull package var accuracyPermille: Int64?
    @OrNull package var agreementPermille: Int64?
    package let text: String
    /// Σ of closed periods: the weight by which a round's share is divided.
    package let weight: UInt64
    package let shortfall: UInt64
    package let periods: [PeriodPay]
    package let settledHeight: UInt64
}

extension Reporter {
    package func score(of account: AccountID) throws -> ScoreReport {
        guard account.role == .annotator else {
            throw ReportError.badArgument(
                report: .score, reason: "\(account) is no annotator; only annotators have a score")
        }
        return try read { view in
            try view.requireKnown(account)
            let key = Array(account.text.utf8)
            guard view.agreement.annotation.kind.isGrade else {
                return view.gradedScore(of: account)
            }
            let score = view.state.value(WireScoreState.self, .scores, key) ?? WireScoreState()
            let answers = score.settledAnswers + score.onlineAnswers
            let counts = try view.counts(of: account, score)
            let isRated = answers >= ScoreReport.minimumAnswers && counts != nil
            let total = view.state.value(WirePayTotal.self, .payTotals, key) ?? WirePayTotal()
            let accuracy = isRated ? counts?.accuracyPermille(account) : nil
            let agreement = isRated ? counts?.kappaPermille(account) : nil
            return ScoreReport(
                account: account.text, answers: answers, rated: isRated,
                accuracyPermille: accuracy, agreementPermille: agreement,
                text: isRated
                    ? "accuracy \(accuracy ?? 0)‰, agreement beyond chance \(agreement ?? 0)‰ "
                        + "(n = \(answers))"
                    : "not yet rated (n = \(answers), needs \(ScoreReport.minimumAnswers))",
                weight: total.weight, shortfall: total.shortfall,
                periods: view.periods(of: account), settledHeight: view.height)
        }
    }
}

extension ReportView {
    /// The score of an annotator of measurements, boxes or masks: what its rated periods say.
    fileprivate mutating func gradedScore(of account: AccountID) -> ScoreReport {
        let key = Array(account.text.utf8)
        let total = state.value(WirePayTotal.self, .payTotals, key) ?? WirePayTotal()
        let closed = state.openPeriod().number
        let pays = (1..<max(1, closed)).compactMap { pay(of: account, in: $0) }.filter(\.rated)
        let answers = pays.reduce(UInt64(total.carriedAnswers)) { $0 + UInt64($1.answers) }
        let rows = GradedRows(
            answers: answers, count: pays.reduce(0) { $0 + $1.rows },
            agreed: pays.reduce(0) { $0 + $1.agreed }, chance: pays.reduce(0) { $0 + $1.chance })
        let isRated = rows.map { $0.count > 0 } ?? false
        let agreed = isRated ? rows.map { Int64($0.agreementPermille) } : nil
        let beyond = isRated ? rows?.kappaPermille : nil
        return ScoreReport(
            account: account.text, answers: answers, rated: isRated, accuracyPermille: agreed,
            agreementPermille: beyond,
            text: isRated
                ? "agreement with the other readers \(agreed ?? 0)‰, beyond chance "
                    + "\(beyond ?? 0)‰ (n = \(answers))"
                : "not yet rated (n = \(answers), needs \(ScoreReport.minimumAnswers))",
            weight: total.weight, shortfall: total.shortfall, periods: periods(of: account),
            settledHeight: height)
    }

    /// Settled and online counts together; nil before the first answer is counted.
    fileprivate func counts(of account: AccountID, _ score: WireScoreState) throws -> ScoreCounts? {
        let classes = Int(agreement.annotation.classes)
        guard let settled = widened(score.settled, to: classes), !settled.isEmpty,
            let online = widened(score.online, to: classes), !online.isEmpty
        else { return nil }
        let table = zip(settled, online).map { $0 &+ $1 }
        return try ScoreCounts(
            classes: classes, prior: Array(repeating: 0, count: classes),
            confusion: [account: table])
    }

    fileprivate mutating func periods(of account: AccountID) -> [PeriodPay] {
        let closed = state.openPeriod().number
        return (1..<max(1, closed)).compactMap { number in
            pay(of: account, in: number).map { pay in
                PeriodPay(
                    period: number, answers: pay.answers, rows: pay.rows, points: pay.points,
                    fee: pay.fee, weight: pay.weight, shortfall: pay.shortfall, rated: pay.rated,
                    accuracyPermille: pay.accuracyPermille, agreementPermille: pay.kappaPermille)
            }
        }
    }

    mutating func pay(of account: AccountID, in period: UInt32) -> WirePayState? {
        state.pay(of: account, in: period)
    }
}
