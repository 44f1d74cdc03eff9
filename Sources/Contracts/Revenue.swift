package import Cryptography
package import Ledger
package import Wire

/// What all contributions to the rounds of one run weigh, up to one of its models.
package struct LineageSegment {
    package let run: UInt32
    package var points: [RewardRole: UInt64] = [:]
    package var annotators: [AccountID: UInt64] = [:]
    package var developers: [AccountID: UInt64] = [:]
    /// Of patients; what they waived stands under the commons.
    package var patients: [AccountID: UInt64] = [:]
    package var counts: [AccountID: UInt64] = [:]
    /// Contribution values after the newest of the rounds; they stand for all before it.
    package var worth: [AccountID: Int64] = [:]
    package var countsAlone = true
    var hasNewest = false

    package func weights(of role: RewardRole) -> [AccountID: UInt64] {
        switch role {
        case .annotators: annotators
        case .developers: developers
        case .patients: patients
        case .sites: counts
        }
    }

    /// Basis points of the roles in which somebody has weight.
    package var divisible: [AccountID: UInt64] {
        var result: [AccountID: UInt64] = [:]
        for role in RewardRole.allCases where weights(of: role).values.contains(where: { $0 > 0 }) {
            result[AccountID(kind: "role", name: role.rawValue)] = points[role, default: 0]
        }
        return result
    }

    var isDivisible: Bool { divisible.values.contains { $0 > 0 } }

    mutating func add(
        _ weights: WireWeightState, _ values: WireRoundValues
    ) throws(Rejection) {
        try sum(weights.annotatorsBasisPoints, to: .annotators)
        try sum(weights.developersBasisPoints, to: .developers)
        try sum(weights.patientsBasisPoints, to: .patients)
        try sum(weights.sitesBasisPoints, to: .sites)
        try sum(weights.annotators, to: &annotators)
        try sum(weights.developers, to: &developers)
        let waived = Set(weights.waived)
        for entry in values.patients {
            let account =
                waived.contains(entry.patient)
                ? ConsortiumAccount.commons : patientAccount([UInt8](entry.patient))
            patients[account] = try total(patients[account], UInt64(entry.records))
        }
        for entry in values.sites {
            guard let site = AccountID(entry.site) else { throw .valuesMalformed }
            counts[site] = try total(counts[site], UInt64(entry.verified))
            if !hasNewest { worth[site] = entry.shapley }
        }
        if !hasNewest { countsAlone = weights.countsAlone }
        hasNewest = true
    }

    private mutating func sum(_ share: UInt32, to role: RewardRole) throws(Rejection) {
        points[role] = try total(points[role], UInt64(share))
    }

    private func sum(
        _ weights: [WireAccountWeight], to sums: inout [AccountID: UInt64]
    ) throws(Rejection) {
        for entry in weights {
            guard let account = AccountID(entry.account) else { throw .valuesMalformed }
            sums[account] = try total(sums[account], entry.weight)
        }
    }

    private func total(_ sum: UInt64?, _ more: UInt64) throws(Rejection) -> UInt64 {
        let (total, overflow) = (sum ?? 0).addingReportingOverflow(more)
        guard !overflow else { throw .amountOverflow }
        return total
    }
}

extension ChangeSet {
    /// Keeps what a round's settlement weighed and stands nowhere else, for later income.
    mutating func recordWeights(
        _ values: WireRoundValues, run: UInt32, round: UInt32, opened: UInt64, _ call: Call
    ) {
        let rewards = call.context.agreement.rewards
        var state = WireWeightState()
        for entry in entries(in: .payTotals) {
            guard let total = value(WirePayTotal.self, .payTotals, entry.key.key),
                let account = String(validatingUTF8Bytes: entry.key.key[...]), total.weight > 0
            else { continue }
            state.annotators.append(accountWeight(account, total.weight))
        }
        state.developers = rewards.developers.map { accountWeight($0.account, UInt64($0.weight)) }
        state.annotatorsBasisPoints = rewards.annotatorsBasisPoints
        state.developersBasisPoints = rewards.developersBasisPoints
        state.patientsBasisPoints = rewards.patientsBasisPoints
        state.sitesBasisPoints = rewards.sitesBasisPoints
        state.waived = values.patients.map(\.patient).filter {
            consent(of: [UInt8]($0))?.interval(for: .training, at: opened)?.waiveReward == true
        }
        state.countsAlone =
            round <= rewards.warmUpRounds || values.sites.allSatisfy { $0.shapley <= 0 }
        set(.weights, roundKey(run, round), to: state)
    }

    package mutating func weights(_ run: UInt32, _ round: UInt32) -> WireWeightState? {
        value(WireWeightState.self, .weights, roundKey(run, round))
    }

