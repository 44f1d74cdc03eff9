import Contracts

extension LabelConsensus {
    /// For scripts: keys sorted and stable.
    package var json: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(items.count * 100 + annotators.count * 100)
        let labels = table.classes.map { label in
            var text: [UInt8] = []
            text.append(json: label)
            return text
        }
        text.append("{")
        if let accuracy {
            text.append("\"accuracy\":\(Double(accuracy.right) / Double(accuracy.judged)),")
        }
        text.append("\"alpha\":" + (alpha.map { "\($0.value)" } ?? "null"))
        text.append(",\"alphaFraction\":" + (alpha.map { "\"\($0.fraction)\"" } ?? "null"))
        text.append(",\"annotators\":[")
        for (place, annotator) in annotators.enumerated() {
            if place > 0 { text.append(",") }
            text.append("{\"accuracyPermille\":\(annotator.accuracyPermille)")
            text.append(",\"agreementPermille\":\(annotator.agreementPermille),\"annotator\":")
            text.append(json: annotator.name)
            text.append(",\"answers\":\(annotator.answers),\"rated\":\(annotator.isRated)}")
        }
        text.append("],\"classes\":[")
        for (place, label) in labels.enumerated() {
            if place > 0 { text.append(",") }
            text.append(contentsOf: label)
        }
        text.append("],\"items\":[")
        for (place, item) in items.enumerated() {
            if place > 0 { text.append(",") }
            text.append("{\"answers\":")
            text.append(decimal: item.answers)
            text.append(",\"item\":")
            text.append(json: table.items[place])
            text.append(",\"label\":")
            text.append(contentsOf: labels[item.label])
            text.append(",\"outcome\":\"")
            text.append(item.outcome.rawValue)
            text.append("\",\"posteriorPermille\":")
            text.append(decimal: item.posteriorPermille)
            text.append(",\"votes\":")
            text.append(decimal: item.votes)
            text.append("}")
        }
        text.append("]")
        if let accuracy { text.append(",\"judged\":\(accuracy.judged)") }
        text.append(",\"outcomes\":{")
        for (place, outcome) in Outcome.allCases.map(\.rawValue).sorted().enumerated() {
            if place > 0 { text.append(",") }
            text.append("\"\(outcome)\":\(Outcome(rawValue: outcome).map(count(of:)) ?? 0)")
        }
        text.append("},\"posteriorHash\":\"\(posteriorHash)\"")
        if let accuracy { text.append(",\"right\":\(accuracy.right)") }
        text.append("}\n")
        return text
    }

    /// For people: the figures, the annotators, then every item.
    package var text: [UInt8] {
        var text: [UInt8] = []
        text.append(fields(summary) + "\n\n")
        var people = Table("annotator", "answers", "accuracy ‰", "agreement ‰")
        for annotator in annotators {
            people.add(
                annotator.name, "\(annotator.answers)",
                annotator.isRated ? "\(annotator.accuracyPermille)" : "not yet rated",
                annotator.isRated ? "\(annotator.agreementPermille)" : "-")
        }
        text.append(people.text + "\n\n")
        let width = table.items.reduce(4) { max($0, $1.count) } + 2
        let labelWidth = table.classes.reduce(5) { max($0, $1.count) } + 2
        text.append(padded: "item", to: width)
        text.append(padded: "label", to: labelWidth)
        text.append("posterior ‰  votes  answers  outcome\n")
        for (place, item) in items.enumerated() {
            text.append(padded: table.items[place], to: width)
            text.append(padded: table.classes[item.label], to: labelWidth)
            text.append(item.posteriorPermille, rightTo: 11)
            text.append(item.votes, rightTo: 7)
            text.append(item.answers, rightTo: 9)
            text.append("  \(item.outcome.rawValue)\n")
        }
        return text
    }

    private var summary: [(String, String)] {
        var pairs = [
            (
                "labels",
                "\(table.answers.count) of \(items.count) items by \(annotators.count) annotators"
            ),
            ("classes", table.classes.joined(separator: ",")),
            (
                "items",
                Outcome.allCases.map { "\(count(of: $0)) \($0.rawValue)" }.joined(separator: ", ")
            ),
            (
                "alpha",
                alpha.map { "\(decimals($0.value, 3)) = \($0.fraction)" }
                    ?? "- (no item has two labels, or all labels are the same)"
            ),
        ]
        if let accuracy {
            let share = decimals(Double(accuracy.right) / Double(accuracy.judged), 3)
            pairs.append(("accuracy", "\(share) = \(accuracy.right)/\(accuracy.judged)"))
        }
        pairs.append(("posterior hash", posteriorHash))
        return pairs
    }
}
