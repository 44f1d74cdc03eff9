package import Ledger

/// Why pay cannot be computed; a period is paid whole or not at all.
package enum PayError: Error, Hashable, Sendable {
    /// Not 2 to 255 classes.
    case classCount(Int)
    case answerOutOfRange(ItemID, AccountID, answer: Int)
    case goldOutOfRange(ItemID, answer: Int)
    /// Rows carried from a scale with another number of classes, or a table of another size.
    case carriedRows(AccountID)
    /// One annotator would have 2³¹ rows or more, or as many answers.
    case overflow(AccountID)
}

/// What an annotator's pay is made of, and what carries over while it is not yet rated.
package protocol PayEvidence: Hashable, Sendable {
    static var none: Self { get }
    /// Answers given to approved items, also those without a reference.
    var answers: UInt64 { get }
    /// The rows, gold ones with their multiplicity.
    var count: UInt64 { get }
}

/// The parameters of rule pay/1.
enum PayRule {
    static let goldMultiplicity: UInt64 = 8
    static let feePermille: Int64 = 20
    static let minimumAnswers: UInt64 = 30
    static let pointsPerAgreement: Int128 = 1_000_000
    /// Below it every product of this file fits in 127 bits.
    static let rowLimit: UInt64 = 1 << 31
}

/// How many rows an answer to gold counts as.
package let goldMultiplicity = PayRule.goldMultiplicity

/// How two answers agree: classes all or nothing, grades the nearer the more.
package struct AnswerScale: Hashable, Sendable {
    package let classes: Int
    package let ordinal: Bool

    package init(classes: Int, ordinal: Bool) throws(PayError) {
        guard (2...255).contains(classes) else { throw .classCount(classes) }
        self.classes = classes
        self.ordinal = ordinal
    }

    /// The agreement of two equal answers.
    package var top: Int { ordinal ? classes - 1 : 1 }

    package func agreement(_ one: Int, _ other: Int) -> Int {
        ordinal ? top - abs(one - other) : (one == other ? 1 : 0)
    }

    package func contains(_ answer: Int) -> Bool { (0..<classes).contains(answer) }
}

/// What an annotator is paid for: how often which own answer met which reference.
///
/// Pay depends on nothing else, so this table is also what carries over to the next period.
package struct PayRows: PayEvidence {
    /// Answers given to approved items, also those without a reference.
    package private(set) var answers: UInt64
    /// Classes × classes rows with their multiplicity, the row the own answer; empty for none.
    package private(set) var joint: [UInt64]

    package static let none = Self()

    private init() {
        answers = 0
        joint = []
    }

    /// - Returns: nil for 2³¹ answers or rows, or more.
    package init?(answers: UInt64, joint: [UInt64]) {
        self.answers = answers
        self.joint = joint
        guard isBounded else { return nil }
    }

    /// The rows, gold ones with their multiplicity.
    package var count: UInt64 { joint.reduce(0, +) }

    func fits(_ scale: AnswerScale) -> Bool {
        joint.isEmpty || joint.count == scale.classes * scale.classes
    }

    var isBounded: Bool {
        answers < PayRule.rowLimit
            && joint.reduce(UInt128(0)) { $0 + UInt128($1) } < PayRule.rowLimit
    }

    mutating func countAnswer() { answers += 1 }

    mutating func add(own: Int, reference: Int, times: UInt64, classes: Int) {
        if joint.isEmpty { joint = Array(repeating: 0, count: classes * classes) }
        joint[own * classes + reference] += times
    }
}

