import ArgumentParser
import Contracts
import Ledger
import Node
import Storage
import Wire

enum ExportFormat: String, CaseIterable, ExpressibleByArgument {
    case csv, coco
    case labelStudio = "label-studio"
}

extension AnnotationsCommand {
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the consensus of all approved items for other programs.",
            discussion: """
                As CSV (item,answer; a row for each box or mask), COCO (boxes and masks) or Label \
                Studio tasks; `tally annotate` reads each of them. In COCO files images are called \
                by their items' names.

                Example: tally annotations export --as coco --out consensus.json --home north
                """)

        @Option(name: .customLong("as"), help: "csv, coco or label-studio.")
        var format: ExportFormat = .csv
        @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
        var out: String
        @OptionGroup var homeOptions: HomeOptions

        func run() async throws {
            let home = try homeOptions.open()
            guard home.isNode else {
                throw CommandFault(
                    "\(home.path) holds no ledger; run this in the home of a site or the "
                        + "coordinator")
            }
            let reporter = try reporter(home)
            let rule = try reporter.store.terms().newest.agreement.annotation
            let entries = try reporter.consensus()
            guard !entries.isEmpty else {
                throw CommandFault(
                    "no item is approved yet, so there is no consensus to write; see "
                        + "`tally data list`")
            }
            let bytes =
                switch format {
                case .csv: consensusTable(entries, rule)
                case .coco: try consensusCOCO(entries, rule)
                case .labelStudio: try consensusTasks(entries, rule)
                }
            try writeFile(bytes, to: out)
            print("\(entries.count) items written to \(out)")
        }
    }
}
