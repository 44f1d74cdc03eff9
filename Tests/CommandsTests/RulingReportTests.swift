import Contracts
import Cryptography
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

/// What is said of gold and of reversed items whose answers agree by degrees.
@Suite("Explanations of gold and rulings")
struct RulingReportTests {
    static let readers = ReportLedger.drawnReaders
    /// Torn items have no consensus; one of them is gold.
    static let (torn, gold) = (Set([1, 20, 27]), [2, 6, 11, 16, 20, 24, 30, 35])
    /// Their rows hang together with those of their neighbours.
    static let reversed = [4, 13]

    private static func agreement(_ kind: AnswerKind) -> WireAgreement {
        var agreement = drawnAgreement(kind.rawValue)
        agreement.annotation.waves = [3]
        agreement.annotation.classes = kind == .measurement ? 0 : kind == .boxes ? 2 : 1
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        if kind == .measurement {
            agreement.annotation.absoluteTolerance = 900
        } else {
            agreement.annotation.nearShareNumerator = 0
            agreement.annotation.nearShareDenominator = 0
            agreement.annotation.agreementPermille = kind == .boxes ? 700 : 600
            agreement.annotation.overlapPermille = kind == .boxes ? 400 : 0
        }
        agreement.rewards.appealWindow = 200
        return agreement
    }

    /// An answer about an image of 30 × 20 pixels, moved by some twentieths of what is on it.
    private static func answer(_ kind: AnswerKind, _ number: Int, moved: Int) throws -> Answer {
        let size = try #require(ImageSize(width: 30, height: 20))
        let place = UInt32(20 * (number % 9) + 3 * moved)
        switch kind {
        case .measurement: return .measurement(Int64(number % 7 * 1_000 + moved * 150))
        case .boxes:
            let left = 1_000 * UInt32(number % 9) + 300 * UInt32(moved)
            let box = Box(
                label: 1 + UInt32(number % 2), left: left, top: 2_000, right: left + 8_000,
                bottom: 12_000)
            return .boxes(try #require(BoxSet(size: size, boxes: [box])))
        default:
            return .mask(
                try #require(
                    RunMask(size: size, joining: [place, 60, size.pixels - place - 60])))
        }
    }

    private static func given(_ kind: AnswerKind, _ number: Int, _ seat: Int) throws -> Answer {
        try answer(kind, number, moved: torn.contains(number) ? 30 * seat : (number + seat) % 3)
    }

    private static func item(_ number: Int) throws -> ItemID { try itemID("east/\(number + 100)") }

    private func everybody(
        _ ledger: ReportLedger, _ readers: [AccountID],
        _ transactions: (AccountID) throws -> [WireTransaction]
    ) throws {
        try ledger.block(try readers.map { ($0, try transactions($0)) })
    }

    /// What the seniors say of a torn item of gold in the block in which the period closes.
    private enum Ruling { case beforeTheClose, afterTheClose }

    /// Sites enrol their readers or their seniors.
    private func enrol(
        _ accounts: (AccountID) -> [AccountID], as role: String, _ ledger: ReportLedger
    ) throws {
        try ledger.block(
            try [Consortium.north, Consortium.west].map { site in
                (site, try accounts(site).map { try .enrol(memberDocument($0), as: [role]) })
            })
    }

    /// Thirty-six items are read, gold is shown, and the period closes.
    ///
    /// With a ruling, a decision lets seniors judge when the torn items have ended, and they rule
    /// on one of them.
    private func study(_ kind: AnswerKind, _ ruling: Ruling? = nil) throws -> ReportLedger {
        var agreement = Self.agreement(kind)
        let credential = agreement.annotation.seniorCredential
        if ruling != nil { agreement.annotation.seniorCredential = "" }
        let ledger = try ReportLedger(agreement)
        try enrol(
            { site in Self.readers.filter { $0.name.hasPrefix(site.name) } }, as: "reader", ledger)
        try enrol(Consortium.seniors, as: credential, ledger)
        let items = try (0..<36).map(Self.item)
        let truths = try Self.gold.map { number in
            var truth = WireGoldAnswer()
            truth.item = try Self.item(number).text
            truth.answer = data(try Self.answer(kind, number, moved: 1).bytes)
            return truth
        }
        let (network, salt) = (ledger.consortium.network, named("gold salt"))
        let commitment = goldCommitment(
            network: network, organisation: Consortium.coordinator, answers: truths, salt: salt
        ).bytes
        try ledger.block([(Consortium.coordinator, [.commitGold(commitment)])])
        let study = ledger.consortium
        try ledger.block([
            (
                Consortium.east,
                items.flatMap { item -> [WireTransaction] in
                    var register = study.drawnRecord(item)
                    register.recordRegister.width = kind.isImage ? 30 : 0
                    register.recordRegister.height = kind.isImage ? 20 : 0
                    return [.grant(named("patient of \(item)")), register]
                }
            )
        ])
        try ledger.block()
        try ledger.block([
            (Consortium.east, items.map { .openSeed($0.text, study.secret(of: $0)) })
        ])
        for isReveal in [false, true] {
            try everybody(ledger, Self.readers) { reader in
                let seat = Self.readers.firstIndex(of: reader) ?? 0
                return try items.enumerated().map { number, item in
                    let answer = try Self.given(kind, number, seat)
                    return isReveal
                        ? try study.reveal(item, answer, by: reader)
                        : try study.commit(item, answer, by: reader)
                }
            }
        }
        try ledger.block([(Consortium.coordinator, items.map { .closeItem($0.text) })])
        let item = try Self.item(20)
        let closing: [WireTransaction] = [
            .revealGold(commitment, truths, salt: salt), .closePeriod(1),
        ]
        if let ruling {
            try ledger.decide { $0.annotation.seniorCredential = credential }
            try ledger.block([(Consortium.east, [.dispute(item.text)])])
            try seniors(ledger, [item], kind) { _ in 7 }
            let ends = [WireTransaction.closeItem(item.text)]
            try ledger.block([
                (
                    Consortium.coordinator,
                    ruling == .beforeTheClose ? ends + closing : closing + ends
                )
            ])
        } else {
            // Nobody agrees on the torn ones, seniors neither.
            let open = try Self.torn.sorted().map(Self.item)
            try seniors(ledger, open, kind) { 50 * $0 }
            try ledger.block([(Consortium.coordinator, open.map { .closeItem($0.text) })])
            try ledger.block([(Consortium.coordinator, closing)])
        }
        return ledger
    }

