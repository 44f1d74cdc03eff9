import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// A history of rounds and payments, drawn from one seed: what to send, by whom, at which height.
private struct MoneyHistory {
    struct Step {
        let transaction: WireTransaction
        let signer: AccountID
        let height: UInt64
        /// Accounts whose balances it may touch; nil: whoever knows.
        let touched: Set<AccountID>?
        /// Under which its outcome is counted; nil: it only leads up to another step.
        let kind: Kind?
    }

    enum Kind: CaseIterable {
        case transfer, request, accept, payout, giveUp, claim, revenue
        case correction, incomeCorrection, payoutCorrection, expiry
    }

    /// A posting that a correction may name.
    struct Posted {
        let place: Int
        let kind: Kind
        let posting: WirePosting
    }

    static let members: [AccountID] =
        Consortium.sites + [Consortium.developer, Consortium.treasurer]
        + Consortium.readers(of: Consortium.east)
    static let patients = (0..<6).map { named("patient \($0)") }

    var random: SplitMix64
    let policy: WireRewardRule
    let network: NetworkID
    private(set) var steps: [Step] = []
    private var height: UInt64 = 3
    private var references = 0
    private var requests: [(id: TransactionID, account: AccountID, amount: UInt64)] = []
    private var posted: [Posted] = []
    private var claims: [[UInt8]: UInt64] = [:]

    init(seed: UInt64, network: NetworkID) throws {
        random = SplitMix64(seed: seed)
        self.network = network
        policy = Self.policy(&random)
        for round in 1...UInt32.random(in: 1...3, using: &random) {
            try settle(round)
            height += 3
            for _ in 0..<Int.random(in: 3...11, using: &random) { try pay(round) }
            height += UInt64.random(in: 0...3, using: &random)
        }
    }

    static func policy(_ random: inout SplitMix64) -> WireRewardRule {
        var policy = testAgreement().rewards
        let cuts = (0..<3).map { _ in UInt32.random(in: 0...10_000, using: &random) }.sorted()
        policy.patientsBasisPoints = cuts[0]
        policy.annotatorsBasisPoints = cuts[1] - cuts[0]
        policy.sitesBasisPoints = cuts[2] - cuts[1]
        policy.developersBasisPoints = 10_000 - cuts[2]
        let sizes: [UInt64] = [3, 1_000, 1_000_003, 1 << 39]
        let largest = sizes.randomElement(using: &random) ?? 3
        policy.roundPoolMicrotokens = UInt64.random(in: 0...largest, using: &random)
        policy.warmUpRounds = UInt32.random(in: 0...2, using: &random)
        policy.appealWindow = UInt32.random(in: 2...9, using: &random)
        policy.parentBasisPoints = UInt32.random(in: 0...10_000, using: &random)
        return policy
    }

    private mutating func add(
        _ transaction: WireTransaction, by signer: AccountID, _ kind: Kind? = nil,
        touching: Set<AccountID>? = nil
    ) {
        steps.append(
            Step(
                transaction: transaction, signer: signer, height: height, touched: touching,
                kind: kind))
    }

    /// Notes what the newest step posts if it is applied.
    private mutating func note(
        _ kind: Kind, from debit: AccountID, to credit: AccountID, _ amount: UInt64
    ) {
        var posting = WirePosting()
        posting.debit = debit.text
        posting.credit = credit.text
        posting.microtokens = amount
        posted.append(Posted(place: steps.count - 1, kind: kind, posting: posting))
    }

    private mutating func settle(_ round: UInt32) throws {
        let sites = Consortium.sites.map { _ in
            (
                verified: UInt32.random(in: 0...4, using: &random),
                shapley: Int64.random(in: -20...50, using: &random)
            )
        }
        var records: [[UInt8]: UInt32] = [:]
        for patient in Self.patients where Bool.random(using: &random) {
            records[patient] = UInt32.random(in: 0...5, using: &random)
        }
        let values = roundValues(sites, patients: records).encoded()
        let model = named("model 1.\(round)")
        add(
            .openRound(1, round, base: named("model 1.\(round - 1)")), by: Consortium.coordinator)
        for site in Consortium.sites {
            add(
                .submit(1, round, update: named("update \(site) \(round)"), manifest: model),
                by: site)
        }
        for voter in Consortium.sites {
            add(.checked(1, round, model: model, values: Digest.sha256(values).bytes), by: voter)
        }
        add(.closeRound(1, round, model: model, values: values), by: Consortium.coordinator)
    }

    private func drawn<Value>(_ values: [Value], _ random: inout SplitMix64) -> Value? {
        values.randomElement(using: &random)
    }