/// The numerator and the denominator of Cohen's kappa over rows, times n².
package struct BeyondChance: Hashable, Sendable {
    /// n, at most 2³¹.
    package let rows: Int64
    /// S = n·A − C: exactly 0 for whoever always gives the same answer.
    package let surplus: Int128
    /// n²·top − C.
    package let room: Int128
    /// C = Σₓ Σᵧ N(x)·N′(y)·s(x, y), the agreement that chance alone would give, times n.
    package let chance: Int128

    /// - Returns: nil when the rows are from another scale, or 2³¹ and more.
    package init?(_ rows: PayRows, on scale: AnswerScale) {
        guard rows.fits(scale), rows.isBounded else { return nil }
        let classes = scale.classes
        var own = Array(repeating: Int128(0), count: classes)
        var reference = own
        var (n, agreed, chance) = (Int128(0), Int128(0), Int128(0))
        for (cell, count) in rows.joint.enumerated() {
            let (x, y, count) = (cell / classes, cell % classes, Int128(count))
            own[x] += count
            reference[y] += count
            n += count
            agreed += count * Int128(scale.agreement(x, y))
        }
        for x in 0..<classes where own[x] > 0 {
            for y in 0..<classes {
                chance += own[x] * reference[y] * Int128(scale.agreement(x, y))
            }
        }
        self.rows = Int64(n)
        self.chance = chance
        surplus = n * agreed - chance
        room = n * n * Int128(scale.top) - chance
    }

    /// U, signed micro-points: ⌊10⁶ · S / (n · top)⌋; additive in the work done.
    package func points(on scale: AnswerScale) -> Int64 {
        guard rows > 0 else { return 0 }
        return Int64(
            flooredQuotient(
                PayRule.pointsPerAgreement * surplus, Int128(rows) * Int128(scale.top)))
    }

    /// Kappa in per mille, rounded down; 0 without rows or without room above chance.
    package var kappaPermille: Int64 {
        rows > 0 && room > 0 ? Int64(flooredQuotient(1000 * surplus, room)) : 0
    }

    /// What one row of an annotator added to the points, in micro-points rounded down.
    ///
    /// U = 10⁶/top · (A − C/n), and both A and n are sums over rows of multiplicity m, so a row
    /// with agreement s adds 10⁶ · m · (s/top − e) with the chance rate e = C / (n²·top): with
    /// B = 10⁶ · m an answer in consensus earns B(1 − e) and one out of it loses B·e. The exact
    /// figures of all rows add up to the unrounded U; this display never shows more than that.
    package func figure(
        own: Int, reference: Int, multiplicity: UInt64, on scale: AnswerScale
    ) -> Int64 {
        guard rows > 0, scale.contains(own), scale.contains(reference),
            multiplicity < PayRule.rowLimit
        else { return 0 }
        let square = Int128(rows) * Int128(rows)
        let above = Int128(scale.agreement(own, reference)) * square - chance
        // |above| < 2⁷⁰, so the product is below 2¹²².
        let points = flooredQuotient(
            PayRule.pointsPerAgreement * Int128(multiplicity) * above,
            square * Int128(scale.top))
        return Int64(points)
    }
}

/// One annotator's pay for a period.
package struct PayResult<Rows: PayEvidence>: Hashable, Sendable {
    /// All the rows the figures come from, with what was carried in.
    package let rows: Rows
    /// U, signed micro-points; 0 while not yet rated.
    package let points: Int64
    /// F, the micro-points that so many rows must reach.
    package let fee: UInt64
    /// max(0, U − F); nil while there are fewer than 30 answers or no row.
    package let weight: UInt64?
    /// max(0, F − U).
    package let shortfall: UInt64

    package var answers: UInt64 { rows.answers }
    package var n: UInt64 { rows.count }
    /// What the next period starts from: everything while not yet rated, else nothing.
    package var carried: Rows { weight == nil ? rows : .none }
}

