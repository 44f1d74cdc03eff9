import Contracts
import Ledger
import TestSupport
import Testing

@Suite("Measurements, boxes and masks")
struct GradedAnswerTests {
    /// Consensus of every item and pay of the period as the reference has them.
    private func check<Rule: GradedRule>(
        _ vector: AnswerVectors.Case, _ rule: Rule, _ value: (VectorValue) throws -> Rule.Value
    ) throws {
        var items: [ItemID: [AccountID: Rule.Value]] = [:]
        for (number, answers) in vector.items.enumerated() {
            var own: [AccountID: Rule.Value] = [:]
            for answer in answers.map(\.entries) {
                own[AnswerVectors.reader(try answer[0].measurement())] = try value(answer[1])
            }
            let item = try AnswerVectors.item(number)
            items[item] = own
            let ordered = own.sorted { $0.key < $1.key }.map(\.value)
            let expected = vector.outcomes[number]
            switch rule.consensus(of: ordered) {
            case .approved(let label):
                let wanted = try value(expected.label)
                #expect(expected.name == "approved" && label == wanted)
            case .indeterminate(let reason): #expect(expected.name == reason.rawValue)
            }
        }
        var gold: [ItemID: Rule.Value] = [:]
        for entry in vector.gold.map(\.entries) {
            gold[try AnswerVectors.item(Int(entry[0].measurement()))] = try value(entry[1])
        }
        var carried: [AccountID: GradedRows] = [:]
        for reader in UInt64(0)..<4 {
            carried[AnswerVectors.reader(Int64(reader))] = GradedRows(
                answers: 20 + reader, count: 18, agreed: 15_000 - 1000 * reader, chance: 9000)
        }
        let early = try items.filter { try $0.key < AnswerVectors.item(12) }
        try compare(payPeriod(items: items, rule: rule), vector.results["plain"])
        try compare(payPeriod(items: items, rule: rule, gold: gold), vector.results["gold"])
        try compare(
            payPeriod(items: early, rule: rule, carried: carried), vector.results["carried"])
    }