    /// The runs that a model descends from, newest first, each with the last of its rounds that counts.
    ///
    /// A model is recorded once, under the round that made it first, but a later run of the same
    /// study may make the same bits again: so only the model itself and what a run began with are
    /// looked up, and in between the run's own rounds stand. A run begins with a model of an earlier
    /// one, so the numbers fall and the walk ends, also in a state that nothing leads to.
    package mutating func descent(of model: Digest) -> [(run: WireRunState, rounds: UInt32)] {
        var result: [(run: WireRunState, rounds: UInt32)] = []
        var key = model.bytes
        while let state = value(WireModelState.self, .models, key), state.round > 0,
            result.last.map({ state.run < $0.run.number }) ?? true, let run = run(state.run)
        {
            result.append((run, min(state.round, run.closed)))
            key = [UInt8](run.initialModel)
        }
        return result
    }

    /// What the rounds that a model descends from weigh, by run, newest first.
    package mutating func lineage(of model: Digest) throws(Rejection) -> [LineageSegment] {
        var segments: [LineageSegment] = []
        for (run, rounds) in descent(of: model) {
            var segment = LineageSegment(run: run.number)
            for number in (0..<rounds).reversed() {
                guard let weights = weights(run.number, number + 1),
                    let round = round(run.number, number + 1),
                    let values = try? WireRoundValues(strictly: [UInt8](round.values))
                else { continue }
                try segment.add(weights, values)
            }
            if segment.isDivisible { segments.append(segment) }
        }
        return segments
    }
}

private func accountWeight(_ account: String, _ weight: UInt64) -> WireAccountWeight {
    var entry = WireAccountWeight()
    entry.account = account
    entry.weight = weight
    return entry
}

/// `revenue.post`: the treasurer brings income for a model in, and it goes to all who contributed.
///
/// Each run on the way back to the first passes a fixed share on to the model that it began with.
func postRevenue(
    _ body: WireRevenuePost, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard let model = Digest(body.model) else { throw .malformedField }
    try call.require(isTreasurer(call), else: .notTreasurer)
    try call.require(body.microtokens > 0, else: .amountMalformed)
    try call.require(isIdentifier(body.reference.utf8), else: .referenceMalformed)
    try call.require(changes.bytes(.models, model.bytes) != nil, else: .unknownModel)
    let segments = try changes.lineage(of: model)
    try call.require(!segments.isEmpty, else: .noContributions)
    try changes.use(body.reference, .revenue, call)
    let income = ConsortiumAccount.income(body.reference)
    var left = TokenAmount(microtokens: body.microtokens)
    try changes.post(
        from: ConsortiumAccount.payers, to: income, left, rule: MoneyRule.revenue, call)
    let share = UInt64(call.context.agreement.rewards.parentBasisPoints)
    for (place, segment) in segments.enumerated() {
        let passedOn =
            place == segments.count - 1 ? .zero : left.portion(min(share, 10_000), of: 10_000)
        try changes.pay(left.subtracting(passedOn) ?? .zero, of: income, to: segment, call)
        left = passedOn
    }
}

extension ChangeSet {
    /// Divides a run's part of an income among roles, and in each by the weights of its rounds.
    fileprivate mutating func pay(
        _ amount: TokenAmount, of income: AccountID, to segment: LineageSegment, _ call: Call
    ) throws(Rejection) {
        let shares = try divide(amount, segment.divisible, role: "revenue/roles") ?? [:]
        for role in RewardRole.allCases {
            let share = shares[AccountID(kind: "role", name: role.rawValue)] ?? .zero
            guard share > .zero else { continue }
            let paid: [AccountID: TokenAmount]
            if role == .sites {
                paid = try siteIncome(share, segment)
            } else {
                let weights = segment.weights(of: role)
                paid = try divide(share, weights, role: "revenue/\(role.rawValue)") ?? [:]
            }
            for (account, part) in paid.sorted(by: { $0.key < $1.key }) {
                try post(
                    from: income, to: account, part, rule: MoneyRule.revenue,
                    delay: account == ConsortiumAccount.commons ? 0 : settlementDelay, call)
            }
        }
    }

    private mutating func siteIncome(
        _ share: TokenAmount, _ segment: LineageSegment
    ) throws(Rejection) -> [AccountID: TokenAmount] {
        let accounts = segment.counts.keys.sorted()
        var owed = SiteResiduals(
            byValue: residuals(of: "revenue/sites/value", accounts),
            byCount: residuals(of: "revenue/sites/count", accounts))
        let shares: SiteShares<AccountID>?
        do {
            shares = try siteShares(
                pool: share, values: segment.worth, counts: segment.counts,
                isWarmUp: segment.countsAlone, residuals: &owed)
        } catch { throw .amountOverflow }
        guard let shares else { return [:] }
        setResiduals(owed.byValue, of: "revenue/sites/value")
        setResiduals(owed.byCount, of: "revenue/sites/count")
        return Dictionary(
            accounts.map { ($0, shares.share(of: $0)) }, uniquingKeysWith: { first, _ in first })
    }
}