/// How much each reader's answers weigh in the others' references.
///
/// 1 each without gold; with it ⌊max(0, kappa ‰) · k / (k + 10)⌋ over the reader's k gold rows of
/// this period. Never by Dawid-Skene skill: a ring of 40 % would then take everything.
///
/// - Throws: ``PayError`` for the first answer, by item and reader, that is not on the scale.
package func payReferenceWeights(
    items: [ItemID: [AccountID: Int]], scale: AnswerScale, gold: [ItemID: Int]
) throws(PayError) -> [AccountID: UInt64] {
    var rows: [AccountID: PayRows] = [:]
    for (item, answers) in items.sorted(by: { $0.key < $1.key }) {
        let truth = gold[item]
        if let truth, !scale.contains(truth) { throw .goldOutOfRange(item, answer: truth) }
        for (reader, answer) in answers.sorted(by: { $0.key < $1.key }) {
            guard scale.contains(answer) else {
                throw .answerOutOfRange(item, reader, answer: answer)
            }
            rows[reader, default: .none].countAnswer()
            guard let truth else { continue }
            rows[reader, default: .none].add(
                own: answer, reference: truth, times: 1, classes: scale.classes)
        }
    }
    var weights: [AccountID: UInt64] = [:]
    for (reader, rows) in rows.sorted(by: { $0.key < $1.key }) {
        guard let beyond = BeyondChance(rows, on: scale) else { throw .overflow(reader) }
        let k = rows.count
        weights[reader] =
            gold.isEmpty ? 1 : UInt64(max(0, beyond.kappaPermille)) * k / (k + 10)
    }
    return weights
}

/// What the others said: the plurality of classes, or the weighted lower median of grades.
///
/// - Returns: nil on a tie of classes, without any weight, or for an answer not on the scale.
package func payReference(
    of others: some Sequence<(answer: Int, weight: UInt64)>, scale: AnswerScale
) -> Int? {
    var votes = Array(repeating: UInt128(0), count: scale.classes)
    for (answer, weight) in others {
        guard scale.contains(answer) else { return nil }
        votes[answer] += UInt128(weight)
    }
    let total = votes.reduce(0, +)
    guard total > 0 else { return nil }
    if scale.ordinal {
        var below = UInt128(0)
        return votes.firstIndex { votes in
            below += votes
            return 2 * below >= total
        }
    }
    let best = votes.reduce(0, max)
    guard let first = votes.firstIndex(of: best), votes.lastIndex(of: best) == first else {
        return nil
    }
    return first
}

/// What the annotators of a closed period earn by rule pay/1.
///
/// The unit is the numerator of Cohen's kappa against the other first-wave readers, since paying
/// mere agreement pays whoever always answers "normal".
///
/// - Parameters:
///   - items: first-wave answers to the period's approved items, counted from 0.
///   - classes: 2 to 255.
///   - ordinal: whether answers are grades.
///   - gold: true answers; of other items they are ignored.
///   - rulings: labels of seniors who reversed an outcome; they stand for what the others said.
///   - carried: what readers below 30 answers brought from earlier periods.
/// - Returns: one result for everybody who answered or carried rows in.
/// - Throws: ``PayError``; the first in the order of accounts, then items.
package func payPeriod(
    items: [ItemID: [AccountID: Int]], classes: Int, ordinal: Bool, gold: [ItemID: Int] = [:],
    rulings: [ItemID: Int] = [:], carried: [AccountID: PayRows] = [:]
) throws(PayError) -> [AccountID: PayResult<PayRows>] {
    let scale = try AnswerScale(classes: classes, ordinal: ordinal)
    for (reader, rows) in carried.sorted(by: { $0.key < $1.key }) {
        guard rows.fits(scale) else { throw .carriedRows(reader) }
    }
    let weights = try payReferenceWeights(items: items, scale: scale, gold: gold)
    for (item, ruling) in rulings.sorted(by: { $0.key < $1.key }) where !scale.contains(ruling) {
        throw .goldOutOfRange(item, answer: ruling)
    }
    let rows = collectRows(
        items: items, scale: scale, gold: gold, rulings: rulings, weights: weights, in: carried)
    var rated: [AccountID: (points: Int64, rows: Int64)] = [:]
    for (reader, rows) in rows.sorted(by: { $0.key < $1.key }) {
        guard let beyond = BeyondChance(rows, on: scale) else { throw .overflow(reader) }
        guard rows.answers >= PayRule.minimumAnswers, beyond.rows > 0 else { continue }
        rated[reader] = (beyond.points(on: scale), beyond.rows)
    }
    return payResults(of: rows, rated: rated)
}

