package import Ledger
package import Node

/// What became of a table of records: the keys of any written rows, and the records that repeat
/// content which was registered before.
struct RecordsWritten: Codable {
    let written: WriteReport
    /// Items' names, ascending; they open no item. Empty when settlement was not waited for.
    let duplicates: [String]

    private enum CodingKeys: String, CodingKey { case duplicates }

    init(_ written: WriteReport, duplicates: [String]) {
        self.written = written
        self.duplicates = duplicates
    }

    init(from decoder: any Decoder) throws {
        written = try WriteReport(from: decoder)
        duplicates = try decoder.container(keyedBy: CodingKeys.self)
            .decode([String].self, forKey: .duplicates)
    }

    func encode(to encoder: any Encoder) throws {
        try written.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(duplicates, forKey: .duplicates)
    }
}

/// The records of a file that are duplicates of others on the ledger, names ascending.
package func duplicates(of items: [ItemID], in report: DataReport) -> [String] {
    let own = Set(items.map(\.text))
    return report.records.filter { $0.duplicate && own.contains($0.item) }.map(\.item).sorted()
}

/// What people are told of duplicates, in one line; nil without any.
package func duplicatesText(_ names: [String], of count: Int) -> String? {
    guard !names.isEmpty else { return nil }
    let listed = 5
    let more = names.count > listed ? ", …; --format json lists all" : ""
    return "\(names.count) of \(count) records repeat content that is registered already, and open "
        + "no item: \(names.prefix(listed).joined(separator: ", "))\(more)"
}