    private mutating func pay(_ round: UInt32) throws {
        let payer = drawn(Self.members, &random) ?? Consortium.east
        let amount = UInt64.random(in: 0...policy.roundPoolMicrotokens / 4 + 2, using: &random)
        references += Int.random(in: 0...3, using: &random) == 0 ? 0 : 1
        let reference = "r\(references)"
        let receiver = drawn(Self.members, &random) ?? Consortium.west
        switch Int.random(in: 0...9, using: &random) {
        case 0...1:
            add(
                .transfer(to: receiver.text, amount, reference: reference), by: payer, .transfer,
                touching: [payer, receiver])
            note(.correction, from: payer, to: receiver, amount)
        case 2...3:
            let aside = ConsortiumAccount.redemption(of: payer)
            // Few hold much; what is asked for in full is mostly refused.
            let part = Bool.random(using: &random) ? amount : amount / 64 + 1
            requests.append((Self.id(steps.count), payer, part))
            add(.redeem(part), by: payer, .request, touching: [payer, aside])
        case 4...5: answerRequest(reference)
        case 6:
            let patient = drawn(Self.patients, &random) ?? named("nobody")
            let number = claims[patient, default: 0] + 1
            claims[patient] = number
            add(
                try claimTransaction(
                    of: patient, to: receiver.text, Bool.random(using: &random) ? 0 : amount,
                    number: number, network: network), by: payer, .claim,
                touching: [patientAccount(patient), receiver])
        case 7:
            add(
                .revenue(
                    of: named("model 1.\(UInt32.random(in: 0...round, using: &random))"), amount,
                    reference: reference), by: Consortium.treasurer, .revenue)
            note(
                .incomeCorrection, from: ConsortiumAccount.payers,
                to: AccountID(kind: "revenue", name: reference), amount)
        case 8: correct()
        default:
            let past = UInt32.random(in: 1...round, using: &random)
            add(.expire("round/1.\(past)"), by: payer, .expiry)
        }
    }

    /// The treasurer accepts, pays or gives up a request, or its owner gives it up.
    private mutating func answerRequest(_ reference: String) {
        guard let (request, account, amount) = requests.suffix(3).randomElement(using: &random)
        else {
            return
        }
        let id = request.envelope.bytes
        let choice = Int.random(in: 0...4, using: &random)
        if choice <= 2 { add(.accept(id), by: Consortium.treasurer, .accept) }
        if choice >= 1, choice <= 3 {
            add(.payOut(id, reference: reference), by: Consortium.treasurer, .payout)
            note(
                .payoutCorrection, from: ConsortiumAccount.redemption(of: account),
                to: ConsortiumAccount.payees, amount)
        }
        if choice >= 3 {
            add(.giveUp(id), by: choice == 3 ? Consortium.treasurer : account, .giveUp)
        }
    }

    /// Three voters say that a posting is wrong; the third word takes it back.
    private mutating func correct() {
        let kinds: [Kind] = [.correction, .incomeCorrection, .payoutCorrection]
        let kind = kinds.randomElement(using: &random)
        guard let wrong = posted.last(where: { $0.kind == kind }) else { return }
        let returned = UInt64.random(in: 0...wrong.posting.microtokens, using: &random)
        for (number, voter) in Consortium.sites.enumerated() {
            add(
                .correction(
                    Self.id(wrong.place).envelope.bytes, wrong.posting, returned: returned),
                by: voter, number == 2 ? wrong.kind : nil)
        }
    }

    /// The id of the step in a place, wherever it stands in the order of execution.
    static func id(_ place: Int) -> TransactionID {
        TransactionID(envelope: Digest(named("step \(place)")) ?? .zero, index: 0)
    }

    /// A neighbouring pair of the same height that touches no account in common.
    var unrelated: Int? {
        zip(steps, steps.dropFirst()).enumerated().first { _, pair in
            guard let one = pair.0.touched, let other = pair.1.touched else { return false }
            return pair.0.height == pair.1.height && one.isDisjoint(with: other)
                && pair.0.transaction.transfer.reference != pair.1.transaction.transfer.reference
        }?.offset
    }
}

/// How often the steps of a kind were applied and refused.
private struct Tally {
    var applied = 0
    var refused = 0
}

/// What a history came to.
private struct Outcome {
    var consortium: Consortium
    var rejections: [Int: Rejection] = [:]
    var findings: [String] = []
    /// What was executed, as the chain records it, with what came of it.
    var records: [Record] = []

    var balances: [StateEntry] {
        consortium.state.entries(in: .balances, prefix: [], limit: .max)
    }

    struct Record {
        let transaction: [UInt8]
        let id: TransactionID
        let signer: AccountID
        let height: UInt64
        let rejection: Rejection?
    }
}