    /// Two seniors are asked about items, and answer.
    private func seniors(
        _ ledger: ReportLedger, _ items: [ItemID], _ kind: AnswerKind,
        moved: (_ place: Int) -> Int
    ) throws {
        let study = ledger.consortium
        let asked = Set(items.flatMap(study.asked)).sorted()
        for isReveal in [false, true] {
            try everybody(ledger, asked) { senior in
                try items.compactMap { item in
                    guard let place = study.asked(item).firstIndex(of: senior) else { return nil }
                    let number = try #require(Int(item.text.suffix(3))) - 100
                    let answer = try Self.answer(kind, number, moved: moved(place))
                    return isReveal
                        ? try study.reveal(item, answer, by: senior)
                        : try study.commit(item, answer, by: senior)
                }
            }
        }
    }

    /// East disputes an item, and two seniors say what is moved by more than any reader's answer.
    private func reverse(_ number: Int, _ ledger: ReportLedger, _ kind: AnswerKind) throws {
        let item = try Self.item(number)
        try ledger.block([(Consortium.east, [.dispute(item.text)])])
        try seniors(ledger, [item], kind) { _ in 7 }
        try ledger.block([(Consortium.coordinator, [.closeItem(item.text)])])
    }

    private struct Told {
        var figures: Int64 = 0
        var fees: UInt64 = 0
        var texts: [Int: String] = [:]
        var byItem: [Int: Int64] = [:]
    }

    /// What the explanations of all items say of a reader.
    private func told(_ ledger: ReportLedger, _ reader: AccountID) throws -> Told {
        let reporter = Reporter(store: ledger.store)
        var told = Told()
        for number in 0..<36 {
            let report = try reporter.explain(Self.item(number))
            let own = try #require(report.readers.first { $0.annotator == reader.text })
            told.texts[number] = own.arithmetic
            guard let figure = own.figure else { continue }
            told.byItem[number] = figure
            told.figures += figure
            told.fees += try #require(own.fee)
        }
        return told
    }

