import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// A drawn history of a whole study: consents, items, answers good and bad, rounds, windows.
struct DrawnHistory {
    private(set) var consortium: Consortium
    private(set) var findings: [String] = []
    private(set) var settledRounds = 0
    private var random: SplitMix64
    private var items: [ItemID] = []
    private var round: UInt32 = 0
    private var run: UInt32 = 0

    init(seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        var agreement = testAgreement()
        agreement.annotation.minimumAnswers = 1 + UInt32(seed % 3)
        agreement.annotation.periodItems = 3
        agreement.rewards.warmUpRounds = UInt32(seed % 4)
        agreement.rewards.roundPoolMicrotokens = 1 + random.next() % 30_000_000
        agreement.rewards.supplyMicrotokens = 150_000_000
        agreement.rewards.patientsBasisPoints = 3333
        agreement.rewards.annotatorsBasisPoints = 3333
        agreement.rewards.sitesBasisPoints = 3334
        agreement.rewards.developersBasisPoints = 0
        if seed % 2 == 0 {
            agreement.rewards.sitesBasisPoints = 0
            agreement.rewards.developersBasisPoints = 3334
        }
        consortium = try Consortium(agreement)
    }

    /// Draws and executes `blocks` steps; every block is audited.
    mutating func play(steps: Int) throws {
        if Int.random(in: 0..<4, using: &random) > 0 {
            // Enough answers for pay, so that most rounds have annotators to pay.
            let readers = Consortium.readers(of: Consortium.east)
            try register(40, readers: readers, by: Consortium.east)
            try read()
            try closePeriod()
        }
        for _ in 0..<steps {
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1, 2: try register()
            case 3, 4: try read()
            case 5:
                try read()
                try closePeriod()
            case 6, 7, 8: try settle()
            default: try expire()
            }
        }
    }

    private mutating func send(
        _ transactions: [WireTransaction], by account: AccountID, at: UInt64? = nil
    ) throws {
        guard !transactions.isEmpty else { return }
        try consortium.apply(transactions, by: account, at: at)
        findings += consortium.audit()
    }

    private mutating func register() throws {
        guard let site = Consortium.sites.randomElement(using: &random) else { return }
        let readers = Consortium.readers(of: site).filter { _ in Bool.random(using: &random) }
        let count = Int.random(in: 1...12, using: &random)
        try register(count, readers: readers, by: site)
    }

    private mutating func register(
        _ count: Int, readers: [AccountID], by site: AccountID
    ) throws {
        var transactions: [WireTransaction] = []
        for _ in 0..<count {
            let number = items.count
            let patient = named("patient \(site) \(number % 5)")
            let item = try itemID("\(site.name)/\(number)")
            items.append(item)
            transactions += [
                .grant(patient, waive: Bool.random(using: &random)),
                .register(
                    item.text, of: patient, tag: named("content \(number % 70)"),
                    readers: readers.map(\.text)),
            ]
        }
        try send(transactions, by: site)
    }

    /// Readers commit; most reveal, some another grade than they committed to, some nothing.
    private mutating func read() throws {
        let open = items.filter { consortium.item($0)?.outcome == .open }
        var grades: [ItemID: [AccountID: UInt32]] = [:]
        for item in open {
            let truth = UInt32.random(in: 1...5, using: &random)
            for text in consortium.item(item)?.readers ?? [] {
                guard let reader = AccountID(text), UInt.random(in: 0..<12, using: &random) > 0
                else { continue }
                let isGuess = text.hasSuffix("4")
                grades[item, default: [:]][reader] =
                    isGuess ? UInt32.random(in: 1...5, using: &random) : truth
            }
        }
        let readers = Set(grades.values.flatMap(\.keys)).sorted()
        let start = consortium.height.value + 1
        for reader in readers {
            let own = grades.filter { $0.value[reader] != nil }.keys.sorted()
            try send(
                own.map { try consortium.commit($0, grades[$0]?[reader] ?? 1, by: reader) },
                by: reader, at: start)
        }
        let rule = consortium.agreement.annotation
        var reveals: [AccountID: [WireTransaction]] = [:]
        for reader in readers {
            for item in grades.keys.sorted() {
                guard let grade = grades[item]?[reader] else { continue }
                let draw = Int.random(in: 0..<25, using: &random)
                guard draw > 0 else { continue }
                if draw == 1 {
                    reveals[reader, default: []].append(
                        try consortium.reveal(item, grade + 1, by: reader))
                }
                reveals[reader, default: []].append(
                    try consortium.reveal(item, grade, by: reader))
            }
        }
        // Items that all have committed to open at once, the others when the window is over.
        for height in [start + 1, start + UInt64(rule.commitWindow)] {
            for reader in readers { try send(reveals[reader] ?? [], by: reader, at: height) }
        }
        let over = start + UInt64(rule.commitWindow) + UInt64(rule.revealWindow) + 1
        try send(open.map { .closeItem($0.text) }, by: Consortium.coordinator, at: over)
    }

    private mutating func closePeriod() throws {
        try send([.closePeriod(consortium.openPeriod().number)], by: Consortium.coordinator)
    }

    private mutating func settle() throws {
        if consortium.run(run)?.isActive != true {
            run += 1
            round = 0
            try consortium.startRun(run, rounds: UInt32.random(in: 1...6, using: &random))
        }
        round += 1
        try consortium.openRound(run, round)
        let sites = (0..<3).map { _ in
            (
                verified: UInt32.random(in: 0...4, using: &random),
                shapley: Int64.random(in: -3...6, using: &random)
            )
        }
        var patients: [[UInt8]: UInt32] = [:]
        for site in Consortium.sites {
            for number in 0..<5 where Bool.random(using: &random) {
                patients[named("patient \(site) \(number)")] =
                    UInt32.random(in: 0...3, using: &random)
            }
        }
        let values = roundValues(
            Bool.random(using: &random) ? sites : sites.map { (0, $0.shapley) }, patients: patients)
        let effect = try consortium.closeRound(run, round, values)
        settledRounds += 1
        findings += consortium.audit()
        checkPool(effect)
    }

    /// What went into the round's pool left it, but for what waits.
    private mutating func checkPool(_ effect: WireEffect) {
        let pool = ConsortiumAccount.pool(run: run, round: round)
        var (paidIn, paidOut) = (UInt64(0), UInt64(0))
        for posting in effect.postings {
            if posting.credit == pool.text { paidIn += posting.microtokens }
            if posting.debit == pool.text { paidOut += posting.microtokens }
        }
        var waiting: UInt64 = 0
        for entry in consortium.state.entries(in: .waiting, prefix: [], limit: .max) {
            let state = consortium.value(WireWaitingState.self, .waiting, entry.key.key)
            if state?.pool != pool.text { findings.append("an earlier pool still waits") }
            waiting += state?.microtokens ?? 0
        }
        if paidIn - paidOut != waiting { findings.append("the pool is not handed out") }
        if consortium.held(pool) != waiting { findings.append("the pool holds something else") }
    }

    private mutating func expire() throws {
        let windows = consortium.state.entries(in: .windows, prefix: [], limit: .max)
            .map { WireTransaction.expire(String(decoding: $0.key.key, as: UTF8.self)) }
        guard !windows.isEmpty else { return }
        let later = consortium.height.value + UInt64.random(in: 1...7, using: &random)
        try send(windows, by: Consortium.west, at: later)
    }

    /// Windows and escrow belong together.
    func escrowFindings() -> [String] {
        var expected: [String: UInt64] = [:]
        for entry in consortium.state.entries(in: .windows, prefix: [], limit: .max) {
            guard let window = consortium.value(WireWindowState.self, .windows, entry.key.key)
            else { continue }
            for (reader, amount) in zip(window.appeals, window.microtokens) {
                expected[reader, default: 0] += amount
            }
        }
        return Consortium.sites.flatMap { Consortium.readers(of: $0) }.compactMap { reader in
            let held = consortium.held(ConsortiumAccount.appeal(of: reader))
            return held == expected[reader.text, default: 0]
                ? nil : "escrow of \(reader) is \(held)"
        }
    }
}

