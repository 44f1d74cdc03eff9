import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing

struct AnnotatorScoreTests {
    struct Case: Decodable {
        let name: String
        let classes: Int
        let sweeps: Int
        let smoothing: String
        let diagonal: String
        let gold_weight: UInt64?
        let posterior_sha256: String
        let first: [String: [UInt32]]
        let accuracy_permille: [String: Int64]
        let kappa_permille: [String: Int64]
        let online_posterior_sha256: String?
        let online_accuracy_permille: [String: Int64]?

        func fraction(_ text: String) throws -> (UInt64, over: UInt64) {
            let parts = text.split(separator: "/").compactMap { UInt64($0) }
            try #require(parts.count == 2)
            return (parts[0], parts[1])
        }

        var parameters: ScoreSmoothing {
            get throws {
                try #require(
                    try ScoreSmoothing(cell: fraction(smoothing), diagonal: fraction(diagonal)))
            }
        }
    }
    struct File: Decodable { let cases: [Case] }
    typealias Items = [(item: Int, answers: [ClassAnswer])]

    static func annotator(_ number: Int) -> AccountID { AccountID(.annotator, String(number)) }

    /// 45 patients, rated for fitness by five anaesthetists, the first of them three times.
    ///
    /// - SeeAlso: Dawid & Skene, Applied Statistics 28(1), 1979, table 1.
    static let anaesthesia: Items = {
        let table = """
            111.1.1.1.1 333.4.3.3.4 112.2.1.2.2 222.3.1.2.1 222.3.2.2.2 222.3.3.2.2 112.2.1.1.1
            333.3.4.3.3 222.2.2.2.3 223.2.2.2.3 444.4.4.4.4 222.3.3.4.3 111.1.1.1.1 222.3.2.1.2
            112.1.1.1.1 111.2.1.1.1 111.1.1.1.1 111.1.1.1.1 222.2.2.2.1 222.1.3.2.2 222.2.2.2.2
            222.2.2.2.1 222.3.2.2.2 122.2.2.2.2 111.1.1.1.1 111.1.1.1.1 223.2.2.2.2 111.1.1.1.1
            111.1.1.1.1 112.1.1.2.1 111.1.1.1.1 333.3.2.3.3 111.1.1.1.1 222.2.2.2.2 222.3.2.3.2
            334.4.3.4.3 122.2.2.3.2 223.3.2.3.3 333.3.4.3.2 111.1.1.1.1 111.1.1.1.1 112.2.1.1.1
            223.2.2.2.2 112.1.1.1.1 222.2.2.2.2
            """
        return table.split(whereSeparator: \.isWhitespace).enumerated().map { patient, row in
            let answers = row.split(separator: ".").enumerated().flatMap { reader, grades in
                grades.compactMap(\.wholeNumberValue).map {
                    ClassAnswer(annotator: annotator(reader + 1), answer: $0 - 1)
                }
            }
            return (patient + 1, answers)
        }
    }()

    /// Nodules with at least three readings, numbered from 0.
    static func nodules() throws -> (items: Items, medians: [Int]) {
        let nodules = try lungNodules().filter { $0.readings.count >= 3 }
        let items = nodules.enumerated().map { number, nodule in
            (
                item: number,
                answers: nodule.readings.map {
                    ClassAnswer(annotator: annotator($0.reader), answer: $0.malignancy - 1)
                }
            )
        }
        return (items, nodules.compactMap { lowerMedian($0.malignancies) })
    }

    static func digest(_ items: Items, _ posteriors: [Posterior]) -> String {
        let lines = zip(items, posteriors).map { entry, posterior in
            "\(entry.item):" + posterior.shares.map(String.init).joined(separator: ",")
        }
        return Digest.sha256(Array(lines.joined(separator: "\n").utf8)).hex
    }

    func check(_ vector: Case, items: Items, gold: [Int: Int] = [:]) throws {
        let batch = try scoreBatch(
            items: items, classes: vector.classes, sweeps: vector.sweeps, gold: gold,
            goldWeight: vector.gold_weight ?? 5, smoothing: vector.parameters)
        for (entry, posterior) in zip(items, batch.posteriors) {
            if let shares = vector.first[String(entry.item)] { #expect(posterior.shares == shares) }
        }
        #expect(Self.digest(items, batch.posteriors) == vector.posterior_sha256)
        #expect(batch.counts.annotators.count == vector.accuracy_permille.count)
        for annotator in batch.counts.annotators {
            #expect(
                batch.counts.accuracyPermille(annotator) == vector.accuracy_permille[annotator.name]
            )
            #expect(batch.counts.kappaPermille(annotator) == vector.kappa_permille[annotator.name])
        }
        guard let digest = vector.online_posterior_sha256 else { return }
        var counts = try ScoreCounts(classes: vector.classes, smoothing: vector.parameters)
        var posteriors: [Posterior] = []
        for entry in items {
            let posterior = try counts.posterior(of: entry.answers)
            try counts.add(entry.answers, posterior: posterior)
            posteriors.append(posterior)
        }
        #expect(Self.digest(items, posteriors) == digest)
        for annotator in counts.annotators {
            let expected = vector.online_accuracy_permille?[annotator.name]
            #expect(counts.accuracyPermille(annotator) == expected)
        }
    }

    @Test("the reference's vectors, to the bit; bluebird's table may not be kept here")
    func vectorCases() throws {
        let cases = try vectors("annotator_score_vectors", as: File.self).cases
        let (nodules, medians) = try Self.nodules()
        var checked = 0
        for vector in cases where vector.name != "bluebird" {
            if vector.name.hasPrefix("anesthesia") {
                try check(vector, items: Self.anaesthesia)
            } else if vector.gold_weight == nil {
                try check(vector, items: nodules)
            } else {
                let gold = medians.enumerated().filter { $0.offset % 20 == 0 }
                try check(
                    vector, items: nodules,
                    gold: Dictionary(uniqueKeysWithValues: gold.map { ($0.offset, $0.element - 1) })
                )
            }
            checked += 1
        }
        #expect(checked == 4)
    }

    /// A drawn period: annotators of different skill, some items gold.
    func period(seed: UInt64) -> (items: Items, gold: [Int: Int], classes: Int) {
        var random = SplitMix64(seed: seed)
        let classes = Int.random(in: 2...5, using: &random)
        var gold: [Int: Int] = [:]
        let items = (0..<Int.random(in: 1...40, using: &random)).map { item in
            let truth = Int.random(in: 0..<classes, using: &random)
            if Int.random(in: 0..<6, using: &random) == 0 { gold[item] = truth }
            let answers = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                let annotator = Int.random(in: 0..<8, using: &random)
                let right = Int.random(in: 0..<10, using: &random) < annotator + 2
                return ClassAnswer(
                    annotator: Self.annotator(annotator),
                    answer: right ? truth : Int.random(in: 0..<classes, using: &random))
            }
            return (item: item, answers: answers)
        }
        return (items, gold, classes)
    }

    @Test("a batch is the same as counting item by item", arguments: UInt64(0)..<60)
    func agreesWithSlowTwin(seed: UInt64) throws {
        let (items, gold, classes) = period(seed: seed)
        let batch = try scoreBatch(items: items, classes: classes, sweeps: 3, gold: gold)
        var posteriors = try scoreBatch(items: items, classes: classes, sweeps: 0, gold: gold)
            .posteriors
        var counts = try ScoreCounts(classes: classes)
        for sweep in 0...3 {
            counts = try ScoreCounts(classes: classes)
            for (entry, posterior) in zip(items, posteriors) {
                let isGold = gold[entry.item] != nil
                try counts.add(
                    entry.answers, posterior: posterior, weight: isGold ? 5 : 1, intoPrior: !isGold)
            }
            guard sweep < 3 else { break }
            for (place, entry) in items.enumerated() where gold[entry.item] == nil {
                posteriors[place] = try counts.posterior(of: entry.answers)
            }
        }
        #expect(batch.posteriors == posteriors, "replay with seed \(seed)")
        #expect(batch.counts == counts, "replay with seed \(seed)")
    }

    @Test("neither order of arrival matters", arguments: UInt64(0)..<40)
    func permutationInvariance(seed: UInt64) throws {
        let (items, gold, classes) = period(seed: seed)
        var random = SplitMix64(seed: ~seed)
        let shuffled: Items = items.shuffled(using: &random).map {
            ($0.item, $0.answers.shuffled(using: &random))
        }
        let one = try scoreBatch(items: items, classes: classes, gold: gold)
        let other = try scoreBatch(items: shuffled, classes: classes, gold: gold)
        #expect(one.counts == other.counts, "replay with seed \(seed)")
        for (entry, posterior) in zip(shuffled, other.posteriors) {
            #expect(one.posteriors[entry.item] == posterior, "replay with seed \(seed)")
        }
    }

    @Test("every posterior adds up to one; gold stays certain and out of the prior")
    func sums() throws {
        let (items, gold, classes) = period(seed: 4)
        let batch = try scoreBatch(items: items, classes: classes, gold: gold)
        try #require(!gold.isEmpty && gold.count < items.count)
        for (entry, posterior) in zip(items, batch.posteriors) {
            #expect(posterior.shares.reduce(0, +) == 1 << 30)
            guard let truth = gold[entry.item] else { continue }
            #expect(posterior.shares[truth] == 1 << 30)
            #expect(posterior.likeliest == truth && posterior.reaches(permille: 1000, for: truth))
        }
        #expect(batch.counts.prior.reduce(0, +) == UInt64(items.count - gold.count) << 30)
    }

    @Test("the likeliest class is the lowest of equals, and per mille are not rounded up")
    func readingAPosterior() {
        let posterior = Posterior(shares: [1, 536_870_911, 536_870_911, 1])
        #expect(posterior.likeliest == 1)
        #expect(posterior.permille(of: 1) == 499 && !posterior.reaches(permille: 500, for: 1))
        #expect(Posterior(shares: [1 << 29, 1 << 29]).reaches(permille: 500, for: 1))
        #expect(!posterior.reaches(permille: 0, for: 4) && posterior.permille(of: -1) == 0)
    }

    @Test("stored tables are read back, and count answers")
    func storedTables() throws {
        let batch = try scoreBatch(items: Self.anaesthesia, classes: 4)
        let tables = batch.counts.annotators.map { ($0, batch.counts.confusion(of: $0)) }
        let restored = try ScoreCounts(
            classes: 4, prior: batch.counts.prior,
            confusion: Dictionary(uniqueKeysWithValues: tables))
        #expect(restored == batch.counts)
        #expect(restored.answerCount(of: Self.annotator(1)) == 135)
        #expect(restored.answerCount(of: Self.annotator(2)) == 45)
        #expect(restored.answerCount(of: Self.annotator(9)) == 0)
        #expect(restored.accuracyPermille(Self.annotator(9)) == 0)
        #expect(restored.kappaPermille(Self.annotator(9)) == 0)
    }

    @Test("no input traps: every refusal by name")
    func refusals() throws {
        let one = Self.annotator(1)
        func answers(_ answer: Int) -> Items {
            [(7, [ClassAnswer(annotator: one, answer: answer)])]
        }
        #expect(throws: ScoreError.classCount(1)) { try scoreBatch(items: answers(0), classes: 1) }
        #expect(throws: ScoreError.classCount(256)) { try ScoreCounts(classes: 256) }
        for answer in [-1, 2, Int.max, Int.min] {
            #expect(throws: ScoreError.classOutOfRange(answer, classes: 2)) {
                try scoreBatch(items: answers(answer), classes: 2)
            }
            #expect(throws: ScoreError.classOutOfRange(answer, classes: 2)) {
                try scoreBatch(items: answers(0), classes: 2, gold: [7: answer])
            }
            #expect(throws: ScoreError.classOutOfRange(answer, classes: 2)) {
                try ScoreCounts(classes: 2).posterior(of: answers(answer)[0].answers)
            }
        }
        #expect(throws: ScoreError.itemWithoutAnswers(position: 1)) {
            try scoreBatch(items: answers(0) + [(8, [])], classes: 2)
        }
        #expect(throws: ScoreError.overflow) {
            try scoreBatch(items: answers(0), classes: 2, gold: [7: 0], goldWeight: 1 << 28)
        }
        #expect(throws: ScoreError.malformedCounts(nil)) {
            try ScoreCounts(classes: 2, prior: [1], confusion: [:])
        }
        #expect(throws: ScoreError.malformedCounts(one)) {
            try ScoreCounts(classes: 2, prior: [1, 2], confusion: [one: [1, 2, 3]])
        }
        #expect(throws: ScoreError.overflow) {
            try ScoreCounts(classes: 2, prior: [.max, .max], confusion: [:])
        }
        #expect(throws: ScoreError.overflow) {
            try ScoreCounts(classes: 2, prior: [0, 0], confusion: [one: [.max, .max, 0, 0]])
        }
        var counts = try ScoreCounts(classes: 2)
        let answer = [ClassAnswer(annotator: one, answer: 1)]
        for shares in [[1 << 30], [1 << 30, 1], [.max, .max], []] as [[UInt32]] {
            #expect(throws: ScoreError.malformedPosterior) {
                try counts.add(answer, posterior: Posterior(shares: shares))
            }
        }
        let certain = Posterior(shares: [0, 1 << 30])
        for weight in [1 << 28, .max] as [UInt64] {
            #expect(throws: ScoreError.overflow) {
                try counts.add(answer, posterior: certain, weight: weight)
            }
        }
        #expect(try counts == ScoreCounts(classes: 2))
        #expect(ScoreSmoothing(cell: (0, over: 1), diagonal: (2, over: 1)) == nil)
        #expect(ScoreSmoothing(cell: (1, over: 0), diagonal: (2, over: 1)) == nil)
        #expect(
            ScoreSmoothing(cell: (1, over: 2), diagonal: (2, over: 1)) == ScoreSmoothing.standard)
    }
}
