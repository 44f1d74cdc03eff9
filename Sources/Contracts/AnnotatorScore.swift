package import Ledger

/// Why a score cannot be computed; nothing was counted.
package enum ScoreError: Error, Hashable, Sendable {
    /// Not 2 to 255 classes.
    case classCount(Int)
    case classOutOfRange(Int, classes: Int)
    /// An item that is not gold has nobody's answer; `position` is its place in the input.
    case itemWithoutAnswers(position: Int)
    /// A prior or confusion table without `classes` or `classes`² cells, by account when it has one.
    case malformedCounts(AccountID?)
    /// A posterior that is not `classes` shares adding up to one.
    case malformedPosterior
    /// One annotator would have 2²⁸ answers or more, or the prior as many items.
    case overflow
}

/// One annotator's class for one item, the class counted from 0.
package struct ClassAnswer: Hashable, Sendable {
    package let annotator: AccountID
    package let answer: Int

    package init(annotator: AccountID, answer: Int) {
        self.annotator = annotator
        self.answer = answer
    }
}

/// What score/1 adds to every count, so that an annotator without answers is not a certainty.
package struct ScoreSmoothing: Hashable, Sendable {
    /// Q30, added to every cell of a confusion table and to every class of the prior.
    package let cell: UInt64
    /// Q30, added to the diagonal on top.
    package let diagonal: UInt64

    /// The parameters of rule score/1: 1/2 in every cell, 2 more on the diagonal.
    package static let standard = Self(cell: Q30.one / 2, diagonal: Q30.one * 2)

    private init(cell: UInt64, diagonal: UInt64) {
        self.cell = cell
        self.diagonal = diagonal
    }

    /// - Returns: nil unless the cell share is positive and both are at most 1024.
    package init?(cell: (UInt64, over: UInt64), diagonal: (UInt64, over: UInt64)) {
        guard cell.over > 0, diagonal.over > 0, cell.0 <= 1 << 32, diagonal.0 <= 1 << 32 else {
            return nil
        }
        self.init(
            cell: Q30.one * cell.0 / cell.over, diagonal: Q30.one * diagonal.0 / diagonal.over)
        guard (1...1024 * Q30.one).contains(self.cell), self.diagonal <= 1024 * Q30.one else {
            return nil
        }
    }
}

/// How likely each class is; shares in 2⁻³⁰ that add up to exactly 2³⁰.
package struct Posterior: Hashable, Sendable {
    package let shares: [UInt32]

    package init(shares: [UInt32]) { self.shares = shares }

    /// The likeliest class, the lowest of equals.
    package var likeliest: Int {
        shares.indices.max { (shares[$0], $1) < (shares[$1], $0) } ?? 0
    }

    /// Whether the class has at least so many per mille, without rounding.
    package func reaches(permille: UInt64, for answer: Int) -> Bool {
        shares.indices.contains(answer) && permille <= 1000
            && UInt64(shares[answer]) * 1000 >= permille * Q30.one
    }

    /// The share of a class in whole per mille, rounded down; 0 for a class that is not there.
    package func permille(of answer: Int) -> UInt64 {
        shares.indices.contains(answer) ? UInt64(shares[answer]) * 1000 / Q30.one : 0
    }
}

/// Numbers in 2⁻³⁰.
enum Q30 {
    static let one: UInt64 = 1 << 30
    /// 2²⁸ answers: below it 1000 · n² of a kappa fits in 127 bits.
    static let countLimit: UInt64 = 1 << 58
}

/// ⌊dividend / divisor⌋ toward minus infinity, for a positive divisor.
func flooredQuotient(_ dividend: Int128, _ divisor: Int128) -> Int128 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}

/// A Q30 probability, ⌊part · 2³⁰ / whole⌋, at least 1 so that nothing is impossible.
func q30Share(_ part: UInt64, of whole: UInt64) -> UInt64 {
    max(1, UInt64(UInt128(part) * UInt128(Q30.one) / UInt128(whole)))
}

