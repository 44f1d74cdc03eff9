import ArgumentParser
import Node

extension Tally.DataCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the registered records and what became of their items.",
            discussion: "Example: tally data list --site north --home north")

        @Option(help: "Only records of this site.")
        var site: String?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            var report = try await options.report(DataReport.self, .data, [])
            if let site {
                let name = site.hasPrefix("site/") ? site : "site/\(site)"
                report = report.limited(to: { $0.site == name })
            }
            try options.output.show(report) { report in
                var table = Table("item", "use", "outcome", "grade", "height", "patient")
                for record in report.records {
                    table.add(
                        record.item, record.use, record.outcome,
                        record.grade.map { "\($0)" } ?? "-", String(record.registeredHeight),
                        String(record.patient.prefix(16)))
                }
                let items = report.items
                return table.text + "\n\nall sites: \(items.approved) approved, \(items.disputed) "
                    + "disputed, \(items.tooFew) too few, \(items.open) open; "
                    + "\(report.duplicates) duplicates"
                    + report.withheldSecrets.map {
                        "\n\($0.site) has not opened the secrets of \($0.items) items in time: no panel is drawn"
                    }.joined()
            }
        }
    }
}
