import Contracts
import Ledger
import TestSupport
import Testing

struct AnnotatorPayTests {
    struct Points: Decodable {
        let name: String
        let classes: Int
        let ordinal: Bool
        let rows: [[Int]]
        let n: Int64
        let S: Int64
        let points: Int64
    }
    struct Reference: Decodable {
        let others: [[Int]]
        let classes: Int
        let ordinal: Bool
        let reference: Int?
    }
    struct Result: Decodable, Equatable {
        let answers: UInt64
        let n: UInt64
        let points: Int64
        let fee: UInt64
        let weight: UInt64?
        let shortfall: UInt64
    }
    struct Lungs: Decodable {
        let outcomes: [String: Int]
        let nodules: [String: Int]
        let result: [String: Result]
    }
    struct File: Decodable {
        let points: [Points]
        let references: [Reference]
        let lung_nodules: Lungs
    }

    func item(_ number: Int) throws -> ItemID { try #require(ItemID("site/\(number)")) }
    func reader(_ name: String) -> AccountID { AccountID(.annotator, name) }

    func plain(_ results: [AccountID: PayResult<PayRows>]) -> [String: Result] {
        var plain: [String: Result] = [:]
        for (account, result) in results {
            plain[account.name] = Result(
                answers: result.answers, n: result.n, points: result.points, fee: result.fee,
                weight: result.weight, shortfall: result.shortfall)
        }
        return plain
    }

    /// Rows one after the other, [own, reference, multiplicity], as the table pay keeps.
    func table(_ rows: [[Int]], classes: Int) throws -> PayRows {
        var joint = Array(repeating: UInt64(0), count: classes * classes)
        for row in rows { joint[row[0] * classes + row[1]] += UInt64(row[2]) }
        return try #require(PayRows(answers: UInt64(rows.count), joint: joint))
    }

    @Test("the reference's points and references, to the unit")
    func vectorCases() throws {
        let file = try vectors("annotator_pay_vectors", as: File.self)
        #expect(file.points.count == 7 && file.references.count == 5)
        for vector in file.points {
            let scale = try AnswerScale(classes: vector.classes, ordinal: vector.ordinal)
            let rows = try table(vector.rows, classes: vector.classes)
            let beyond = try #require(BeyondChance(rows, on: scale))
            #expect(beyond.rows == vector.n && beyond.surplus == Int128(vector.S))
            #expect(beyond.points(on: scale) == vector.points, "\(vector.name)")
        }
        for vector in file.references {
            let scale = try AnswerScale(classes: vector.classes, ordinal: vector.ordinal)
            let others = vector.others.map { (answer: $0[0], weight: UInt64($0[1])) }
            #expect(payReference(of: others, scale: scale) == vector.reference)
        }
    }

    @Test("the lung nodules: what twelve seats earn, from the raw table")
    func lungNodules() throws {
        let expected = try vectors("annotator_pay_vectors", as: File.self).lung_nodules
        var items: [ItemID: [AccountID: Int]] = [:]
        var (nodules, outcomes): ([String: Int], [String: Int]) = ([:], [:])
        for nodule in try TestSupport.lungNodules() {
            nodules[nodule.hospital, default: 0] += 1
            switch OrdinalRule().outcome(of: nodule.malignancies) {
            case .approved:
                let item = try #require(
                    ItemID("\(nodule.hospital)/\(nodule.study)-\(nodule.number)"))
                for reading in nodule.readings {
                    let seat = reader("\(nodule.hospital)-\(reading.reader)")
                    items[item, default: [:]][seat] = reading.malignancy - 1
                }
                outcomes["approved", default: 0] += 1
            case .indeterminate(let reason): outcomes[reason.rawValue, default: 0] += 1
            }
        }
        #expect(nodules == expected.nodules && outcomes == expected.outcomes)
        let results = try payPeriod(items: items, classes: 5, ordinal: true)
        #expect(plain(results) == expected.result)
    }

    /// A period by formula, that the reference was run on too; reader e always answers 1.
    func period(classes: Int, goldStep: Int?) throws -> (
        items: [ItemID: [AccountID: Int]], gold: [ItemID: Int]
    ) {
        var (items, gold): ([ItemID: [AccountID: Int]], [ItemID: Int]) = ([:], [:])
        for number in 0..<60 {
            let truth = (number * number + 3 * number) % classes
            var answers: [AccountID: Int] = [:]
            for (place, name) in ["a", "b", "c", "d", "e"].enumerated() {
                let drawn = (number * (place + 3) * 7 + place * place * 5 + number * number) % 11
                if drawn == 10, place != 0 { continue }
                let own = drawn < 9 - 2 * place ? truth : (truth + drawn) % classes
                answers[reader(name)] = place == 4 ? 1 : own
            }
            items[try item(number)] = answers
            if let goldStep, number % goldStep == 0 { gold[try item(number)] = truth }
        }
        return (items, gold)
    }

