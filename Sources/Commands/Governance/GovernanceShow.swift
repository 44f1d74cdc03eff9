import ArgumentParser
import Ledger
import Node
import Storage

extension Tally.Governance {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the terms of the chain and the decisions under way.",
            discussion: "Example: tally governance show --home north")

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "governance")
            let store = try LedgerStore.reading(at: home.ledger)
            try output.show(
                try governanceReport(of: store, account: home.member().account), governanceText)
        }
    }
}
