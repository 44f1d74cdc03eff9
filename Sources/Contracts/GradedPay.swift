package import Ledger

/// What an annotator of measurements, boxes or masks is paid for: sums over its rows.
///
/// Each period closes a cycle of its own, so sums are all that has to carry over.
package struct GradedRows: PayEvidence {
    package private(set) var answers: UInt64
    package private(set) var count: UInt64
    /// Σ of the agreement with the row's own reference, in per mille.
    package private(set) var agreed: UInt64
    /// Σ of the agreement with the next row's reference: what an answer gets by chance.
    package private(set) var chance: UInt64

    package static let none = Self()

    private init() { (answers, count, agreed, chance) = (0, 0, 0, 0) }

    /// - Returns: nil for 2³¹ answers or rows or more, or for a row above 1000 per mille.
    package init?(answers: UInt64, count: UInt64, agreed: UInt64, chance: UInt64) {
        guard answers < PayRule.rowLimit, count < PayRule.rowLimit, agreed <= 1000 * count,
            chance <= 1000 * count
        else { return nil }
        self.answers = answers
        self.count = count
        self.agreed = agreed
        self.chance = chance
    }

    /// U, signed micro-points: 10⁶ · Σ (agreement − chance) / 1000; exactly 0 for a template.
    package var points: Int64 { 1000 * (Int64(agreed) - Int64(chance)) }

    /// The mean agreement in per mille, rounded down; 0 without rows.
    package var agreementPermille: UInt64 { count == 0 ? 0 : agreed / count }

    /// Agreement beyond chance in per mille, rounded down; 0 where chance leaves no room.
    package var kappaPermille: Int64 {
        let room = 1000 * Int128(count) - Int128(chance)
        guard room > 0 else { return 0 }
        return Int64(flooredQuotient(1000 * (Int128(agreed) - Int128(chance)), room))
    }

    fileprivate mutating func countAnswers(_ number: UInt64) { answers += number }

    /// - Returns: false when there would be 2³¹ rows or answers.
    fileprivate mutating func add(_ other: Self, times: UInt64) -> Bool {
        count += times * other.count
        agreed += times * other.agreed
        chance += times * other.chance
        return answers < PayRule.rowLimit && count < PayRule.rowLimit
    }
}

/// One answer to an approved item and what it is measured against.
package struct GradedRow<Value: Hashable & Sendable>: Hashable, Sendable {
    package let item: ItemID
    package let own: Value
    package let reference: Value

    package init(item: ItemID, own: Value, reference: Value) {
        self.item = item
        self.own = own
        self.reference = reference
    }
}

/// A reader's rows in a period: its answers to items that others answered too, items ascending.
///
/// - Parameters:
///   - reader: whose rows.
///   - items: first-wave answers to the period's approved items.
///   - rule: how answers become a reference.
///   - gold: true answers; their rows stand in a cycle of their own.
///   - rulings: labels of seniors who reversed an outcome; they stand for what the others said.
///   - weights: how much each reader weighs in others' references; without them, 1 each.
/// - Returns: a row for each item that has a reference.
package func gradedRows<Rule: GradedRule>(
    of reader: AccountID, items: [ItemID: [AccountID: Rule.Value]], rule: Rule,
    gold: [ItemID: Rule.Value] = [:], rulings: [ItemID: Rule.Value] = [:],
    weights: [AccountID: UInt64]? = nil
) -> [GradedRow<Rule.Value>] {
    items.sorted { $0.key < $1.key }.compactMap { item, answers in
        guard gold[item] == nil, let own = answers[reader] else { return nil }
        if let ruling = rulings[item] {
            return GradedRow(item: item, own: own, reference: ruling)
        }
        let others = answers.filter { $0.key != reader }.sorted { $0.key < $1.key }
            .map { (value: $0.value, weight: weights?[$0.key] ?? 1) }
        return rule.reference(of: others).map { GradedRow(item: item, own: own, reference: $0) }
    }
}

