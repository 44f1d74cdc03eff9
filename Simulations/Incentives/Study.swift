import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

/// What one repetition came to.
struct Outcome {
    /// Net of the stake: what each reader has more than at its enrolment, in microtokens.
    let net: [Int64]
    /// Items with a label, and those whose label is the truth.
    let approved: Int
    let right: Int
    let items: Int
}

/// One period of annotation and one round of pay, by the contracts.
struct Study {
    static let stake: UInt64 = 10_000_000

    private let scenario: Scenario
    private let world: World
    private let goldPercent: Int
    private let items: [ItemID]
    private let truth: [ItemID: UInt32]
    private let readers: [AccountID]
    private let numbers: [AccountID: Int]
    private var consortium: Consortium
    private var random: SplitMix64

    init(_ scenario: Scenario, _ world: World, goldPercent: Int, items count: Int, seed: UInt64)
        throws
    {
        self.scenario = scenario
        self.world = world
        self.goldPercent = goldPercent
        var random = SplitMix64(seed: seed)
        let sites = (0..<scenario.organisations).map {
            AccountID(.site, "h\($0 < 10 ? "0" : "")\($0)")
        }
        consortium = try Consortium(Self.agreement(world), sites: sites, enrolling: false)
        var readers: [AccountID] = []
        for site in sites {
            let own = (0..<scenario.readersOfEach).map {
                AccountID(.annotator, "\(site.name)-\($0)")
            }
            try consortium.applied(
                own.map { try .enrol(memberDocument($0), as: ["reader"]) }, by: site, at: 1)
            readers += own
        }
        self.readers = readers
        numbers = Dictionary(uniqueKeysWithValues: readers.enumerated().map { ($1, $0) })
        items = try (0..<count).map { try itemID("\(sites[$0 % sites.count].name)/i\($0)") }
        truth = Dictionary(
            uniqueKeysWithValues: items.map { ($0, Self.drawn(world.prior, &random)) })
        self.random = random
    }

    private static func agreement(_ world: World) -> WireAgreement {
        var agreement = drawnAgreement("class")
        agreement.annotation.classes = UInt32(world.prior.count)
        agreement.annotation.nearShareNumerator = 0
        agreement.annotation.nearShareDenominator = 0
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        agreement.annotation.posteriorPermille = 950
        agreement.annotation.minimumVotes = 2
        agreement.annotation.periodItems = 1_000_000
        agreement.annotation.seniorCredential = ""
        agreement.annotation.laterFeeMicrotokens = 50_000
        agreement.rewards.roundPoolMicrotokens = 1_000_000_000
        agreement.rewards.stakeMicrotokens = stake
        return agreement
    }

    /// A class, 1 to the number of classes, as often as the weights say.
    private static func drawn(_ weights: [Int], _ random: inout SplitMix64) -> UInt32 {
        var left = Int.random(in: 0..<weights.reduce(0, +), using: &random)
        for (place, weight) in weights.enumerated() {
            if left < weight { return UInt32(place + 1) }
            left -= weight
        }
        return 1
    }

    mutating func run() throws -> Outcome {
        let gold = try commitGold()
        for (site, own) in Dictionary(grouping: items, by: \.site).sorted(by: { $0.key < $1.key }) {
            try register(own, by: AccountID(.site, site))
        }
        let opened = consortium.height.value + 2
        for (site, own) in Dictionary(grouping: items, by: \.site).sorted(by: { $0.key < $1.key }) {
            try consortium.applied(
                own.map { .openSeed($0.text, consortium.secret(of: $0)) },
                by: AccountID(.site, site), at: opened)
        }
        var open = items
        while !open.isEmpty {
            // Who has committed and not revealed holds an item up until its windows are over.
            let readable = open.filter { consortium.item($0)?.presentAnswers.isEmpty ?? true }
            if readable.isEmpty {
                let rule = consortium.agreement.annotation
                let windows = UInt64(rule.commitWindow) + UInt64(rule.revealWindow)
                try close(open, at: consortium.height.value + windows + 2)
            } else {
                try read(readable)
            }
            open = open.filter { consortium.item($0)?.outcome == .open }
        }
        try close(gold)
        return outcome()
    }

    /// Registers in one block for all sites: the newest one, or the next when there is none yet.
    private mutating func register(_ own: [ItemID], by site: AccountID) throws {
        try consortium.applied(
            own.flatMap {
                [.grant(named("patient of \($0)")), consortium.drawnRecord($0)]
            }, by: site, at: 3)
    }

    // MARK: Gold

    private typealias Gold = (commitment: [UInt8], answers: [WireGoldAnswer], salt: [UInt8])

    private mutating func commitGold() throws -> Gold? {
        let count = items.count * goldPercent / 100
        guard count > 0 else { return nil }
        let chosen = items.shuffled(using: &random).prefix(count)
        let gold = consortium.gold(
            Dictionary(uniqueKeysWithValues: chosen.map { ($0, truth[$0, default: 1]) }))
        try consortium.applied(
            [.commitGold(gold.commitment)], by: Consortium.coordinator, at: 2)
        return gold
    }

    // MARK: Reading