struct HistoryTests {
    @Test(
        "any history: supply conserved, nobody below zero, pools handed out, residuals zero",
        arguments: UInt64(0)..<200)
    func histories(seed: UInt64) throws {
        var history = try DrawnHistory(seed: seed)
        try history.play(steps: 12)
        #expect(history.findings.isEmpty, "replay with seed \(seed)")
        #expect(history.escrowFindings().isEmpty, "replay with seed \(seed)")
    }

    @Test("the drawn histories reach what they are meant to test")
    func reach() throws {
        var (rounds, penalties, waived, pending) = (0, 0, 0, 0)
        for seed in UInt64(0)..<12 {
            var history = try DrawnHistory(seed: seed)
            try history.play(steps: 12)
            rounds += history.settledRounds
            let accounts = history.consortium.book.balances
            penalties += accounts.keys.count { $0.kind == "appeal" }
            waived += accounts[ConsortiumAccount.commons, default: 0] > 0 ? 1 : 0
            pending += accounts.keys.count { $0.role == .annotator }
        }
        #expect(rounds > 20)
        #expect(penalties > 5)
        #expect(waived > 5)
        #expect(pending > 5)
    }

    @Test("the same seed twice ends in the same state")
    func determinism() throws {
        var (one, other) = (try DrawnHistory(seed: 7), try DrawnHistory(seed: 7))
        try one.play(steps: 12)
        try other.play(steps: 12)
        #expect(one.consortium.state.entries == other.consortium.state.entries)
        #expect(one.consortium.state.entries.count > 100)
    }
}