    private func compare(
        _ results: [AccountID: PayResult<GradedRows>], _ expected: [String: AnswerVectors.Result]?
    ) throws {
        let expected = try #require(expected)
        #expect(results.count == expected.count)
        for (name, want) in expected {
            let reader = AnswerVectors.reader(try #require(Int64(name)))
            let result = try #require(results[reader])
            #expect(result.answers == want.answers && result.n == want.n, "\(reader)")
            #expect(result.rows.agreed == want.agreed && result.rows.chance == want.chance)
            #expect(result.weight == want.weight, "\(reader)")
            #expect(result.points == want.points ?? 0 && result.fee == want.fee ?? 0)
            #expect(result.shortfall == want.shortfall ?? 0)
            #expect(result.carried == (want.weight == nil ? result.rows : .none))
        }
    }

    @Test("the reference's vectors")
    func vectorCases() throws {
        let cases = try vectors("answer_vectors", as: AnswerVectors.self).cases
        #expect(cases.map(\.kind).count == 6)
        for vector in cases {
            switch vector.kind {
            case "measurement":
                try check(vector, MeasurementRule(absoluteTolerance: 1500, relativePermille: 100)) {
                    try $0.measurement()
                }
            case "boxes": try check(vector, BoxRule()) { try $0.boxes() }
            default: try check(vector, MaskRule()) { try $0.mask() }
            }
        }
    }

    // MARK: - A template nets exactly nothing

    private func items<Value>(
        _ random: inout SplitMix64, readers: Int, _ draw: (inout SplitMix64) throws -> Value,
        template: Value
    ) throws -> [ItemID: [AccountID: Value]] {
        var items: [ItemID: [AccountID: Value]] = [:]
        for number in 0..<Int.random(in: 1...40, using: &random) {
            var answers: [AccountID: Value] = [AnswerVectors.reader(99): template]
            for reader in 0..<readers where Bool.random(using: &random) {
                answers[AnswerVectors.reader(Int64(reader))] = try draw(&random)
            }
            items[try AnswerVectors.item(number)] = answers
        }
        return items
    }

    private func checkTemplate<Rule: GradedRule>(
        _ items: [ItemID: [AccountID: Rule.Value]], _ rule: Rule, seed: UInt64
    ) throws {
        let result = try payPeriod(items: items, rule: rule)[AnswerVectors.reader(99)]
        let rows = try #require(result?.rows)
        #expect(rows.points == 0 && rows.agreed == rows.chance, "replay with seed \(seed)")
        let gold = Dictionary(
            uniqueKeysWithValues: items.compactMap { item, answers in
                answers.first.map { (item, $0.value) }
            }.filter { $0.0.text.hasSuffix("3") || $0.0.text.hasSuffix("7") })
        let tested = try payPeriod(items: items, rule: rule, gold: gold)[AnswerVectors.reader(99)]
        #expect(tested?.rows.points == 0, "replay with seed \(seed)")
    }

    private static func mask(_ random: inout SplitMix64, size: ImageSize) throws -> RunMask {
        var counts: [UInt32] = []
        var left = size.pixels
        while left > 0 {
            let run = UInt32.random(in: 0...min(left, 40), using: &random)
            counts.append(run)
            left -= run
        }
        return try #require(RunMask(size: size, joining: counts))
    }

    private static func boxes(_ random: inout SplitMix64, size: ImageSize) throws -> BoxSet {
        var boxes: Set<Box> = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let left = UInt32.random(in: 0..<size.width * 1000, using: &random)
            let top = UInt32.random(in: 0..<size.height * 1000, using: &random)
            boxes.insert(
                Box(
                    label: UInt32.random(in: 1...2, using: &random), left: left, top: top,
                    right: UInt32.random(in: left + 1...size.width * 1000, using: &random),
                    bottom: UInt32.random(in: top + 1...size.height * 1000, using: &random)))
        }
        return try #require(BoxSet(size: size, boxes: boxes.sorted()))
    }

    @Test("whoever gives one answer to everything earns exactly 0", arguments: UInt64(0)..<60)
    func template(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let size = try #require(ImageSize(width: 20, height: 13))
        let values = try items(
            &random, readers: 3, { Int64.random(in: -9000...9000, using: &$0) }, template: 250)
        try checkTemplate(
            values, MeasurementRule(absoluteTolerance: 2000, relativePermille: 50), seed: seed)
        let boxTemplate = try Self.boxes(&random, size: size)
        let boxes = try items(
            &random, readers: 3, { try Self.boxes(&$0, size: size) }, template: boxTemplate)
        try checkTemplate(boxes, BoxRule(overlapPermille: 200), seed: seed)
        let maskTemplate = try Self.mask(&random, size: size)
        let masks = try items(
            &random, readers: 3, { try Self.mask(&$0, size: size) }, template: maskTemplate)
        try checkTemplate(masks, MaskRule(), seed: seed)
    }

    // MARK: - By hand

