import Contracts
import Ledger
import Storage
import Wire

/// Says how a rule came to the amount of a posting, from what the chain recorded of it.
///
/// Weights of a round are read once for all postings of its pool, those of an income once for all
/// of its postings.
struct Arithmetic {
    private var rounds = RoundSettlements()
    private var incomes: [TransactionID: IncomeDivision] = [:]

    /// One sentence; it never fails for what the chain does not tell.
    mutating func text(
        of posting: RecordedPosting, in view: inout ReportView
    ) throws -> String {
        switch (posting.rule, posting.debit.kind, posting.credit.kind) {
        case ("stake/1", "stake", _): return "the stake of a reader whose keys ended"
        case ("stake/1", _, _): return "the agreement's stake of a new reader"
        case ("transfer/1", _, _): return "as its owner signed"
        case ("claim/1", _, _): return "as the patient's claim key signed"
        case ("redemption/1", _, "external"): return "paid outside, so the tokens are no more"
        case ("redemption/1", let kind, _) where kind.hasPrefix("redemption-"):
            return "a payout that was given up"
        case ("redemption/1", _, _): return "put aside to be paid out"
        case ("correction/1", _, _): return "takes back from posting \(posting.corrects)"
        case ("reversal/1", _, _): return try reversal(posting, &view)
        case (_, "appeal", "reserve"): return "the appeal window is over"
        case ("annotation/1", "stake", _): return "the stake: an answer was committed, not revealed"
        case ("annotation/1", "reserve", _):
            return "the agreement's flat fee of an answer after others had revealed"
        case ("pay/1", "stake", _): return try penalty(posting, &view)
        case ("revenue/1", _, _): return try revenue(posting, &view)
        case ("split/1", "reserve", _): return "the round's pool, or what the reserve still had"
        case ("split/1", "pool", "pool"): return "a role's share that had waited for weights"
        case ("split/1", "pool", _):
            return try rounds.settlement(of: posting.debit, by: posting.cause, in: view)
                .text(of: posting)
        default: return ""
        }
    }

    /// ⌊share · shortfall / Σ weights⌋ with the shortfall of the periods that were closed then.
    private mutating func penalty(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        let reader = AccountID(.annotator, posting.debit.name)
        let pool = try view.store.postings(by: posting.cause)
            .first { $0.debit.kind == "pool" && $0.credit.kind != "pool" }?.debit
        guard let pool else { return "worse than chance" }
        let round = try rounds.settlement(of: pool, by: posting.cause, in: view)
        let candidates = view.shortfalls(of: reader, closedBy: posting.height)
        let owed = candidates.map { round.part($0) }
        let place =
            owed.firstIndex(of: posting.amount) ?? owed.firstIndex { $0 > posting.amount } ?? 0
        let product = round.partText(candidates[place])
        let reason = "micro-points short of chance and fee"
        guard owed[place] >= posting.amount else { return "of \(product) \(reason)" }
        return owed[place] == posting.amount
            ? "\(product) \(reason)"
            : "\(product) = \(owed[place]) for \(reason), and the stake had no more"
    }

    private mutating func revenue(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        if posting.debit.kind == ConsortiumAccount.outside { return "income from outside" }
        if incomes[posting.cause] == nil {
            incomes[posting.cause] = try IncomeDivision(of: posting.cause, in: &view)
        }
        return incomes[posting.cause]?.text(of: posting) ?? ""
    }

    /// What a changed weight or shortfall makes of an earlier round.
    ///
    /// The round is the one whose appeal window was open, the period the one that was corrected;
    /// what the chain no longer tells apart, after several reversals, is said with both ends.
    private mutating func reversal(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        let isPay = posting.debit.role == .annotator || posting.credit.role == .annotator
        let isLess = posting.debit.role == .annotator || posting.debit.kind == "appeal"
        let reader = AccountID(
            .annotator, isLess == isPay ? posting.debit.name : posting.credit.name)
        var nearest: String?
        for round in try view.correctedRounds(at: posting) {
            let settlement = try rounds.settlement(of: round.pool, by: round.cause, in: view)
            for shift in view.correctedPay(of: reader) where shift.period < round.openPeriod {
                let (was, now) =
                    isPay
                    ? (shift.before.weight, shift.after.weight)
                    : (shift.before.shortfall, shift.after.shortfall)
                guard isLess == (now < was) else { continue }
                let (more, less) = (max(was, now), min(was, now))
                let difference = settlement.part(more).subtracting(settlement.part(less))
                let text =
                    "pool \(round.pool.name): \(settlement.partText(more)) − "
                    + settlement.partText(less)
                    + (isPay ? " micro-points" : " micro-points short")
                    + ", after a reversal by seniors"
                if difference == posting.amount { return text }
                nearest = nearest ?? text + ", as far as the money was there or not moved before"
            }
        }
        return nearest ?? "what seniors' reversal of an item makes of earlier pay"
    }
}

