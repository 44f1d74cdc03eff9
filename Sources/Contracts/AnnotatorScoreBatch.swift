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
    guard (2...255).contains(classes) else { throw .classCount(classes) }
    guard items.count < Int32.max else { throw .overflow }
    let annotators = Set(items.lazy.flatMap(\.answers).map(\.annotator)).sorted()
    let places = Dictionary(
        zip(annotators, Int32(0)...), uniquingKeysWith: { first, _ in first })
    var answers: [IndexedAnswer] = []
    var truths: [Int32: Int] = [:]
    for (position, entry) in items.enumerated() {
        if let truth = gold[entry.item] {
            guard (0..<classes).contains(truth) else {
                throw .classOutOfRange(truth, classes: classes)
            }
            truths[Int32(position)] = truth
        } else if entry.answers.isEmpty {
            throw .itemWithoutAnswers(position: position)
        }
        for answer in entry.answers {
            guard (0..<classes).contains(answer.answer) else {
                throw .classOutOfRange(answer.answer, classes: classes)
            }
            answers.append(
                IndexedAnswer(
                    item: Int32(position), annotator: places[answer.annotator, default: 0],
                    answer: Int32(answer.answer)))
        }
    }
    let grid = try AnswerGrid(
        classes: classes, annotators: annotators.count, items: items.count, answers: answers,
        gold: truths)
    let score = try scoreGrid(grid, sweeps: sweeps, goldWeight: goldWeight, smoothing: smoothing)
    let tables = Dictionary(
        annotators.enumerated().map { ($1, score.confusion(of: $0)) },
        uniquingKeysWith: { first, _ in first })
    return ScoreBatch(
        posteriors: (0..<grid.itemCount).map(score.posterior(of:)),
        counts: try ScoreCounts(
            classes: classes, prior: score.prior, confusion: tables, smoothing: smoothing))
}

/// A batch of score/1 by numbers: items and annotators as the grid counts them.
package struct GridScore: Sendable {
    package let classes: Int
    /// Items × classes Q30 posteriors.
    package let shares: [UInt32]
    /// Q30 items per class.
    package let prior: [UInt64]
    /// Annotators × answers × true classes, Q30.
    private let cells: [UInt64]

    fileprivate init(classes: Int, shares: [UInt32], prior: [UInt64], cells: [UInt64]) {
        self.classes = classes
        self.shares = shares
        self.prior = prior
        self.cells = cells
    }

    package func posterior(of item: Int) -> Posterior {
        Posterior(shares: Array(shares[item * classes..<(item + 1) * classes]))
    }

    /// Classes × classes Q30 counts, the row the true class, the column the answer.
    package func confusion(of annotator: Int) -> [UInt64] {
        let begin = annotator * classes * classes
        return (0..<classes * classes).map { cell in
            cells[begin + cell % classes * classes + cell / classes]
        }
    }
}

/// The sweeps of score/1 over a grid.
///
/// - Parameters:
///   - grid: the answers.
///   - sweeps: 20 in rule score/1.
///   - goldWeight: how often a gold item counts; it never enters the prior.
///   - smoothing: the rule's, unless a test asks for another.
/// - Returns: posteriors and counts after the last sweep.
/// - Throws: ``ScoreError/overflow`` when an annotator would have 2²⁸ answers or more, or the prior
///   as many items.
package func scoreGrid(
    _ grid: AnswerGrid, sweeps: Int = 20, goldWeight: UInt64 = 5,
    smoothing: ScoreSmoothing = .standard
) throws(ScoreError) -> GridScore {
    let limit = Q30.countLimit / Q30.one
    guard goldWeight < limit, UInt64(grid.itemCount) < limit,
        grid.mass(goldWeight: goldWeight).allSatisfy({ $0 < limit })
    else { throw .overflow }
    var sweep = Sweep(grid: grid, goldWeight: goldWeight)
    sweep.count()
    for _ in 0..<max(0, sweeps) {
        sweep.learn(smoothing)
        sweep.estimate()
        sweep.count()
    }
    return GridScore(
        classes: grid.classes, shares: sweep.shares, prior: sweep.prior, cells: sweep.cells)
}

/// The tables of a sweep; every sum is known to stay below 2⁵⁸.
private struct Sweep {
    private let grid: AnswerGrid
    private let goldWeight: UInt64
    /// Items × classes.
    private(set) var shares: [UInt32]
    private(set) var prior: [UInt64]
    /// Annotators × answers × true classes: an answer reads and writes one contiguous row.
    private(set) var cells: [UInt64]
    /// Like `cells`, the Q30 probability of the answer when the class is true.
    private var likelihoods: [UInt32]
    /// The weight of each class before any answer.
    private var start: [ScaledWeight]