/// Who answered what when which class was true: classes × classes Q30 counts, the row the true
/// class, the column the answer, below 2⁵⁸ in all.
package struct ConfusionTable: Hashable, Sendable {
    private let classes: Int
    private let cells: [UInt64]

    /// - Precondition: `cells` are classes × classes.
    package init(classes: Int, cells: [UInt64]) {
        self.classes = classes
        self.cells = cells
    }

    private var mass: Int128 { cells.reduce(0) { $0 + Int128($1) } }

    /// The expected share of right answers in per mille, rounded down; 0 without answers.
    package var accuracyPermille: Int64 {
        let n = mass
        guard n > 0 else { return 0 }
        let right = (0..<classes).reduce(Int128(0)) { $0 + Int128(cells[$1 * classes + $1]) }
        return Int64(1000 * right / n)
    }

    /// Agreement beyond chance in per mille, rounded down; 0 where chance leaves no room.
    package var kappaPermille: Int64 {
        let n = mass
        var (agreed, chance) = (Int128(0), Int128(0))
        for answer in 0..<classes {
            agreed += Int128(cells[answer * classes + answer])
            let row = cells[answer * classes..<(answer + 1) * classes].reduce(0, +)
            let column = (0..<classes).reduce(0) { $0 + cells[$1 * classes + answer] }
            chance += Int128(row) * Int128(column)
        }
        guard n * n > chance else { return 0 }
        return Int64(
            truncatingIfNeeded: flooredQuotient(1000 * (n * agreed - chance), n * n - chance))
    }
}

/// What score/1 remembers: soft counts of who answers what when which class is true.
///
/// Counts are Q30 and never round; only probabilities do. A stored table is written by
/// ``confusion(of:)`` and read back by ``init(classes:prior:confusion:smoothing:)``.
///
/// - SeeAlso: Dawid & Skene, Applied Statistics 28(1), 1979.
package struct ScoreCounts: Hashable, Sendable {
    package let classes: Int
    package let smoothing: ScoreSmoothing
    /// Q30 items per class.
    package private(set) var prior: [UInt64]
    /// Per annotator classes × classes Q30 answers, the row the true class, the column the answer.
    private var tables: [AccountID: [UInt64]]

    package init(classes: Int, smoothing: ScoreSmoothing = .standard) throws(ScoreError) {
        guard (2...255).contains(classes) else { throw .classCount(classes) }
        self.classes = classes
        self.smoothing = smoothing
        prior = Array(repeating: 0, count: classes)
        tables = [:]
    }

    package init(
        classes: Int, prior: [UInt64], confusion: [AccountID: [UInt64]],
        smoothing: ScoreSmoothing = .standard
    ) throws(ScoreError) {
        try self.init(classes: classes, smoothing: smoothing)
        guard prior.count == classes else { throw .malformedCounts(nil) }
        guard total(prior) < Q30.countLimit else { throw .overflow }
        for (annotator, table) in confusion.sorted(by: { $0.key < $1.key }) {
            guard table.count == classes * classes else { throw .malformedCounts(annotator) }
            guard total(table) < Q30.countLimit else { throw .overflow }
        }
        self.prior = prior
        tables = confusion
    }

    /// Everyone with a table, in ascending order.
    package var annotators: [AccountID] { tables.keys.sorted() }

    /// Classes × classes Q30 counts, the row the true class, the column the answer.
    package func confusion(of annotator: AccountID) -> [UInt64] {
        tables[annotator] ?? Array(repeating: 0, count: classes * classes)
    }

    /// The answers counted for an annotator; a gold answer counts as often as its weight.
    package func answerCount(of annotator: AccountID) -> UInt64 {
        confusion(of: annotator).reduce(0, +) / Q30.one
    }

    /// The expected share of right answers in per mille, rounded down; 0 without answers.
    package func accuracyPermille(_ annotator: AccountID) -> Int64 {
        ConfusionTable(classes: classes, cells: confusion(of: annotator)).accuracyPermille
    }

    /// Agreement beyond chance in per mille, ⌊1000 · (nA − ΣNₐNₜ) / (n² − ΣNₐNₜ)⌋, maybe negative.
    package func kappaPermille(_ annotator: AccountID) -> Int64 {
        ConfusionTable(classes: classes, cells: confusion(of: annotator)).kappaPermille
    }

    /// How likely each class of an item is, given its answers and all that was counted before.
    package func posterior(of answers: [ClassAnswer]) throws(ScoreError) -> Posterior {
        let ordered = try inOrder(answers)
        var weights = (0..<classes).map { truth in
            var weight = ScaledWeight()
            weight.multiply(by: classPrior(truth))
            return weight
        }
        for answer in ordered {
            let table = likelihoods(of: answer.annotator)
            for truth in 0..<classes {
                weights[truth].multiply(by: table[truth * classes + answer.answer])
            }
        }
        let top = weights.reduce(Int.min) { max($0, $1.exponent) }
        var values = weights.map { $0.aligned(to: top) }
        var remainders = values
        values.withUnsafeMutableBufferPointer { values in
            remainders.withUnsafeMutableBufferPointer { normalise(values, remainders: $0) }
        }
        return Posterior(shares: values.map { UInt32(truncatingIfNeeded: $0) })
    }

    /// Counts one item; gold is counted with weight 5 and not into the prior, being stratified.
    package mutating func add(
        _ answers: [ClassAnswer], posterior: Posterior, weight: UInt64 = 1, intoPrior: Bool = true
    ) throws(ScoreError) {
        let ordered = try inOrder(answers)
        guard posterior.shares.count == classes,
            posterior.shares.reduce(0, { $0 + UInt64($1) }) == Q30.one
        else { throw .malformedPosterior }
        let (mass, tooLarge) = weight.multipliedReportingOverflow(by: Q30.one)
        guard !tooLarge, mass < Q30.countLimit else { throw .overflow }
        if intoPrior, total(prior) + UInt128(Q30.one) >= Q30.countLimit { throw .overflow }
        var changed: [AccountID: [UInt64]] = [:]
        for answer in ordered {
            var table = changed[answer.annotator] ?? confusion(of: answer.annotator)
            guard total(table) + UInt128(mass) < Q30.countLimit else { throw .overflow }
            for truth in 0..<classes {
                table[truth * classes + answer.answer] += weight * UInt64(posterior.shares[truth])
            }
            changed[answer.annotator] = table
        }
        tables.merge(changed) { $1 }
        guard intoPrior else { return }
        for truth in 0..<classes { prior[truth] += UInt64(posterior.shares[truth]) }
    }

    /// Classes × classes Q30 probabilities, the row the true class; at least 1, so that nothing is
    /// impossible.
    func likelihoods(of annotator: AccountID) -> [UInt64] {
        var table = confusion(of: annotator)
        for truth in 0..<classes {
            let row = truth * classes..<(truth + 1) * classes
            let whole =
                table[row].reduce(0, +) + UInt64(classes) * smoothing.cell + smoothing.diagonal
            for cell in row {
                let diagonal = cell == truth * classes + truth ? smoothing.diagonal : 0
                table[cell] = q30Share(table[cell] + smoothing.cell + diagonal, of: whole)
            }
        }
        return table
    }

    /// Q30 share of a class among the items counted; at least 1.
    func classPrior(_ truth: Int) -> UInt64 {
        let whole = prior.reduce(0, +) + UInt64(classes) * smoothing.cell
        return q30Share(prior[truth] + smoothing.cell, of: whole)
    }

    private func inOrder(_ answers: [ClassAnswer]) throws(ScoreError) -> [ClassAnswer] {
        for answer in answers where !(0..<classes).contains(answer.answer) {
            throw .classOutOfRange(answer.answer, classes: classes)
        }
        return answers.sorted { ($0.annotator, $0.answer) < ($1.annotator, $1.answer) }
    }
}