/// A reader's pay of a period at its close and after what reversals corrected.
private struct CorrectedPay {
    let period: UInt32
    let before: WirePayState
    let after: WirePayState
}

/// A round that a reversal may have corrected.
private struct CorrectedRound {
    let pool: AccountID
    let cause: TransactionID
    /// Of annotation, when the round closed; earlier ones were paid.
    let openPeriod: UInt32
}

extension ReportView {
    /// Shortfall of all periods that were closed by a height: as they closed, and as reversals
    /// corrected them.
    fileprivate mutating func shortfalls(of reader: AccountID, closedBy height: Height) -> [UInt64]
    {
        var (original, corrected) = (UInt64(0), UInt64(0))
        for number in 1..<openPeriodNumber(at: height) {
            let key = payKey(number, reader)
            let pay = state.value(WirePayState.self, .pay, key)?.shortfall ?? 0
            original &+= pay
            corrected &+=
                state.value(WirePayState.self, .reversals, key)?.shortfall ?? pay
        }
        return original == corrected ? [original] : [original, corrected]
    }

    /// The period that was open at the end of a height.
    private mutating func openPeriodNumber(at height: Height) -> UInt32 {
        let newest = max(1, state.openPeriod().number)
        for number in 1..<newest {
            let period = state.value(WirePeriodState.self, .periods, bigEndian(number))
            guard let period, period.closedHeight <= height.value else { return number }
        }
        return newest
    }

    fileprivate mutating func correctedPay(of reader: AccountID) -> [CorrectedPay] {
        (1..<max(1, state.openPeriod().number)).compactMap { number in
            let key = payKey(number, reader)
            guard let before = state.value(WirePayState.self, .pay, key),
                let after = state.value(WirePayState.self, .reversals, key)
            else { return nil }
            return CorrectedPay(period: number, before: before, after: after)
        }
    }

    /// Rounds whose appeal window was open at a reversal; one alone where the posting tells it.
    fileprivate mutating func correctedRounds(
        at posting: RecordedPosting
    ) throws -> [CorrectedRound] {
        var rounds: [CorrectedRound] = []
        for run in 1..<(state.newestRun() &+ 1) {
            for round in 1..<((state.run(run)?.closed ?? 0) &+ 1) {
                guard let closed = state.round(run, round)?.closedHeight else { continue }
                let rules = tip.terms.rules(at: Height(closed)).agreement.rewards
                let until = Height(closed).advanced(by: UInt64(rules.appealWindow))
                let isMeant =
                    posting.availableFrom.value == 0
                    ? Height(closed) <= posting.height && posting.height < until
                    : until == posting.availableFrom
                guard isMeant, let cause = try closing(run, round, at: Height(closed)) else {
                    continue
                }
                rounds.append(
                    CorrectedRound(
                        pool: ConsortiumAccount.pool(run: run, round: round), cause: cause,
                        openPeriod: openPeriodNumber(at: Height(closed))))
            }
        }
        return rounds
    }

    /// The transaction that closed a round, by the pool that it divided.
    func closing(_ run: UInt32, _ round: UInt32, at height: Height) throws -> TransactionID? {
        guard let block = try store.block(at: height) else { return nil }
        for envelope in block.envelopes {
            for (index, transaction) in envelope.transactions.enumerated() {
                guard case .roundClose(let body)? = transaction.body, body.run == run,
                    body.round == round
                else { continue }
                let id = TransactionID(envelope: envelope.id, index: UInt32(index))
                if try store.outcomes(of: envelope.id)?.outcomes[index] == 0 { return id }
            }
        }
        return nil
    }
}