struct MoneyHistoryTests {
    /// Patients consent, the last waives; claim keys are set, a run is ready, readers have weights.
    private static func founding() throws -> Consortium {
        var consortium = try Consortium()
        let patients = MoneyHistory.patients
        try consortium.applied(
            patients.enumerated().flatMap { number, patient -> [WireTransaction] in
                [
                    .grant(patient, waive: number == patients.count - 1),
                    .claimKey(patient, try claimKey()),
                ]
            }, by: Consortium.north)
        try consortium.startRun()
        return consortium
    }

    private static let founded = Result { try founding() }
    /// Founded once more, so that a replay shares no state with what it is compared with.
    private static let refounded = Result { try founding() }

    private func weighted(_ consortium: inout Consortium, seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x5EED)
        for reader in Consortium.readers(of: Consortium.east) {
            var total = WirePayTotal()
            if Bool.random(using: &random) {
                total.weight = UInt64.random(in: 0...9_000_000, using: &random)
            } else {
                total.shortfall = UInt64.random(in: 0...9_000_000, using: &random)
            }
            consortium.corrupt(.payTotals, Array(reader.text.utf8), total.encoded())
        }
    }

    private func run(
        _ history: MoneyHistory, order: [Int], seed: UInt64
    ) throws -> Outcome {
        var consortium = try Self.founded.get()
        weighted(&consortium, seed: seed)
        var outcome = Outcome(consortium: consortium)
        for place in order {
            let step = history.steps[place]
            let rejection = outcome.consortium.execute(
                step.transaction, id: MoneyHistory.id(place), by: step.signer, at: step.height,
                policy: history.policy)
            outcome.rejections[place] = rejection
            outcome.records.append(
                Outcome.Record(
                    transaction: step.transaction.encoded(), id: MoneyHistory.id(place),
                    signer: step.signer, height: step.height, rejection: rejection))
            guard case .roundClose(let close) = step.transaction.body else { continue }
            let pool = ConsortiumAccount.pool(run: 1, round: close.round)
            let waiting = RewardRole.allCases.reduce(UInt64(0)) { sum, role in
                let state = outcome.consortium.value(
                    WireWaitingState.self, .waiting, Array(role.rawValue.utf8))
                return sum + (state?.pool == pool.text ? state?.microtokens ?? 0 : 0)
            }
            if outcome.consortium.held(pool) != waiting {
                outcome.findings.append("round \(close.round): the pool is not handed out")
            }
        }
        outcome.findings += outcome.consortium.audit()
        return outcome
    }

    /// What the records come to above a state that was founded apart.
    ///
    /// - Returns: the state; nil when a record has another outcome than before.
    private func replay(
        _ outcome: Outcome, policy: WireRewardRule, seed: UInt64
    ) throws -> [StateEntry]? {
        var consortium = try Self.refounded.get()
        weighted(&consortium, seed: seed)
        for record in outcome.records {
            let rejection = consortium.execute(
                try WireTransaction(strictly: record.transaction), id: record.id,
                by: record.signer, at: record.height, policy: policy)
            guard rejection == record.rejection else { return nil }
        }
        return consortium.state.entries
    }

    /// 1,000 seeds a case: 10,000 histories in all.
    @Test("random policies and histories keep all money where it belongs", arguments: 0..<10)
    func histories(block: Int) throws {
        let network = try Self.founded.get().network
        var tallies: [MoneyHistory.Kind: Tally] = [:]
        for seed in UInt64(block * 1_000)..<UInt64(block * 1_000 + 1_000) {
            let history = try MoneyHistory(seed: seed, network: network)
            let order = Array(history.steps.indices)
            let outcome = try run(history, order: order, seed: seed)
            #expect(outcome.findings.isEmpty, "seed \(seed): \(outcome.findings)")
            let closes = history.steps.indices.filter {
                if case .roundClose = history.steps[$0].transaction.body { true } else { false }
            }
            #expect(
                closes.allSatisfy { outcome.rejections[$0] == nil },
                "seed \(seed): a round does not close")
            for place in history.steps.indices {
                guard let kind = history.steps[place].kind else { continue }
                if outcome.rejections[place] == nil {
                    tallies[kind, default: Tally()].applied += 1
                } else {
                    tallies[kind, default: Tally()].refused += 1
                }
            }
            #expect(
                try replay(outcome, policy: history.policy, seed: seed)
                    == outcome.consortium.state.entries, "seed \(seed): another state")
            guard let place = history.unrelated else { continue }
            var swapped = order
            swapped.swapAt(place, place + 1)
            let other = try run(history, order: swapped, seed: seed)
            #expect(other.balances == outcome.balances, "seed \(seed): the order matters")
        }
        // Histories in which nothing is ever applied, or nothing refused, would prove nothing.
        for kind in MoneyHistory.Kind.allCases {
            let tally = tallies[kind] ?? Tally()
            #expect(tally.applied >= 10 && tally.refused >= 10, "block \(block): \(kind) \(tally)")
        }
    }
}