    @Test("measurements: lower median, the larger tolerance, three near it")
    func measurements() {
        let rule = MeasurementRule(absoluteTolerance: 500, relativePermille: 100)
        #expect(rule.tolerance(around: 4000) == 500 && rule.tolerance(around: -20_000) == 2000)
        #expect(rule.consensus(of: [10_000, 11_000, 9000]) == .approved(10_000))
        #expect(rule.consensus(of: [10_000, 11_001, 9000]) == .indeterminate(.disputed))
        #expect(rule.consensus(of: [10_000, 10_000]) == .indeterminate(.tooFew))
        #expect(rule.consensus(of: [10_000, 10_400, 9600, 90_000]) == .approved(10_000))
        #expect(  // three of five are near, but less than two thirds
            rule.consensus(of: [10_000, 10_400, 9600, 90_000, 0]) == .indeterminate(.disputed))
        #expect(  // four of six are near: two thirds are enough
            rule.consensus(of: [10_000, 10_000, 10_000, 10_400, 90_000, 91_000])
                == .approved(10_000))
        let even = MeasurementRule(absoluteTolerance: 0, relativePermille: 1000)
        #expect(even.consensus(of: [.min, .max, .max]) == .indeterminate(.disputed))
        #expect(even.tolerance(around: .min) == 1 << 63)
        // Width 2·500 + 1: one thousandth off is 1000/1001 of full agreement.
        #expect(rule.agreement(4000, 4000) == 1000 && rule.agreement(4001, 4000) == 999)
        #expect(rule.agreement(4500, 4000) == 500 && rule.agreement(5000, 4000) == 0)
        #expect(rule.agreement(.min, .max) == 0)
    }

    private func square(_ left: UInt32, _ top: UInt32, _ side: UInt32, label: UInt32 = 1) -> Box {
        Box(label: label, left: left, top: top, right: left + side, bottom: top + side)
    }

    @Test("boxes: the best supported box founds the cluster, edges are lower medians")
    func boxes() throws {
        let size = try #require(ImageSize(width: 100, height: 100))
        func set(_ boxes: Box...) throws -> BoxSet {
            try #require(BoxSet(size: size, boxes: boxes.sorted()))
        }
        // 10 by 10 against the same moved by 2: 80 / 120.
        #expect(square(0, 0, 10).overlap(square(2, 0, 10)) == 666_666)
        #expect(square(0, 0, 10).overlap(square(10, 0, 10)) == 0)
        #expect(square(0, 0, 10).overlap(square(0, 0, 10, label: 2)) == 0)
        let rule = BoxRule()
        // 0 and 40 overlap by 60/140 only, both overlap 20 by 80/120: one cluster, around 20.
        let answers = try [
            set(square(0, 0, 100)), set(square(20, 0, 100)), set(square(40, 0, 100)),
        ]
        let reference = rule.reference(of: answers.map { (value: $0, weight: 1) })
        #expect(reference == (try set(square(20, 0, 100))))
        // Agreements 666, 1000, 666: two of three are below 700.
        #expect(rule.consensus(of: answers) == .indeterminate(.disputed))
        #expect(BoxRule(agreementPermille: 666).consensus(of: answers) == .approved(answers[1]))
        // Two with as many boxes, none in common: 666 each, so an agreement asks for 667 at least.
        let apart = try [set(square(0, 0, 9)), set(square(50, 50, 9))]
        #expect(
            BoxRule(agreementPermille: 666, minimumAnswers: 2).consensus(of: apart)
                == .approved(try set(square(0, 0, 9), square(50, 50, 9))))
        #expect(
            BoxRule(agreementPermille: 667, minimumAnswers: 2).consensus(of: apart)
                == .indeterminate(.disputed))
        // Half of four readers hold a box; the readers without it agree by nothing.
        let half = try [set(square(0, 0, 9)), set(square(0, 0, 9)), set(), set()]
        #expect(
            rule.reference(of: half.map { (value: $0, weight: 1) }) == (try set(square(0, 0, 9))))
        #expect(rule.consensus(of: half) == .indeterminate(.disputed))
        #expect(rule.consensus(of: [half[2], half[2], half[3]]) == .approved(half[2]))
        #expect(rule.consensus(of: [half[2], half[2]]) == .indeterminate(.tooFew))
        // One of two boxes found, exactly: 2 · 1 / 3.
        #expect(
            rule.agreement(try set(square(0, 0, 9)), try set(square(0, 0, 9), square(50, 50, 9)))
                == 666)
        #expect(rule.agreement(try set(), try set()) == 1000)
        #expect(rule.agreement(try set(), try set(square(0, 0, 9))) == 0)
    }

    @Test("masks: strict majority, judged by the median of leave-one-out Dice")
    func masks() throws {
        let size = try #require(ImageSize(width: 2, height: 4))
        func mask(_ runs: UInt32...) throws -> RunMask {
            try #require(RunMask(size: size, runs: runs))
        }
        let answers = try [mask(0, 4, 4), mask(0, 3, 5), mask(1, 4, 3)]
        let rule = MaskRule()
        #expect(
            rule.reference(of: answers.map { (value: $0, weight: 1) }) == (try mask(0, 4, 4)))
        // Others' strict majority is their intersection: {1,2}, {1,2,3}, {0,1,2}.
        #expect(rule.leaveOneOut(answers) == [666, 666, 571])
        #expect(rule.consensus(of: answers) == .indeterminate(.disputed))
        #expect(MaskRule(dicePermille: 666).consensus(of: answers) == .approved(answers[0]))
        let empty = try mask(8)
        #expect(rule.consensus(of: [empty, empty, empty]) == .approved(empty))
        #expect(rule.agreement(empty, empty) == 1000 && rule.agreement(empty, answers[0]) == 0)
        // 2 · 4 of 4 + 6 pixels: a Dice of 800 per mille is enough for 800.
        let larger = try mask(0, 6, 2)
        #expect(rule.supports(answers[0], larger))
        #expect(!MaskRule(dicePermille: 801).supports(answers[0], larger))
        // Two of four are no strict majority.
        let two = [answers[0], answers[0], empty, empty]
        #expect(rule.reference(of: two.map { (value: $0, weight: 1) }) == empty)
        #expect(rule.consensus(of: [empty, empty]) == .indeterminate(.tooFew))
        #expect(MaskRule(minimumAnswers: 1).consensus(of: [empty]) == .indeterminate(.tooFew))
        #expect(answers[0].area == 4 && empty.bounds == nil)
        let bounds = try #require(try mask(1, 1, 3, 2, 1).bounds)
        #expect(
            (bounds.left, bounds.top, bounds.right, bounds.bottom) == (0, 1, 2, 3))
    }

    private static func pixels(_ mask: RunMask) -> [Bool] {
        mask.runs.enumerated().flatMap { place, length in
            Array(repeating: !place.isMultiple(of: 2), count: Int(length))
        }
    }

    @Test("run lengths and pixels say the same", arguments: UInt64(0)..<80)
    func agreesWithPixels(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func size() throws -> ImageSize {
            try #require(
                ImageSize(
                    width: UInt32.random(in: 1...20, using: &random),
                    height: UInt32.random(in: 1...20, using: &random)))
        }
        let own = try size()
        let masks = try (0..<Int.random(in: 1...5, using: &random)).map { _ in
            try Self.mask(&random, size: own)
        }
        let pixels = masks.map(Self.pixels)
        let rule = MaskRule()
        let weights = masks.map { _ in UInt64.random(in: 1...4, using: &random) }
        let majority = rule.reference(of: Array(zip(masks, weights)).map { ($0.0, $0.1) })
        let expected = pixels[0].indices.map { pixel in
            let held = zip(pixels, weights).filter { $0.0[pixel] }.reduce(0) { $0 + $1.1 }
            return 2 * held > weights.reduce(0, +)
        }
        #expect(majority.map(Self.pixels) == expected, "replay with seed \(seed)")
        let union = pixels[0].indices.map { pixel in pixels.contains { $0[pixel] } }
        #expect(RunMask.union(masks).map(Self.pixels) == union, "replay with seed \(seed)")
        let other = try size()
        let fitted = masks[0].fitted(to: other)
        let far = (0..<other.width).flatMap { x in
            (0..<other.height).map { y in
                let column = Int((2 * x + 1) * own.width / (2 * other.width))
                let row = Int((2 * y + 1) * own.height / (2 * other.height))
                return pixels[0][column * Int(own.height) + row]
            }
        }
        #expect(Self.pixels(fitted) == far, "replay with seed \(seed)")
        #expect(RunMask(size: other, runs: fitted.runs) == fitted, "replay with seed \(seed)")
        let inside = far.count { $0 }
        let back = Self.pixels(masks[0].fitted(to: other).fitted(to: own))
        let both = zip(back, pixels[0]).count { $0 && $1 }
        let sum = back.count { $0 } + pixels[0].count { $0 }
        #expect(
            rule.agreement(masks[0], fitted) == (sum == 0 ? 1000 : UInt64(2000 * both / sum)))
        #expect(fitted.area == UInt64(inside), "replay with seed \(seed)")
    }

    @Test("the order of readers moves neither majority nor median", arguments: UInt64(0)..<40)
    func orderOfReaders(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let size = try #require(ImageSize(width: 9, height: 9))
        let masks = try (0..<4).map { _ in try Self.mask(&random, size: size) }
        let shuffled = masks.shuffled(using: &random)
        #expect(MaskRule().consensus(of: masks) == MaskRule().consensus(of: shuffled))
        let values = (0..<5).map { _ in Int64.random(in: -50...50, using: &random) }
        let rule = MeasurementRule(absoluteTolerance: 20, relativePermille: 0)
        #expect(rule.consensus(of: values) == rule.consensus(of: values.shuffled(using: &random)))
    }

    // MARK: - What is no answer

    @Test("bytes are read back as they were, and nothing else is read")
    func bytes() throws {
        let size = try #require(ImageSize(width: 3, height: 2))
        let boxes = try #require(
            BoxSet(size: size, boxes: [square(0, 0, 1000), square(0, 0, 2000, label: 2)]))
        let answers: [(Answer, AnswerKind)] = [
            (.grade(4), .class), (.grade(4), .ordinal), (.measurement(-1), .measurement),
            (.measurement(.min), .measurement), (.boxes(boxes), .boxes),
            (.boxes(try #require(BoxSet(size: size, boxes: []))), .boxes),
            (.mask(try #require(RunMask(size: size, runs: [1, 2, 3]))), .masks),
        ]
        for (answer, kind) in answers {
            #expect(Answer(bytes: answer.bytes, kind: kind, size: size) == answer)
            for length in 0..<answer.bytes.count {
                #expect(
                    Answer(bytes: answer.bytes.prefix(length), kind: kind, size: size) == nil)
            }
            #expect(Answer(bytes: answer.bytes + [0], kind: kind, size: size) == nil)
            for other in AnswerKind.allCases where other.isGrade != kind.isGrade {
                #expect(Answer(bytes: answer.bytes, kind: other, size: size) == nil)
            }
        }
        #expect(Answer.grade(4).bytes == [0, 0, 0, 4])
    }

    @Test("sizes, runs and boxes out of range are refused")
    func refusals() throws {
        #expect(ImageSize(width: 0, height: 1) == nil)
        #expect(ImageSize(width: 1, height: 16_385) == nil)
        let size = try #require(ImageSize(width: 2, height: 3))
        for runs in [[], [5], [7], [0, 0, 6], [1, 0, 5], [.max, 7], [6, 0]] as [[UInt32]] {
            #expect(RunMask(size: size, runs: runs) == nil)
        }
        #expect(RunMask(size: size, runs: [0, 6]) != nil)
        #expect(RunMask(size: size, joining: [1, 0, 2, 0, 3])?.runs == [6])
        #expect(RunMask(size: size, joining: [1, 0, .max]) == nil)
        func set(_ boxes: Box...) -> BoxSet? { BoxSet(size: size, boxes: boxes) }
        #expect(set(square(0, 0, 2000)) != nil)
        #expect(set(square(1, 0, 2000)) == nil && set(square(0, 1001, 2000)) == nil)
        #expect(set(square(0, 0, 0)) == nil)
        #expect(set(Box(label: 1, left: 5, top: 0, right: 4, bottom: 1)) == nil)
        #expect(set(square(5, 0, 1), square(4, 0, 1)) == nil)
        #expect(set(square(5, 0, 1), square(5, 0, 1)) == nil)
        let many = (0..<257).map { Box(label: 1, left: $0, top: 0, right: $0 + 1, bottom: 1) }
        #expect(BoxSet(size: size, boxes: many) == nil)
        #expect(GradedRows(answers: 0, count: 1, agreed: 1001, chance: 0) == nil)
        #expect(GradedRows(answers: 1 << 31, count: 1, agreed: 1, chance: 0) == nil)
    }
}