/// Takes the fee from what the rated readers earned.
///
/// - Parameters:
///   - rows: of everybody who answered or carried rows in.
///   - rated: points and rows of those with at least 30 answers and a row.
/// - Returns: one result for each of `rows`.
func payResults<Rows: PayEvidence>(
    of rows: [AccountID: Rows], rated: [AccountID: (points: Int64, rows: Int64)]
) -> [AccountID: PayResult<Rows>] {
    let rates = rated.values.map { Int64(flooredQuotient(Int128($0.points), Int128($0.rows))) }
        .sorted()
    let median = rates.isEmpty ? 0 : max(0, rates[(rates.count - 1) / 2])
    let fee = median * PayRule.feePermille / 1000
    var results: [AccountID: PayResult<Rows>] = [:]
    for (reader, rows) in rows {
        guard let earned = rated[reader] else {
            results[reader] = PayResult(rows: rows, points: 0, fee: 0, weight: nil, shortfall: 0)
            continue
        }
        let cost = earned.rows * fee
        results[reader] = PayResult(
            rows: rows, points: earned.points, fee: UInt64(cost),
            weight: UInt64(max(0, earned.points - cost)),
            shortfall: UInt64(max(0, cost - earned.points)))
    }
    return results
}

/// Adds the period's rows to those carried in; every answer is known to be on the scale.
private func collectRows(
    items: [ItemID: [AccountID: Int]], scale: AnswerScale, gold: [ItemID: Int],
    rulings: [ItemID: Int], weights: [AccountID: UInt64], in carried: [AccountID: PayRows]
) -> [AccountID: PayRows] {
    var rows = carried
    for (item, answers) in items {
        for (reader, answer) in answers {
            rows[reader, default: .none].countAnswer()
            if let truth = gold[item] {
                rows[reader, default: .none].add(
                    own: answer, reference: truth, times: PayRule.goldMultiplicity,
                    classes: scale.classes)
                continue
            }
            if let ruling = rulings[item] {
                rows[reader, default: .none].add(
                    own: answer, reference: ruling, times: 1, classes: scale.classes)
                continue
            }
            let others = answers.lazy.filter { $0.key != reader }
                .map { (answer: $0.value, weight: weights[$0.key, default: 0]) }
            if let reference = payReference(of: others, scale: scale) {
                rows[reader, default: .none].add(
                    own: answer, reference: reference, times: 1, classes: scale.classes)
            }
        }
    }
    return rows
}

/// What a shortfall costs: min(stake left, ⌊share · shortfall / Σ weights⌋), nothing when Σ = 0.
///
/// - Parameters:
///   - stakeLeft: what the annotator still has at stake.
///   - share: the annotators' part of the round's pool.
///   - shortfall: the annotator's, in micro-points.
///   - totalWeight: of all annotators in this settlement, in micro-points.
/// - Returns: what moves from the stake, at most all of it.
package func penalty(
    stakeLeft: TokenAmount, share: TokenAmount, shortfall: UInt64, totalWeight: UInt64
) -> TokenAmount {
    guard totalWeight > 0 else { return .zero }
    let owed = UInt128(share.microtokens) * UInt128(shortfall) / UInt128(totalWeight)
    return TokenAmount(microtokens: UInt64(min(owed, UInt128(stakeLeft.microtokens))))
}

/// Micro-points as signed microtokens of a settlement, rounded down, as `explain` shows them.
///
/// - Returns: nil without any weight, or beyond 64 bits.
package func payFigure(
    points: Int64, share: TokenAmount, totalWeight: UInt64
) -> Int64? {
    guard totalWeight > 0 else { return nil }
    return Int64(
        exactly: flooredQuotient(
            Int128(points) * Int128(share.microtokens), Int128(totalWeight)))
}
