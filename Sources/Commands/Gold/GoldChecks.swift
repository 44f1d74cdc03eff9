package import Ledger
package import Node

/// What is wrong with the items of a file of true answers, before anybody commits to it.
package struct GoldItemsDoubt: Hashable {
    package let text: String
    /// Not one of its answers could ever count.
    package let isHopeless: Bool
}

/// Whether true answers name items for which they can count.
///
/// - Parameters:
///   - items: of the file.
///   - registered: those of them that are on the ledger already.
///   - sites: names of the sites that are members.
/// - Returns: nil when all may count.
package func goldItemsDoubt(
    _ items: [String], registered: [String], sites: Set<String>
) -> GoldItemsDoubt? {
    if !registered.isEmpty {
        return GoldItemsDoubt(
            text: "\(registered.count) of \(items.count) items are registered already, and gold "
                + "counts only for items registered after the commitment: "
                + listed(registered), isHopeless: registered.count == items.count)
    }
    let strange = items.filter { item in
        !sites.contains(String(item.prefix { $0 != "/" }))
    }
    guard !strange.isEmpty else { return nil }
    return GoldItemsDoubt(
        text: "\(strange.count) of \(items.count) items are of sites that are no members: "
            + listed(strange), isHopeless: false)
}

/// Why a file opens no commitment that awaits its answers.
///
/// - Parameters:
///   - organisation: that would show it.
///   - shown: an item that has the file's answer already.
///   - waiting: heights of the organisation's commitments that await their answers.
/// - Returns: what it is, or what it may be, and what to do.
package func unknownGoldText(
    _ organisation: AccountID, shown: String?, waiting: [UInt64]
) -> String {
    if let shown {
        return "these answers were shown already: \(shown) has its true answer on the chain. "
            + "Nothing was sent"
    }
    guard !waiting.isEmpty else {
        return "no commitment of \(organisation) awaits its answers: none was made (`tally gold "
            + "commit`), it was shown already, or its period closed without it. Nothing was sent"
    }
    let heights = waiting.map { "\($0)" }.joined(separator: ", ")
    return "the file opens none of \(organisation)'s \(waiting.count) commitments that await "
        + "their answers (of height \(heights)): show the very file that was committed to, "
        + "unchanged; or its own commitment was shown already, or its period closed without it. "
        + "Nothing was sent"
}

/// What became of true answers that were shown: the keys of any written rows, and what counts.
struct GoldShown: Codable {
    let written: WriteReport
    let answers: Int
    /// Null unless the answers were taken, and settlement was waited for.
    @OrNull var counting: Int?
    let passedOver: [PassedOverGold]

    private enum CodingKeys: String, CodingKey { case answers, counting, passedOver }

    init(_ written: WriteReport, answers: Int, passedOver: [PassedOverGold]?) {
        self.written = written
        self.answers = answers
        self.passedOver = passedOver ?? []
        counting = passedOver.map { answers - $0.count }
    }

    init(from decoder: any Decoder) throws {
        written = try WriteReport(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        answers = try container.decode(Int.self, forKey: .answers)
        _counting = try container.decode(OrNull<Int>.self, forKey: .counting)
        passedOver = try container.decode([PassedOverGold].self, forKey: .passedOver)
    }

    func encode(to encoder: any Encoder) throws {
        try written.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(answers, forKey: .answers)
        try container.encode(_counting, forKey: .counting)
        try container.encode(passedOver, forKey: .passedOver)
    }
}

/// What people are told of true answers that were shown, in one line and one for each passed over.
package func goldShownText(_ answers: Int, passedOver: [PassedOverGold]) -> String {
    let head = "\(answers - passedOver.count) of \(answers) answers count"
    guard !passedOver.isEmpty else { return head }
    var lines = ["\(head); passed over:"]
    for entry in passedOver.prefix(mostListed) { lines.append("  \(entry.item): \(entry.reason)") }
    if passedOver.count > mostListed {
        lines.append("  … and \(passedOver.count - mostListed) more; --format json lists all")
    }
    return lines.joined(separator: "\n")
}

private let mostListed = 10

private func listed(_ items: [String]) -> String {
    items.prefix(5).joined(separator: ", ") + (items.count > 5 ? ", …" : "")
}
