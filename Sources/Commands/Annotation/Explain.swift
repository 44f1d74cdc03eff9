import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show why an item came out as it did, and what each reader got for it.",
            discussion: """
                In a reader's home the site is asked, about items that the reader has read.

                Example: tally explain north/n0001 --home north
                """)

        @Argument(help: "The item, site/record.")
        var item: ItemID
        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(ExplainReport.self, .explain, [item.text], explainText)
        }
    }
}

private func explainText(_ report: ExplainReport) -> String {
    var table = Table(
        "annotator", "answer", "in consensus", "reference", "figure", "tokens a round")
    for reader in report.readers {
        table.add(
            reader.annotator, reader.value ?? reader.answer,
            reader.inConsensus.map { $0 ? "yes" : "no" } ?? "-",
            reader.reference.map { "\($0)" } ?? "-", reader.figure.map { "\($0)" } ?? "-",
            reader.tokensPerRound ?? "-")
    }
    var head = [("item", report.item), ("outcome", report.outcome), ("because", report.reason)]
    if let value = report.value { head.append(("consensus", value)) }
    if let posterior = report.posteriorPermille { head.append(("posterior", "\(posterior)‰")) }
    if let closedBy = report.closedBy { head.append(("closed by", closedBy)) }
    let reasons = report.readers.map { "\($0.annotator): \($0.arithmetic)" }
    return fields(head) + "\n\n" + table.text + "\n\n" + reasons.joined(separator: "\n")
}
