import Ledger

/// What a batch of score/1 came to.
package struct ScoreBatch: Hashable, Sendable {
    /// One per item, in the order in which the items were given.
    package let posteriors: [Posterior]
    package let counts: ScoreCounts
}

/// Integer Dawid-Skene over a whole period: a fixed number of sweeps, all of it integers.
///
/// Each sweep estimates every item from the counts of the one before and counts again. Sums of
/// integers do not depend on order, so neither the items' nor the answers' arrival matters.
///
/// - Parameters:
///   - items: each with the answers of everyone who read it; one annotator may answer twice.
///   - classes: 2 to 255; answers are 0 ..< classes.
///   - sweeps: 20 in rule score/1; none gives the counts of the bare votes.
///   - gold: the true class of some items; their posterior stays certain.
///   - goldWeight: how often a gold item counts; it never enters the prior.
///   - smoothing: the rule's, unless a test asks for another.
/// - Returns: posteriors in the items' order, and the counts they led to.
/// - Throws: ``ScoreError`` for the first item, in the given order, that cannot be counted.
package func scoreBatch<Item: Hashable>(
    items: [(item: Item, answers: [ClassAnswer])], classes: Int, sweeps: Int = 20,
    gold: [Item: Int] = [:], goldWeight: UInt64 = 5, smoothing: ScoreSmoothing = .standard
) throws(ScoreError) -> ScoreBatch {
    let empty = try ScoreCounts(classes: classes, smoothing: smoothing)
    let batch = try DenseBatch(items: items, classes: classes, gold: gold, goldWeight: goldWeight)
    var shares = batch.votes()
    var counts = try batch.count(shares, like: empty)
    for _ in 0..<max(0, sweeps) {
        batch.estimate(&shares, from: batch.probabilities(counts))
        counts = try batch.count(shares, like: empty)
    }
    let posteriors = (0..<batch.itemCount).map { item in
        Posterior(shares: Array(shares[item * classes..<(item + 1) * classes]))
    }
    return ScoreBatch(posteriors: posteriors, counts: counts)
}

/// Q30 probabilities of one sweep: the prior, and per annotator and answer one per true class.
private struct Probabilities {
    let prior: [UInt64]
    let likelihoods: [UInt64]
}

/// A period's answers as flat integers: what a sweep reads is contiguous.
private struct DenseBatch {
    let classes: Int
    let annotators: [AccountID]
    /// Items + 1; the answers of item i are `answers[starts[i]..<starts[i + 1]]`.
    private var starts: [Int] = [0]
    /// (annotator · classes + answer) · classes: where the row over true classes begins.
    private var answers: [Int] = []
    /// The true class of a gold item, else −1.
    private var gold: [Int] = []
    private let goldWeight: UInt64

    var itemCount: Int { gold.count }

    init<Item: Hashable>(
        items: [(item: Item, answers: [ClassAnswer])], classes: Int, gold truths: [Item: Int],
        goldWeight: UInt64
    ) throws(ScoreError) {
        self.classes = classes
        self.goldWeight = goldWeight
        var index: [AccountID: Int] = [:]
        for entry in items {
            for answer in entry.answers where index[answer.annotator] == nil {
                index[answer.annotator] = 0
            }
        }
        annotators = index.keys.sorted()
        for (place, annotator) in annotators.enumerated() { index[annotator] = place }
        var mass = Array(repeating: UInt64(0), count: annotators.count)
        let limit = Q30.countLimit / Q30.one
        guard goldWeight < limit, UInt64(items.count) < limit else { throw .overflow }
        gold.reserveCapacity(items.count)
        starts.reserveCapacity(items.count + 1)
        for (position, entry) in items.enumerated() {
            let truth = truths[entry.item]
            if let truth, !(0..<classes).contains(truth) {
                throw .classOutOfRange(truth, classes: classes)
            }
            guard truth != nil || !entry.answers.isEmpty else {
                throw .itemWithoutAnswers(position: position)
            }
            let begin = answers.count
            for answer in entry.answers {
                guard (0..<classes).contains(answer.answer) else {
                    throw .classOutOfRange(answer.answer, classes: classes)
                }
                let annotator = index[answer.annotator, default: 0]
                mass[annotator] += truth == nil ? 1 : goldWeight
                guard mass[annotator] < limit else { throw .overflow }
                answers.append((annotator * classes + answer.answer) * classes)
            }
            answers[begin...].sort()  // by annotator, then by answer
            starts.append(answers.count)
            gold.append(truth ?? -1)
        }
    }