/// A sum that 64-bit cells cannot overflow.
private func total(_ cells: [UInt64]) -> UInt128 {
    cells.reduce(UInt128(0)) { $0 + UInt128($1) }
}

/// A product of many Q30 probabilities, mantissa · 2^exponent with the mantissa in [2³¹, 2³²).
///
/// It never underflows, however many annotators answer.
struct ScaledWeight {
    var mantissa: UInt64 = 1 << 31
    var exponent = 0

    /// Times factor / 2³⁰ for a factor in 1...2³⁰: the product is in [2³¹, 2⁶²).
    @inline(__always)
    mutating func multiply(by factor: UInt64) {
        let product = mantissa &* factor
        let shift = 32 &- product.leadingZeroBitCount
        mantissa = product &>> UInt64(truncatingIfNeeded: shift)
        exponent = exponent &+ shift &- 30
    }

    @inline(__always)
    func aligned(to top: Int) -> UInt64 {
        let shift = top &- exponent
        return shift >= 64 ? 0 : mantissa &>> UInt64(truncatingIfNeeded: shift)
    }
}

/// Turns values, at least one of them positive and all below 2³⁴, into shares adding up to 2³⁰.
///
/// Largest remainder, ties to the lower class.
@inline(__always)
func normalise(
    _ values: UnsafeMutableBufferPointer<UInt64>,
    remainders: UnsafeMutableBufferPointer<UInt64>
) {
    var whole: UInt64 = 0
    for index in values.indices { whole &+= values[index] }
    var missing = Q30.one
    for index in values.indices {
        let (share, remainder) = (values[index] &<< 30).quotientAndRemainder(dividingBy: whole)
        values[index] = share
        remainders[index] = remainder
        missing &-= share
    }
    while missing > 0 {  // fewer than there are classes, each class at most once
        var best = 0
        for index in remainders.indices where remainders[index] > remainders[best] { best = index }
        values[best] &+= 1
        remainders[best] = 0
        missing &-= 1
    }
}
