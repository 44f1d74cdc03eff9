import Contracts
import Ledger
import Storage
import Wire

/// Says how a rule came to the amount of a posting, from what the chain recorded of it.
///
/// Weights of a round are read once for all postings of its pool.
struct Arithmetic {
    /// A round's settlement, as its postings and the recorded weights tell it.
    private struct Settlement {
        var shares: [String: TokenAmount] = [:]
        var weights: WireWeightState?
        var values: WireRoundValues?

        func share(_ role: String) -> TokenAmount { shares[role] ?? .zero }
    }

    private var settlements: [AccountID: Settlement] = [:]
    private var incomes: [TransactionID: TokenAmount] = [:]

    /// One sentence; it never fails for what the chain does not tell.
    mutating func text(
        of posting: RecordedPosting, in view: inout ReportView
    ) throws -> String {
        switch (posting.rule, posting.debit.kind, posting.credit.kind) {
        case ("stake/1", _, _): return "the agreement's stake of a new reader"
        case ("transfer/1", _, _): return "as its owner signed"
        case ("claim/1", _, _): return "as the patient's claim key signed"
        case ("redemption/1", _, "external"): return "paid outside, so the tokens are no more"
        case ("redemption/1", let kind, _) where kind.hasPrefix("redemption-"):
            return "a payout that was given up"
        case ("redemption/1", _, _): return "put aside to be paid out"
        case ("correction/1", _, _): return "takes back from posting \(posting.corrects)"
        case ("reversal/1", _, _): return "what seniors' reversal of an item makes of earlier pay"
        case (_, "appeal", "reserve"): return "the appeal window is over"
        case ("annotation/1", "stake", _): return "the stake: an answer was committed, not revealed"
        case ("pay/1", "stake", _): return try penalty(posting, &view)
        case ("revenue/1", _, _): return try revenue(posting, &view)
        case ("split/1", "reserve", _): return "the round's pool, or what the reserve still had"
        case ("split/1", "pool", "pool"): return "a role's share that had waited for weights"
        case ("split/1", "pool", _): return try share(posting, &view)
        default: return ""
        }
    }

    private mutating func penalty(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        let pool = try view.store.postings(by: posting.cause).first { $0.debit.kind == "pool" }
        let settlement = try pool.map { try self.settlement($0, &view) }
        let sum = settlement?.weights?.annotators.reduce(UInt64(0)) { $0 &+ $1.weight } ?? 0
        return "⌊\(settlement?.share("annotator") ?? .zero) × shortfall / \(sum)⌋, at most the "
            + "stake left: worse than chance"
    }

    private mutating func revenue(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        if posting.debit.kind == ConsortiumAccount.outside { return "income from outside" }
        if incomes[posting.cause] == nil {
            incomes[posting.cause] =
                try view.store.postings(by: posting.cause)
                .first { $0.debit.kind == ConsortiumAccount.outside }?.amount
        }
        return
            "of \(incomes[posting.cause] ?? .zero), income \(posting.debit.name), by the weights "
            + "of the rounds that its model descends from"
    }

    private mutating func share(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> String {
        let settlement = try settlement(posting, &view)
        let kind = posting.credit.kind == "commons" ? "patient" : posting.credit.kind
        let share = settlement.share(kind)
        let name = posting.credit.text
        switch kind {
        case "patient":
            let patients = settlement.values?.patients ?? []
            let all = patients.reduce(UInt64(0)) { $0 + UInt64($1.records) }
            guard posting.credit.kind != "commons" else {
                return "waived by a patient, of \(share) for \(all) records"
            }
            let own = patients.first { patientAccount([UInt8]($0.patient)).text == name }?.records
            return "\(share) × \(own ?? 0) of \(all) records, and what rounding owed"
        case "annotator":
            let weights = settlement.weights?.annotators ?? []
            return weighted(share, weights, name, unit: "micro-points beyond chance")
        case "developer":
            return weighted(share, settlement.weights?.developers ?? [], name, unit: "shares")
        case "site": return siteText(share, settlement, name)
        default: return ""
        }
    }

    private func weighted(
        _ share: TokenAmount, _ weights: [WireAccountWeight], _ name: String, unit: String
    ) -> String {
        let all = weights.reduce(UInt64(0)) { $0 &+ $1.weight }
        let own = weights.first { $0.account == name }?.weight ?? 0
        return "\(share) × \(own) of \(all) \(unit), and what rounding owed"
    }

    private func siteText(
        _ share: TokenAmount, _ settlement: Settlement, _ name: String
    ) -> String {
        let sites = settlement.values?.sites ?? []
        let all = sites.reduce(UInt64(0)) { $0 + UInt64($1.verified) }
        let own = sites.first { $0.site == name }
        let counts = "\(own?.verified ?? 0) of \(all) verified records"
        guard settlement.weights?.countsAlone == false else {
            return "\(share) × \(counts), and what rounding owed"
        }
        let worth = sites.reduce(UInt64(0)) { $0 &+ UInt64(max(0, $1.shapley)) }
        let half = TokenAmount(microtokens: share.microtokens / 2)
        return "\(half) × \(max(0, own?.shapley ?? 0)) of \(worth) of contribution value and "
            + "\(share.subtracting(half) ?? .zero) × \(counts), and what rounding owed"
    }

    private mutating func settlement(
        _ posting: RecordedPosting, _ view: inout ReportView
    ) throws -> Settlement {
        if let known = settlements[posting.debit] { return known }
        var settlement = Settlement()
        for other in try view.store.postings(by: posting.cause)
        where other.debit == posting.debit && other.credit.kind != "pool" {
            let kind = other.credit.kind == "commons" ? "patient" : other.credit.kind
            let sum = settlement.shares[kind] ?? .zero
            settlement.shares[kind] = try sum.adding(other.amount)
        }
        let parts = posting.debit.name.split(separator: ".").compactMap { UInt32($0) }
        if parts.count == 2 {
            settlement.weights = view.state.weights(parts[0], parts[1])
            settlement.values = view.state.round(parts[0], parts[1]).flatMap {
                try? WireRoundValues(strictly: [UInt8]($0.values))
            }
        }
        settlements[posting.debit] = settlement
        return settlement
    }
}