/// Sums rows and their chance term: the agreement with the next row's reference, the first after
/// the last. Whoever gives one answer to everything has the same sum in both.
package func gradedSums<Rule: GradedRule>(
    of rows: [GradedRow<Rule.Value>], rule: Rule
) -> GradedRows? {
    var (agreed, chance) = (UInt64(0), UInt64(0))
    for (place, row) in rows.enumerated() {
        let next = rows[place + 1 < rows.count ? place + 1 : 0]
        agreed += rule.agreement(row.own, row.reference)
        chance += rule.agreement(row.own, next.reference)
    }
    return GradedRows(answers: 0, count: UInt64(rows.count), agreed: agreed, chance: chance)
}

/// What the annotators of measurements, boxes or masks earn by rule pay/1 when a period closes.
///
/// - Parameters:
///   - items: first-wave answers to the period's approved items.
///   - rule: the agreement's.
///   - gold: true answers; of other items they are ignored.
///   - rulings: labels of seniors who reversed an outcome; they stand for what the others said.
///   - carried: what readers below 30 answers brought from earlier periods.
/// - Returns: one result for everybody who answered or carried rows in.
/// - Throws: ``PayError/overflow(_:)``, the first in the order of accounts.
package func payPeriod<Rule: GradedRule>(
    items: [ItemID: [AccountID: Rule.Value]], rule: Rule, gold: [ItemID: Rule.Value] = [:],
    rulings: [ItemID: Rule.Value] = [:], carried: [AccountID: GradedRows] = [:]
) throws(PayError) -> [AccountID: PayResult<GradedRows>] {
    let gold = gold.filter { items[$0.key] != nil }
    let answered = Dictionary(
        items.values.flatMap(\.keys).map { ($0, UInt64(1)) }, uniquingKeysWith: &+)
    let tests = try goldTests(of: items, rule: rule, gold: gold)
    let weights = referenceWeights(of: tests, gold: gold)
    var rows = carried
    for (reader, answers) in answered.sorted(by: { $0.key < $1.key }) {
        let own = gradedRows(
            of: reader, items: items, rule: rule, gold: gold, rulings: rulings, weights: weights)
        var sum = rows[reader] ?? .none
        sum.countAnswers(answers)
        guard let judged = gradedSums(of: own, rule: rule), sum.add(judged, times: 1),
            sum.add(tests[reader] ?? .none, times: PayRule.goldMultiplicity)
        else { throw .overflow(reader) }
        rows[reader] = sum
    }
    let rated = rows.filter { $0.value.answers >= PayRule.minimumAnswers && $0.value.count > 0 }
        .mapValues { (points: $0.points, rows: Int64($0.count)) }
    return payResults(of: rows, rated: rated)
}

/// What each reader's answers to gold come to, a cycle of its own.
///
/// - Throws: ``PayError/overflow(_:)``, the first in the order of accounts.
func goldTests<Rule: GradedRule>(
    of items: [ItemID: [AccountID: Rule.Value]], rule: Rule, gold: [ItemID: Rule.Value]
) throws(PayError) -> [AccountID: GradedRows] {
    var tests: [AccountID: GradedRows] = [:]
    for reader in Set(items.values.flatMap(\.keys)).sorted() {
        let rows = gold.sorted { $0.key < $1.key }.compactMap { item, truth in
            items[item]?[reader].map { GradedRow(item: item, own: $0, reference: truth) }
        }
        guard let test = gradedSums(of: rows, rule: rule) else { throw .overflow(reader) }
        tests[reader] = test
    }
    return tests
}

/// How much each reader weighs in others' references: by its gold, or 1 without any.
func referenceWeights(
    of tests: [AccountID: GradedRows], gold: [ItemID: some Sendable]
) -> [AccountID: UInt64] {
    tests.mapValues { test in
        let kappa = UInt64(max(0, test.kappaPermille))
        return gold.isEmpty ? 1 : kappa * test.count / (test.count + 10)
    }
}