    /// One wave of items: commitments, reveals, and what closes at once.
    private mutating func read(_ open: [ItemID]) throws {
        let network = consortium.network
        var commits: [AccountID: [WireTransaction]] = [:]
        var reveals: [AccountID: [WireTransaction]] = [:]
        for item in open {
            let state = try consortium.item(item).orThrow("\(item)")
            let asked = consortium.asked(item)
            var answers: [AccountID: UInt32] = [:]
            for reader in asked where strategy(of: reader) != .openCopier {
                answers[reader] = answer(of: reader, to: item, state)
            }
            for reader in asked where strategy(of: reader) == .openCopier {
                answers[reader] = commonest(Array(answers.values)) ?? 1
            }
            for reader in asked {
                guard let answer = answers[reader] else { continue }
                let isCopied = strategy(of: reader) == .closedCopier
                // A copied commitment is that of the first other reader.
                let author = isCopied ? asked.first { $0 != reader } ?? reader : reader
                let commitment = answerCommitment(
                    network: network, item: item, annotator: author,
                    answer: .grade(answers[author] ?? answer),
                    salt: try salt(of: author, for: item, network: network))
                commits[reader, default: []].append(.commit(item.text, commitment.bytes))
                guard !isCopied else { continue }
                reveals[reader, default: []].append(
                    .reveal(
                        item.text, answer, salt: try salt(of: reader, for: item, network: network)))
            }
        }
        let start = consortium.height.value + 1
        for (reader, own) in commits.sorted(by: { $0.key < $1.key }) {
            try consortium.applied(own, by: reader, at: start)
        }
        for (reader, own) in reveals.sorted(by: { $0.key < $1.key }) {
            try consortium.applied(own, by: reader, at: start + 1)
        }
        try close(open, at: start + 1)
    }

    /// Closes the items that can be closed.
    private mutating func close(_ open: [ItemID], at height: UInt64) throws {
        try consortium.apply(
            open.map { .closeItem($0.text) }, by: Consortium.coordinator, at: height)
    }

    private func strategy(of reader: AccountID) -> Strategy {
        scenario.strategy(of: numbers[reader, default: 0])
    }

    private mutating func answer(
        of reader: AccountID, to item: ItemID, _ state: WireItemState
    ) -> UInt32 {
        switch strategy(of: reader) {
        case .honest(let skill): return looked(at: item, skill)
        case .constant: return commonestClass
        case .prior, .closedCopier: return Self.drawn(world.prior, &random)
        case .half:
            return Bool.random(using: &random) ? looked(at: item, 85) : commonestClass
        case .laterCopier:
            let seen = state.answers.map(\.grade).filter { $0 > 0 }
            return commonest(seen) ?? Self.drawn(world.prior, &random)
        case .openCopier: return 1
        case .ring:
            var agreed = SplitMix64(seed: UInt64(truncatingIfNeeded: seed(of: item)))
            return Self.drawn(world.prior, &agreed)
        }
    }

    private func seed(of item: ItemID) -> Int {
        named("ring \(item)").prefix(7).reduce(0) { $0 << 8 | Int($1) }
    }

    private var commonestClass: UInt32 {
        UInt32((world.prior.indices.max { world.prior[$0] < world.prior[$1] } ?? 0) + 1)
    }

    private mutating func looked(at item: ItemID, _ skill: Int) -> UInt32 {
        let label = truth[item, default: 1]
        guard Int.random(in: 0..<100, using: &random) >= skill else { return label }
        let others = (1...UInt32(world.prior.count)).filter { $0 != label }
        return others.randomElement(using: &random) ?? label
    }

    /// The answer given most often; the lowest of several.
    private func commonest(_ answers: [UInt32]) -> UInt32? {
        let counts = Dictionary(answers.map { ($0, 1) }, uniquingKeysWith: +)
        return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    // MARK: Pay

    private mutating func close(_ gold: Gold?) throws {
        let next = consortium.height.value + 1
        if let gold {
            try consortium.applied(
                [.revealGold(gold.commitment, gold.answers, salt: gold.salt)],
                by: Consortium.coordinator, at: next)
        }
        try consortium.applied([.closePeriod(1)], by: Consortium.coordinator, at: next)
        try consortium.startRun(rounds: 1)
        try consortium.openRound(1, 1)
        var values = WireRoundValues()
        values.sites = consortium.sites.map {
            var value = WireSiteValue()
            value.site = $0.text
            value.answer = "answered"
            value.verified = 1
            return value
        }
        values.shapleyDenominator = 1
        try consortium.closeRound(1, 1, values)
    }

    private func outcome() -> Outcome {
        let labels = items.compactMap { item -> (ItemID, UInt32)? in
            consortium.item(item).flatMap { $0.outcome == .approved ? (item, $0.grade) : nil }
        }
        return Outcome(
            net: readers.map {
                Int64(consortium.held($0)) + Int64(consortium.held(ConsortiumAccount.stake(of: $0)))
                    - Int64(Self.stake)
            },
            approved: labels.count, right: labels.count { truth[$0.0] == $0.1 },
            items: items.count)
    }
}
