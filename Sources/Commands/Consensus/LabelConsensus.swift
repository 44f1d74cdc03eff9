package import Contracts
import Cryptography

/// A consensus rule for a file of labels.
package enum LabelRule: Sendable {
    case classes(ClassRule)
    case ordinal(OrdinalRule)
}

/// What score/1 and a consensus rule make of a file of labels.
package struct LabelConsensus: Sendable {
    package enum Outcome: String, CaseIterable, Sendable { case approved, disputed, tooFew, gold }

    package struct Item: Sendable {
        /// The number of the likeliest class, or of the lower median grade; of gold the truth.
        package let label: Int
        package let posteriorPermille: UInt64
        package let answers: UInt64
        /// Answers that say the label.
        package let votes: UInt64
        package let outcome: Outcome
    }

    package struct Annotator: Sendable {
        package let name: String
        package let answers: UInt64
        package let accuracyPermille: Int64
        package let agreementPermille: Int64
        /// Whether there are answers enough for the figures to mean something.
        package var isRated: Bool { answers >= 30 }
    }

    package struct Accuracy: Sendable {
        package let right: Int
        /// Items with a known truth that are not gold.
        package let judged: Int
    }

    package let table: LabelTable
    package let items: [Item]
    package let annotators: [Annotator]
    package let alpha: KrippendorffAlpha?
    package let accuracy: Accuracy?
    /// Over the lines `item:p₀,p₁,…` in Q30, items in order, joined by line feeds.
    package let posteriorHash: String

    /// Runs the batch of score/1, then the rule item by item.
    ///
    /// - Parameters:
    ///   - table: the labels.
    ///   - rule: how an item's labels become one.
    ///   - gold: true labels that the scores may learn from.
    ///   - truth: true labels that only the accuracy is taken against.
    ///   - sweeps: 20 in rule score/1.
    /// - Throws: ``InputFault`` for gold or truth that does not fit the labels.
    package init(
        _ table: LabelTable, rule: LabelRule, gold: TruthTable? = nil, truth: TruthTable? = nil,
        sweeps: Int = 20
    ) throws {
        let grid = try AnswerGrid(
            classes: table.classes.count, annotators: table.annotators.count,
            items: table.items.count, answers: table.answers,
            gold: gold.map { try goldClasses($0, in: table) } ?? [:])
        let score = try scoreGrid(grid, sweeps: sweeps)
        var answered = [UInt64](repeating: 0, count: grid.annotatorCount)
        for answer in table.answers { answered[Int(answer.annotator)] += 1 }
        var votes = [UInt64](repeating: 0, count: grid.classes)
        self.table = table
        let items = (0..<grid.itemCount).map { item in
            let count = grid.count(&votes, of: item)
            return Item(
                votes: votes, answers: count, posterior: score.posterior(of: item),
                gold: Int(grid.gold[item]), rule: rule)
        }
        self.items = items
        annotators = table.annotators.enumerated().map { number, name in
            let confusion = ConfusionTable(
                classes: grid.classes, cells: score.confusion(of: number))
            return Annotator(
                name: name, answers: answered[number],
                accuracyPermille: confusion.accuracyPermille,
                agreementPermille: confusion.kappaPermille)
        }
        switch rule {
        case .classes: alpha = KrippendorffAlpha(grid, metric: .nominal)
        case .ordinal: alpha = KrippendorffAlpha(grid, metric: .ordinal)
        }
        accuracy = try truth.map { try Accuracy(items, against: $0, in: table) }
        posteriorHash = hash(of: score, items: table.items)
    }

    package func count(of outcome: Outcome) -> Int { items.count { $0.outcome == outcome } }
}

extension LabelConsensus.Item {
    fileprivate init(
        votes: [UInt64], answers: UInt64, posterior: Posterior, gold: Int, rule: LabelRule
    ) {
        let consensus: Consensus<Int>
        var label = posterior.likeliest
        switch rule {
        case .classes(let rule): consensus = rule.outcome(votes: votes, posterior: posterior)
        case .ordinal(let rule):
            let grades = votes.enumerated().flatMap { grade, count in
                repeatElement(grade, count: Int(count))
            }
            consensus = rule.outcome(of: grades)
            label = lowerMedian(grades) ?? label
        }
        if gold >= 0 {
            label = gold
            outcome = .gold
        } else {
            switch consensus {
            case .approved: outcome = .approved
            case .indeterminate(.disputed): outcome = .disputed
            case .indeterminate(.tooFew): outcome = .tooFew
            }
        }
        self.label = label
        self.answers = answers
        self.votes = votes[label]
        posteriorPermille = posterior.permille(of: label)
    }
}

extension LabelConsensus.Accuracy {
    fileprivate init(
        _ items: [LabelConsensus.Item], against truth: TruthTable, in table: LabelTable
    ) throws {
        var (right, judged) = (0, 0)
        for name in truth.itemsByLine {
            guard let number = table.number(ofItem: name) else { continue }
            let known = try knownClass(of: name, truth, in: table)
            let item = items[Int(number)]
            guard item.outcome != .gold else { continue }
            judged += 1
            if item.label == known { right += 1 }
        }
        guard judged > 0 else {
            throw InputFault(
                file: truth.file, line: nil,
                reason: "names no item of \(table.file) beside gold; are these the same items?")
        }
        self.right = right
        self.judged = judged
    }
}

private func goldClasses(_ gold: TruthTable, in table: LabelTable) throws -> [Int32: Int] {
    var classes: [Int32: Int] = [:]
    for item in gold.itemsByLine {
        guard let number = table.number(ofItem: item) else {
            throw gold.fault(item, "\(item) has no label in \(table.file)")
        }
        classes[number] = try knownClass(of: item, gold, in: table)
    }
    return classes
}

/// The number of a known label; one that is no class of the table is a slip, never a wrong answer.
private func knownClass(
    of item: String, _ known: TruthTable, in table: LabelTable
) throws -> Int {
    let label = known.labels[item]?.label ?? ""
    guard let number = table.classes.firstIndex(of: label) else {
        throw known.fault(
            item,
            "the label \"\(label)\" is none of the classes "
                + table.classes.prefix(20).joined(separator: ",")
                + "; name them all with --classes")
    }
    return number
}

private func hash(of score: GridScore, items: [String]) -> String {
    var hasher = SHA256()
    var text: [UInt8] = []
    for (item, name) in items.enumerated() {
        if item > 0 { text.append(UInt8(ascii: "\n")) }
        text.append(contentsOf: name.utf8)
        for truth in 0..<score.classes {
            text.append(UInt8(ascii: truth == 0 ? ":" : ","))
            text.append(decimal: UInt64(score.shares[item * score.classes + truth]))
        }
        guard text.count > 1 << 16 else { continue }
        hasher.update(text)
        text.removeAll(keepingCapacity: true)
    }
    hasher.update(text)
    return hasher.finalize().hex
}
