import Ledger
import Wire

/// The roles that a round's pool goes to, in the order in which they are paid.
package enum RewardRole: String, CaseIterable, Comparable, Sendable {
    case annotators, developers, patients, sites

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// How long a member's money waits: the block after the next one exists only when this one is
/// settled or dropped.
let settlementDelay: UInt64 = 2

extension ChangeSet {
    /// split/1: divides a round's pool among roles and inside each role.
    ///
    /// What a role has no weights for waits in the round's pool account and joins the role's share
    /// of the next round.
    mutating func settle(
        _ values: WireRoundValues, run: WireRunState, round: UInt32, opened: UInt64, _ call: Call
    ) throws(Rejection) {
        let rewards = call.context.agreement.rewards
        let pool = ConsortiumAccount.pool(run: run.number, round: round)
        let reserve = balance(of: ConsortiumAccount.reserve, at: call.height)
        let amount = min(reserve, TokenAmount(microtokens: rewards.roundPoolMicrotokens))
        try post(from: ConsortiumAccount.reserve, to: pool, amount, rule: MoneyRule.split, call)
        let shares = try roleShares(of: amount, rewards)
        for role in RewardRole.allCases {
            let share = try collectWaiting(role, shares[role] ?? .zero, into: pool, call)
            let isPaid: Bool
            switch role {
            case .annotators: isPaid = try payAnnotators(share, pool, run.number, round, call)
            case .developers: isPaid = try payDevelopers(share, pool, call)
            case .patients: isPaid = try payPatients(share, pool, values, opened, call)
            case .sites: isPaid = try paySites(share, pool, values, round, call)
            }
            setWaiting(role, isPaid ? .zero : share, in: pool)
        }
        recordWeights(values, run: run.number, round: round, opened: opened, call)
    }

    private mutating func roleShares(
        of pool: TokenAmount, _ rewards: WireRewardRule
    ) throws(Rejection) -> [RewardRole: TokenAmount] {
        let points: [(RewardRole, UInt32)] = [
            (.annotators, rewards.annotatorsBasisPoints),
            (.developers, rewards.developersBasisPoints),
            (.patients, rewards.patientsBasisPoints), (.sites, rewards.sitesBasisPoints),
        ]
        let weights = Dictionary(
            points.map { (AccountID(kind: "role", name: $0.0.rawValue), UInt64($0.1)) },
            uniquingKeysWith: { first, _ in first })
        let shares = try divide(pool, weights, role: "roles") ?? [:]
        return Dictionary(
            points.map { ($0.0, shares[AccountID(kind: "role", name: $0.0.rawValue)] ?? .zero) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Apportions with the residuals of a role; nil when nobody has weight.
    mutating func divide(
        _ pool: TokenAmount, _ weights: [AccountID: UInt64], role: String
    ) throws(Rejection) -> [AccountID: TokenAmount]? {
        var residuals = residuals(of: role, weights.keys.sorted())
        do {
            guard let shares = try apportion(pool: pool, weights: weights, residuals: &residuals)
            else { return nil }
            setResiduals(residuals, of: role)
            return shares
        } catch { throw .amountOverflow }
    }

    private mutating func collectWaiting(
        _ role: RewardRole, _ share: TokenAmount, into pool: AccountID, _ call: Call
    ) throws(Rejection) -> TokenAmount {
        let key = Array(role.rawValue.utf8)
        guard let state = value(WireWaitingState.self, .waiting, key),
            let earlier = AccountID(state.pool)
        else { return share }
        let waiting = TokenAmount(microtokens: state.microtokens)
        try post(from: earlier, to: pool, waiting, rule: MoneyRule.split, call)
        do { return try share.adding(waiting) } catch { throw .amountOverflow }
    }

    private mutating func setWaiting(
        _ role: RewardRole, _ amount: TokenAmount, in pool: AccountID
    ) {
        guard amount > .zero else { return set(.waiting, Array(role.rawValue.utf8), nil) }
        var state = WireWaitingState()
        state.microtokens = amount.microtokens
        state.pool = pool.text
        set(.waiting, Array(role.rawValue.utf8), to: state)
    }

    private mutating func payAll(
        _ shares: [AccountID: TokenAmount], from pool: AccountID, delay: UInt64, _ call: Call
    ) throws(Rejection) {
        for (account, amount) in shares.sorted(by: { $0.key < $1.key }) {
            try post(
                from: pool, to: account, amount, rule: MoneyRule.split, delay: delay, call)
        }
    }

    /// By the pay weights of the closed periods; who fell short of the fee loses stake.
    private mutating func payAnnotators(
        _ share: TokenAmount, _ pool: AccountID, _ run: UInt32, _ round: UInt32, _ call: Call
    ) throws(Rejection) -> Bool {
        var weights: [AccountID: UInt64] = [:]
        var shortfalls: [AccountID: UInt64] = [:]
        for entry in entries(in: .payTotals) {
            guard
                let account = String(validatingUTF8Bytes: entry.key.key[...])
                    .flatMap(AccountID.init),
                let total = value(WirePayTotal.self, .payTotals, entry.key.key)
            else { continue }
            weights[account] = total.weight
            if total.shortfall > 0 { shortfalls[account] = total.shortfall }
        }
        let window = WireWindowState()
        let id = "round/\(run).\(round)"
        let delay = UInt64(call.context.agreement.rewards.appealWindow)
        guard let shares = try divide(share, weights, role: RewardRole.annotators.rawValue) else {
            return false
        }
        try payAll(shares, from: pool, delay: delay, call)
        var totalWeight: UInt64 = 0
        for weight in weights.values {
            totalWeight = totalWeight.addingReportingOverflow(weight).partialValue
        }
        openWindow(id, window, call)
        if !call.context.agreement.annotation.seniorCredential.isEmpty {
            var paid = WireRoundShareState()
            paid.microtokens = share.microtokens
            paid.weight = totalWeight
            paid.period = openPeriod().number
            set(.roundShares, Array(id.utf8), to: paid)
        }
        var penalties: [(AccountID, TokenAmount?)] = []
        for (reader, shortfall) in shortfalls {
            let left = balance(of: ConsortiumAccount.stake(of: reader), at: call.height)
            penalties.append(
                (
                    reader,
                    penalty(
                        stakeLeft: left, share: share, shortfall: shortfall,
                        totalWeight: totalWeight)
                ))
        }
        try penalise(penalties, window: id, rule: MoneyRule.pay, call)
        return true
    }

    private mutating func payDevelopers(
        _ share: TokenAmount, _ pool: AccountID, _ call: Call
    ) throws(Rejection) -> Bool {
        var weights: [AccountID: UInt64] = [:]
        for developer in call.context.agreement.rewards.developers {
            guard let account = AccountID(developer.account) else { continue }
            weights[account] = UInt64(developer.weight)
        }
        guard let shares = try divide(share, weights, role: RewardRole.developers.rawValue) else {
            return false
        }
        try payAll(shares, from: pool, delay: settlementDelay, call)
        return true
    }

    /// By the records named in accepted manifests; what a patient waived goes to the commons.
    private mutating func payPatients(
        _ share: TokenAmount, _ pool: AccountID, _ values: WireRoundValues, _ opened: UInt64,
        _ call: Call
    ) throws(Rejection) -> Bool {
        var weights: [AccountID: UInt64] = [:]
        var waived: Set<AccountID> = []
        for entry in values.patients {
            let patient = [UInt8](entry.patient)
            let account = patientAccount(patient)
            weights[account] = UInt64(entry.records)
            let consent = consent(of: patient)?.interval(for: .training, at: opened)
            if consent?.waiveReward == true { waived.insert(account) }
        }
        guard let shares = try divide(share, weights, role: RewardRole.patients.rawValue) else {
            return false
        }
        for (account, amount) in shares.sorted(by: { $0.key < $1.key }) {
            let isWaived = waived.contains(account)
            try post(
                from: pool, to: isWaived ? ConsortiumAccount.commons : account, amount,
                rule: MoneyRule.split, delay: isWaived ? 0 : settlementDelay, call)
        }
        return true
    }

    private mutating func paySites(
        _ share: TokenAmount, _ pool: AccountID, _ values: WireRoundValues, _ round: UInt32,
        _ call: Call
    ) throws(Rejection) -> Bool {
        var worth: [AccountID: Int64] = [:]
        var counts: [AccountID: UInt64] = [:]
        for entry in values.sites {
            guard let site = AccountID(entry.site) else { throw .valuesMalformed }
            worth[site] = entry.shapley
            counts[site] = UInt64(entry.verified)
        }
        let accounts = counts.keys.sorted()
        var residuals = SiteResiduals(
            byValue: residuals(of: "sites/value", accounts),
            byCount: residuals(of: "sites/count", accounts))
        do {
            guard
                let shares = try siteShares(
                    pool: share, values: worth, counts: counts,
                    isWarmUp: round <= call.context.agreement.rewards.warmUpRounds,
                    residuals: &residuals)
            else { return false }
            setResiduals(residuals.byValue, of: "sites/value")
            setResiduals(residuals.byCount, of: "sites/count")
            let paid = Dictionary(
                accounts.map { ($0, shares.share(of: $0)) },
                uniquingKeysWith: { first, _ in first })
            try payAll(paid, from: pool, delay: settlementDelay, call)
            return true
        } catch let rejection as Rejection {
            throw rejection
        } catch { throw .amountOverflow }
    }
}
