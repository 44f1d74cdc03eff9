import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Worklist: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a reader still has to read, and until which height.",
            discussion: """
                In a reader's home the site is asked. States: commit (an answer is awaited), wait \
                (until the others have committed), reveal (run `tally annotate` again), done \
                (revealed), missed (a window passed before that), closed (revealed, and decided).

                Example: tally worklist --home readers/north-1
                """)

        @Argument(help: "The annotator; without it, the home's own account.")
        var account: AccountID?
        @Flag(help: "Also list items that need nothing more.")
        var all = false
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let account = try options.account(account)
            var pages: [WorklistReport] = []
            var after = ""
            repeat {
                let page = try await options.report(
                    WorklistReport.self, .worklist, [account.text, after])
                pages.append(page)
                after = page.next ?? ""
            } while !after.isEmpty
            guard let last = pages.last else { return }
            let items = pages.flatMap(\.items).filter { all || $0.state.isOwed }
            try options.output.show(last.listing(items), worklistText)
        }
    }
}

extension WorklistItem.State {
    /// Whether the reader still owes something to the item.
    var isOwed: Bool { self == .commit || self == .wait || self == .reveal }
}

private func worklistText(_ report: WorklistReport) -> String {
    var table = Table("item", "state", "until height", "asked as")
    for item in report.items {
        let asked = item.role == "senior" ? "senior" : "wave \(item.wave)"
        table.add(item.item, item.state.rawValue, item.until.map { "\($0)" } ?? "-", asked)
    }
    return table.text + "\n\n\(report.items.count) items; settled height \(report.settledHeight)"
}