    @Test(
        "periods by formula agree with annotator_pay.py",
        arguments: [
            (
                3, nil, nil,
                [
                    "a": Result(60, 55, 20_181_818, 246_290),
                    "b": Result(48, 43, 9_627_906, 192_554),
                    "c": Result(60, 60, 19_533_333, 268_680),
                    "d": Result(60, 59, 12_254_237, 264_202), "e": Result(50, 50, 0, 223_900),
                ]
            ),
            (
                3, 5, ["a": 545, "b": 200, "c": 448, "d": 247, "e": 0],
                [
                    "a": Result(60, 144, 61_333_333, 713_232),
                    "b": Result(48, 118, 26_237_288, 584_454),
                    "c": Result(60, 144, 56_000_000, 713_232),
                    "d": Result(60, 144, 35_666_666, 713_232), "e": Result(50, 120, 0, 594_360),
                ]
            ),
            (
                5, nil, nil,
                [
                    "a": Result(60, 60, 8_116_666, 109_320), "b": Result(48, 48, 7_208_333, 87_456),
                    "c": Result(60, 60, 5_208_333, 109_320),
                    "d": Result(60, 60, 5_466_666, 109_320),
                    "e": Result(50, 50, 0, 91_100),
                ]
            ),
            (
                5, 6, ["a": 471, "b": 217, "c": 187, "d": 183, "e": 0],
                [
                    "a": Result(60, 130, 45_034_615, 412_230),
                    "b": Result(48, 104, 21_750_000, 329_784),
                    "c": Result(60, 130, 20_611_538, 412_230),
                    "d": Result(60, 130, 17_919_230, 412_230), "e": Result(50, 106, 0, 336_126),
                ]
            ),
        ] as [(Int, Int?, [String: UInt64]?, [String: Result])])
    func formula(
        classes: Int, goldStep: Int?, weights: [String: UInt64]?, expected: [String: Result]
    ) throws {
        let (items, gold) = try period(classes: classes, goldStep: goldStep)
        let results = try payPeriod(
            items: items, classes: classes, ordinal: classes == 5, gold: gold)
        #expect(plain(results) == expected)
        let scale = try AnswerScale(classes: classes, ordinal: classes == 5)
        let found = try payReferenceWeights(items: items, scale: scale, gold: gold)
        for (name, weight) in weights ?? [:] { #expect(found[reader(name)] == weight) }
        if goldStep == nil { #expect(found.values.allSatisfy { $0 == 1 }) }
    }

    @Test("a constant answer earns exactly nothing", arguments: UInt64(0)..<40)
    func constantAnswer(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let classes = Int.random(in: 2...5, using: &random)
        var items: [ItemID: [AccountID: Int]] = [:]
        for number in 0..<50 {
            items[try item(number)] = [
                reader("lazy"): 1, reader("one"): Int.random(in: 0..<classes, using: &random),
                reader("two"): Int.random(in: 0..<classes, using: &random),
            ]
        }
        for ordinal in [false, true] {
            let results = try payPeriod(items: items, classes: classes, ordinal: ordinal)
            let lazy = try #require(results[reader("lazy")])
            #expect(lazy.points == 0 && lazy.weight == 0, "replay with seed \(seed)")
            #expect(lazy.shortfall == lazy.fee, "replay with seed \(seed)")
        }
    }

    @Test("rows carry over: two short periods pay like one", arguments: [false, true])
    func carryOver(ordinal: Bool) throws {
        let (items, _) = try period(classes: 4, goldStep: nil)
        let early = items.filter { Int($0.key.text.dropFirst(5)).map { $0 < 25 } ?? false }
        let late = items.filter { early[$0.key] == nil }
        try #require(early.count == 25 && late.count == 35)
        let first = try payPeriod(items: early, classes: 4, ordinal: ordinal)
        #expect(first.values.allSatisfy { $0.weight == nil && $0.points == 0 && $0.fee == 0 })
        let carried = first.mapValues(\.carried)
        let second = try payPeriod(items: late, classes: 4, ordinal: ordinal, carried: carried)
        #expect(second == (try payPeriod(items: items, classes: 4, ordinal: ordinal)))
        #expect(second.values.allSatisfy { $0.weight != nil && $0.carried == .none })
        let absent = try payPeriod(items: [:], classes: 4, ordinal: ordinal, carried: carried)
        #expect(absent.mapValues(\.carried) == carried)
    }

    @Test("29 answers are not yet rated, 30 are")
    func thirtyAnswers() throws {
        for count in [29, 30] {
            var items: [ItemID: [AccountID: Int]] = [:]
            for number in 0..<count {
                items[try item(number)] = [reader("a"): number % 2, reader("b"): number % 2]
            }
            let result = try #require(
                try payPeriod(items: items, classes: 2, ordinal: false)[reader("a")])
            #expect((result.weight != nil) == (count == 30))
            #expect(result.carried.answers == (count == 30 ? 0 : 29))
        }
    }

    @Test("figures of single answers add up to the points, but for rounding")
    func figures() throws {
        for (classes, goldStep) in [(3, 5), (5, 6)] {
            let (items, gold) = try period(classes: classes, goldStep: goldStep)
            let scale = try AnswerScale(classes: classes, ordinal: classes == 5)
            let results = try payPeriod(
                items: items, classes: classes, ordinal: classes == 5, gold: gold)
            for result in results.values {
                let beyond = try #require(BeyondChance(result.rows, on: scale))
                var sum = Int64(0)
                for own in 0..<classes {
                    for reference in 0..<classes {
                        let count = Int64(result.rows.joint[own * classes + reference])
                        let figure = beyond.figure(
                            own: own, reference: reference, multiplicity: 1, on: scale)
                        sum += count * figure
                    }
                }
                #expect(sum <= result.points && sum > result.points - Int64(result.n) - 1)
            }
        }
    }

    @Test("in consensus earns B(1 − e), out of it loses B·e")
    func figureByHand() throws {
        // Own 0, 0, 0, 1 against 0, 0, 1, 1: e = (3·2 + 1·2) / 16 = 1/2.
        let scale = try AnswerScale(classes: 2, ordinal: false)
        let rows = try #require(PayRows(answers: 4, joint: [2, 1, 0, 1]))
        let beyond = try #require(BeyondChance(rows, on: scale))
        #expect(beyond.figure(own: 0, reference: 0, multiplicity: 1, on: scale) == 500_000)
        #expect(beyond.figure(own: 0, reference: 1, multiplicity: 1, on: scale) == -500_000)
        #expect(beyond.figure(own: 1, reference: 1, multiplicity: 8, on: scale) == 4_000_000)
        #expect(beyond.figure(own: 2, reference: 1, multiplicity: 8, on: scale) == 0)
        let share = TokenAmount(microtokens: 1_000_001)
        #expect(payFigure(points: 500_000, share: share, totalWeight: 4_000_000) == 125_000)
        #expect(payFigure(points: -500_000, share: share, totalWeight: 4_000_000) == -125_001)
        #expect(payFigure(points: 1, share: share, totalWeight: 0) == nil)
        let most = TokenAmount(microtokens: .max)
        #expect(payFigure(points: .min, share: most, totalWeight: 1) == nil)
    }

    @Test(
        "a penalty is bounded by the stake, and rounded down",
        arguments: [
            (1_000, 900, 30, 100, 270), (100, 900, 30, 100, 100), (1_000, 900, 1, 7, 128),
            (1_000, 900, 30, 0, 0), (.max, .max, .max, 1, .max), (0, .max, .max, 1, 0),
        ] as [(UInt64, UInt64, UInt64, UInt64, UInt64)])
    func penalties(stake: UInt64, share: UInt64, shortfall: UInt64, total: UInt64, owed: UInt64) {
        let found = penalty(
            stakeLeft: TokenAmount(microtokens: stake), share: TokenAmount(microtokens: share),
            shortfall: shortfall, totalWeight: total)
        #expect(found.microtokens == owed)
    }

    @Test("no input traps: every refusal by name")
    func refusals() throws {
        let (first, a) = (try item(0), reader("a"))
        func pay(
            _ answer: Int, classes: Int = 3, gold: [ItemID: Int] = [:],
            carried: [AccountID: PayRows] = [:]
        ) throws {
            _ = try payPeriod(
                items: [first: [a: answer]], classes: classes, ordinal: true, gold: gold,
                carried: carried)
        }
        for classes in [-1, 0, 1, 256] {
            #expect(throws: PayError.classCount(classes)) { try pay(0, classes: classes) }
        }
        for answer in [-1, 3, .max, .min] {
            #expect(throws: PayError.answerOutOfRange(first, a, answer: answer)) { try pay(answer) }
            #expect(throws: PayError.goldOutOfRange(first, answer: answer)) {
                try pay(0, gold: [first: answer])
            }
        }
        let other = try #require(PayRows(answers: 1, joint: [1, 0, 0, 0]))
        #expect(throws: PayError.carriedRows(a)) { try pay(0, carried: [a: other]) }
        let full = try #require(PayRows(answers: 1 << 31 - 1, joint: []))
        #expect(throws: PayError.overflow(a)) { try pay(0, carried: [a: full]) }
        #expect(PayRows(answers: 1 << 31, joint: []) == nil)
        #expect(PayRows(answers: 0, joint: [.max, .max]) == nil)
        let scale = try AnswerScale(classes: 3, ordinal: false)
        #expect(payReference(of: [(answer: 3, weight: 1)], scale: scale) == nil)
        #expect(
            payReference(of: [(answer: 0, weight: .max), (answer: 1, weight: .max)], scale: scale)
                == nil)
    }
}

extension AnnotatorPayTests.Result {
    /// A rated reader: weight and shortfall follow from points and fee.
    init(_ answers: UInt64, _ n: UInt64, _ points: Int64, _ fee: UInt64) {
        self.init(
            answers: answers, n: n, points: points, fee: fee,
            weight: UInt64(max(0, points - Int64(fee))),
            shortfall: UInt64(max(0, Int64(fee) - points)))
    }
}