    /// The first posteriors: each class's share of the votes, or the known truth.
    func votes() -> [UInt32] {
        var shares: [UInt32] = []
        shares.reserveCapacity(itemCount * classes)
        var (values, remainders) = ([UInt64](), Array(repeating: UInt64(0), count: classes))
        for item in 0..<itemCount {
            values = Array(repeating: 0, count: classes)
            if gold[item] >= 0 {
                values[gold[item]] = 1
            } else {
                for answer in answers[starts[item]..<starts[item + 1]] {
                    values[answer / classes % classes] += 1
                }
            }
            values.withUnsafeMutableBufferPointer { values in
                remainders.withUnsafeMutableBufferPointer { normalise(values, remainders: $0) }
            }
            for value in values { shares.append(UInt32(truncatingIfNeeded: value)) }
        }
        return shares
    }

    /// Counts all items; the initialiser has bounded every sum below 2⁵⁸.
    func count(_ shares: [UInt32], like empty: ScoreCounts) throws(ScoreError) -> ScoreCounts {
        var prior = Array(repeating: UInt64(0), count: classes)
        var cells = Array(repeating: UInt64(0), count: annotators.count * classes * classes)
        for item in 0..<itemCount where gold[item] < 0 {
            for truth in 0..<classes { prior[truth] += UInt64(shares[item * classes + truth]) }
        }
        cells.withUnsafeMutableBufferPointer { cells in
            shares.withUnsafeBufferPointer { shares in
                addAnswers(to: cells, shares: shares)
            }
        }
        var tables: [AccountID: [UInt64]] = [:]
        for (place, annotator) in annotators.enumerated() {
            let begin = place * classes * classes
            tables[annotator] = (0..<classes * classes).map { cell in
                cells[begin + cell % classes * classes + cell / classes]
            }
        }
        return try ScoreCounts(
            classes: classes, prior: prior, confusion: tables, smoothing: empty.smoothing)
    }

    private func addAnswers(
        to cells: UnsafeMutableBufferPointer<UInt64>, shares: UnsafeBufferPointer<UInt32>
    ) {
        answers.withUnsafeBufferPointer { answers in
            for item in 0..<itemCount {
                let weight = gold[item] < 0 ? 1 : goldWeight
                let own = item &* classes
                for place in starts[item]..<starts[item + 1] {
                    let row = answers[place]
                    for truth in 0..<classes {
                        cells[row &+ truth] &+= weight &* UInt64(shares[own &+ truth])
                    }
                }
            }
        }
    }

    /// The probabilities that the counts imply, looked up a million times instead of computed.
    func probabilities(_ counts: ScoreCounts) -> Probabilities {
        var likelihoods: [UInt64] = []
        likelihoods.reserveCapacity(annotators.count * classes * classes)
        for annotator in annotators {
            let table = counts.likelihoods(of: annotator)
            for cell in 0..<classes * classes {
                likelihoods.append(table[cell % classes * classes + cell / classes])
            }
        }
        return Probabilities(
            prior: (0..<classes).map { counts.classPrior($0) }, likelihoods: likelihoods)
    }

    /// Replaces the posterior of every item that is not gold.
    func estimate(_ shares: inout [UInt32], from probabilities: Probabilities) {
        let start = probabilities.prior.map { share in
            var weight = ScaledWeight()
            weight.multiply(by: share)
            return weight
        }
        var weights = start
        var values = Array(repeating: UInt64(0), count: classes)
        var remainders = values
        shares.withUnsafeMutableBufferPointer { shares in
            weights.withUnsafeMutableBufferPointer { weights in
                values.withUnsafeMutableBufferPointer { values in
                    remainders.withUnsafeMutableBufferPointer { remainders in
                        sweep(
                            shares, from: probabilities, start: start, weights: weights,
                            values: values, remainders: remainders)
                    }
                }
            }
        }
    }

    private func sweep(
        _ shares: UnsafeMutableBufferPointer<UInt32>, from probabilities: Probabilities,
        start: [ScaledWeight], weights: UnsafeMutableBufferPointer<ScaledWeight>,
        values: UnsafeMutableBufferPointer<UInt64>, remainders: UnsafeMutableBufferPointer<UInt64>
    ) {
        probabilities.likelihoods.withUnsafeBufferPointer { likelihoods in
            answers.withUnsafeBufferPointer { answers in
                for item in 0..<itemCount where gold[item] < 0 {
                    for truth in 0..<classes { weights[truth] = start[truth] }
                    for place in starts[item]..<starts[item + 1] {
                        let row = answers[place]
                        for truth in 0..<classes {
                            weights[truth].multiply(by: likelihoods[row &+ truth])
                        }
                    }
                    var top = Int.min
                    for truth in 0..<classes { top = max(top, weights[truth].exponent) }
                    for truth in 0..<classes { values[truth] = weights[truth].aligned(to: top) }
                    normalise(values, remainders: remainders)
                    for truth in 0..<classes {
                        shares[item &* classes &+ truth] =
                            UInt32(truncatingIfNeeded: values[truth])
                    }
                }
            }
        }
    }
}