    /// The figures of a reader's rows, in a plain way of its own.
    private func figures<Rule: GradedRule>(
        _ rule: Rule, _ ledger: ReportLedger, _ seat: Int, rulings: [Int: Rule.Value],
        _ value: (_ number: Int, _ seat: Int) throws -> Rule.Value,
        truth: (_ number: Int) throws -> Rule.Value
    ) throws -> [Int: Int64] {
        let weights = try Self.readers.map { reader in
            try #require(
                ledger.consortium.value(WirePayState.self, .pay, payKey(1, reader))
            ).referenceWeight
        }
        #expect(Set(weights).count > 1)
        var rows: [(number: Int, own: Rule.Value, reference: Rule.Value)] = []
        var tests = rows
        for number in 0..<36 where !Self.torn.contains(number) {
            let own = try value(number, seat)
            if Self.gold.contains(number) {
                tests.append((number, own, try truth(number)))
                continue
            }
            let others = try (0..<3).filter { $0 != seat }
                .map { (value: try value(number, $0), weight: weights[$0]) }
            guard let reference = rulings[number] ?? rule.reference(of: others) else { continue }
            rows.append((number, own, reference))
        }
        var figures: [Int: Int64] = [:]
        for (cycle, times) in [(rows, Int64(1)), (tests, 8)] {
            for (place, row) in cycle.enumerated() {
                let next = cycle[(place + 1) % cycle.count].reference
                let beyond =
                    Int64(rule.agreement(row.own, row.reference))
                    - Int64(rule.agreement(row.own, next))
                figures[row.number] = times * 1_000 * beyond
            }
        }
        return figures
    }

    private func expected(
        _ kind: AnswerKind, _ ledger: ReportLedger, _ seat: Int, rulings: [Int]
    ) throws -> [Int: Int64] {
        let rule = Self.agreement(kind).annotation
        func all<Rule: GradedRule>(
            _ graded: Rule, _ value: (Answer) -> Rule.Value?
        ) throws -> [Int: Int64] {
            let labels = try rulings.map { number in
                let label = try #require(value(Self.answer(kind, number, moved: 7)))
                return (number, label)
            }
            return try figures(
                graded, ledger, seat, rulings: Dictionary(uniqueKeysWithValues: labels)
            ) { number, seat in
                try #require(value(Self.given(kind, number, seat)))
            } truth: { number in
                try #require(value(Self.answer(kind, number, moved: 1)))
            }
        }
        switch kind {
        case .measurement:
            return try all(rule.measurementRule) {
                if case .measurement(let value) = $0 { value } else { nil }
            }
        case .boxes:
            return try all(rule.boxRule) { if case .boxes(let set) = $0 { set } else { nil } }
        default:
            return try all(rule.maskRule) { if case .mask(let mask) = $0 { mask } else { nil } }
        }
    }

    @Test(
        "what is said of every row is what it is paid by, also after rulings",
        arguments: [AnswerKind.measurement, .boxes, .masks])
    func rows(kind: AnswerKind) throws {
        let ledger = try study(kind)
        var before: [Told] = []
        for isReversed in [false, true] {
            for (seat, reader) in Self.readers.enumerated() {
                let told = try told(ledger, reader)
                let score = try Reporter(store: ledger.store).score(of: reader)
                let period = try #require(score.periods.first)
                #expect(period.rated && told.figures == period.points && told.fees == period.fee)
                #expect(score.accuracyPermille == Int64(period.accuracyPermille))
                #expect(score.agreementPermille == Int64(period.agreementPermille))
                #expect(
                    try told.byItem
                        == expected(
                            kind, ledger, seat, rulings: isReversed ? Self.reversed : []))
                for number in Self.gold where !Self.torn.contains(number) {
                    #expect(told.texts[number]?.hasPrefix("gold, 8 rows: 8 × 1000 × (") == true)
                }
                #expect(told.texts[20]?.contains("no gain and no loss") == true)
                let weight = ledger.consortium.value(
                    WirePayState.self, .pay, payKey(1, reader))?.referenceWeight
                let own = try Reporter(store: ledger.store).explain(Self.item(3)).readers
                    .first { $0.annotator == reader.text }
                #expect(own?.weight == weight && weight != nil)
                if isReversed { #expect(told.byItem != before[seat].byItem) }
                before.append(told)
            }
            if !isReversed { for number in Self.reversed { try reverse(number, ledger, kind) } }
        }
        let report = try Reporter(store: ledger.store).explain(Self.item(4))
        #expect(report.outcome == "approved" && report.dispute?.outcome == "reversed")
        // Gold without a label is shown, and is nobody's row.
        let torn = try Reporter(store: ledger.store).explain(Self.item(20))
        #expect(torn.outcome == "disputed" && torn.gold != nil)
        #expect(torn.readers.count == 5 && torn.readers.allSatisfy { $0.figure == nil })
    }

    @Test(
        "gold that seniors label in the block of the close is a row when they came first",
        arguments: [AnswerKind.measurement, .boxes, .masks])
    func rulingAtTheClose(kind: AnswerKind) throws {
        for ruling in [Ruling.beforeTheClose, .afterTheClose] {
            let ledger = try study(kind, ruling)
            let report = try Reporter(store: ledger.store).explain(Self.item(20))
            #expect(report.outcome == "approved" && report.gold != nil)
            for reader in Self.readers {
                let told = try told(ledger, reader)
                #expect(
                    told.texts[20]?.hasPrefix(
                        ruling == .beforeTheClose
                            ? "gold, 8 rows: 8 × 1000 × ("
                            : "gold, and without a label when the period closed") == true)
                let score = try Reporter(store: ledger.store).score(of: reader)
                let period = try #require(score.periods.first)
                #expect(told.figures == period.points && told.fees == period.fee)
            }
        }
    }

    @Test("what was decided and paid is explained by the agreement of its day")
    func agreementOfTheDay() throws {
        let ledger = try study(.measurement)
        func all() throws -> [String] {
            try (0..<36).map { number in
                let report = try Reporter(store: ledger.store).explain(Self.item(number))
                return "\(report.outcome) \(report.reason) \(report.value ?? "") \(report.readers)"
            }
        }
        let before = try all()
        try ledger.decide { $0.annotation.absoluteTolerance = 5_000 }
        #expect(try ledger.store.tip().terms.newest.agreement.annotation.absoluteTolerance == 5_000)
        #expect(try all() == before)
    }
}
