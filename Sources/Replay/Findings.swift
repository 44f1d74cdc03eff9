/// Something that is not as it must be: where, and what.
package struct Finding: Codable, Hashable, Sendable, CustomStringConvertible {
    package let place: String
    package let finding: String

    package init(place: String, finding: String) {
        self.place = place
        self.finding = finding
    }

    package var description: String { "\(place): \(finding)" }
}

/// Findings in the order in which they were made; the first ones are kept, all are counted.
package struct Findings: Sendable {
    package static let limit = 100

    package private(set) var list: [Finding] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    package mutating func add(_ place: String, _ finding: String) {
        count += 1
        guard list.count < Self.limit else { return }
        list.append(Finding(place: place, finding: finding))
    }

    /// The findings after the first so many, as far as they are kept.
    package func since(_ known: Int) -> Findings {
        var later = Findings()
        later.list = Array(list.dropFirst(known))
        later.count = max(0, count - known)
        return later
    }

    package mutating func add(_ others: Findings) {
        for one in others.list { add(one.place, one.finding) }
        count += others.count - others.list.count
    }
}