    /// Starts from each class's share of the votes, or from the known truth.
    init(grid: AnswerGrid, goldWeight: UInt64) {
        let classes = grid.classes
        self.grid = grid
        self.goldWeight = goldWeight
        prior = Array(repeating: 0, count: classes)
        cells = Array(repeating: 0, count: grid.annotatorCount * classes * classes)
        likelihoods = Array(repeating: 0, count: cells.count)
        start = Array(repeating: ScaledWeight(), count: classes)
        shares = Array(repeating: 0, count: grid.itemCount * classes)
        var values = [UInt64](repeating: 0, count: classes)
        var remainders = values
        for item in 0..<grid.itemCount {
            for truth in 0..<classes { values[truth] = 0 }
            if grid.gold[item] >= 0 {
                values[Int(grid.gold[item])] = 1
            } else {
                for place in Int(grid.starts[item])..<Int(grid.starts[item + 1]) {
                    values[Int(grid.rows[place]) % classes] += 1
                }
            }
            values.withUnsafeMutableBufferPointer { values in
                remainders.withUnsafeMutableBufferPointer { normalise(values, remainders: $0) }
            }
            for truth in 0..<classes {
                shares[item * classes + truth] = UInt32(truncatingIfNeeded: values[truth])
            }
        }
    }

    /// Counts all items anew.
    mutating func count() {
        let classes = grid.classes
        for truth in 0..<classes { prior[truth] = 0 }
        for item in 0..<grid.itemCount where grid.gold[item] < 0 {
            for truth in 0..<classes { prior[truth] &+= UInt64(shares[item * classes + truth]) }
        }
        let (grid, goldWeight) = (grid, goldWeight)
        cells.withUnsafeMutableBufferPointer { cells in
            cells.update(repeating: 0)
            shares.withUnsafeBufferPointer { shares in
                grid.rows.withUnsafeBufferPointer { rows in
                    for item in 0..<grid.itemCount {
                        let weight = grid.gold[item] < 0 ? 1 : goldWeight
                        let own = item &* classes
                        for place in Int(grid.starts[item])..<Int(grid.starts[item + 1]) {
                            let row = Int(rows[place]) &* classes
                            for truth in 0..<classes {
                                cells[row &+ truth] &+= weight &* UInt64(shares[own &+ truth])
                            }
                        }
                    }
                }
            }
        }
    }

    /// The probabilities that the counts imply, looked up a million times instead of computed.
    mutating func learn(_ smoothing: ScoreSmoothing) {
        let classes = grid.classes
        let items = prior.reduce(0, +) + UInt64(classes) * smoothing.cell
        for truth in 0..<classes {
            start[truth] = ScaledWeight()
            start[truth].multiply(by: q30Share(prior[truth] + smoothing.cell, of: items))
        }
        var whole = [UInt64](repeating: 0, count: classes)
        for annotator in 0..<grid.annotatorCount {
            let begin = annotator * classes * classes
            for truth in 0..<classes {
                whole[truth] = UInt64(classes) * smoothing.cell + smoothing.diagonal
                for answer in 0..<classes {
                    whole[truth] += cells[begin + answer * classes + truth]
                }
            }
            for answer in 0..<classes {
                for truth in 0..<classes {
                    let cell = begin + answer * classes + truth
                    let diagonal = answer == truth ? smoothing.diagonal : 0
                    likelihoods[cell] = UInt32(
                        truncatingIfNeeded: q30Share(
                            cells[cell] + smoothing.cell + diagonal, of: whole[truth]))
                }
            }
        }
    }

    /// Replaces the posterior of every item that is not gold.
    mutating func estimate() {
        var weights = start
        var values = [UInt64](repeating: 0, count: grid.classes)
        var remainders = values
        let grid = grid
        shares.withUnsafeMutableBufferPointer { shares in
            likelihoods.withUnsafeBufferPointer { likelihoods in
                start.withUnsafeBufferPointer { start in
                    weights.withUnsafeMutableBufferPointer { weights in
                        values.withUnsafeMutableBufferPointer { values in
                            remainders.withUnsafeMutableBufferPointer { remainders in
                                estimateItems(
                                    of: grid, likelihoods, start: start, weights, values,
                                    remainders, into: shares)
                            }
                        }
                    }
                }
            }
        }
    }
}

private func estimateItems(
    of grid: AnswerGrid, _ likelihoods: UnsafeBufferPointer<UInt32>,
    start: UnsafeBufferPointer<ScaledWeight>,
    _ weights: UnsafeMutableBufferPointer<ScaledWeight>,
    _ values: UnsafeMutableBufferPointer<UInt64>,
    _ remainders: UnsafeMutableBufferPointer<UInt64>,
    into shares: UnsafeMutableBufferPointer<UInt32>
) {
    let classes = grid.classes
    grid.rows.withUnsafeBufferPointer { rows in
        for item in 0..<grid.itemCount where grid.gold[item] < 0 {
            for truth in 0..<classes { weights[truth] = start[truth] }
            for place in Int(grid.starts[item])..<Int(grid.starts[item + 1]) {
                let row = Int(rows[place]) &* classes
                for truth in 0..<classes {
                    weights[truth].multiply(by: UInt64(likelihoods[row &+ truth]))
                }
            }
            var top = Int.min
            for truth in 0..<classes { top = max(top, weights[truth].exponent) }
            for truth in 0..<classes { values[truth] = weights[truth].aligned(to: top) }
            normalise(values, remainders: remainders)
            for truth in 0..<classes {
                shares[item &* classes &+ truth] = UInt32(truncatingIfNeeded: values[truth])
            }
        }
    }
}
