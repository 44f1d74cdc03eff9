import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show why an item came out as it did, and what each reader got for it.",
            discussion: """
                In a reader's home the site is asked, about items that the reader has read. Seniors \
                who are asked about an item are shown its answers without names. Of boxes and masks \
                --format json has every edge and run length.

                Example: tally explain north/n0001 --home north
                """)

        @Argument(help: "The item, site/record.")
        var item: ItemID
        @Flag(help: "Leave out who answered what.")
        var anonymous = false
        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(
                ExplainReport.self, .explain, [item.text] + (anonymous ? ["anonymous"] : []),
                explainText)
        }
    }
}

private func explainText(_ report: ExplainReport) -> String {
    let hasWeights = report.readers.contains { $0.weight != nil }
    let table = Table(
        ["annotator", "asked as", "answer", "in consensus", "reference"]
            + (hasWeights ? ["weight"] : []) + ["figure", "tokens a round"],
        report.readers.map { reader in
            let supports = reader.inConsensus.map { $0 ? "yes" : "no" } ?? "-"
            let weight = reader.weight.map { "\($0)" } ?? "-"
            return [
                reader.annotator, reader.senior ? "senior" : "wave \(reader.wave)",
                reader.value ?? reader.answer,
                supports + (reader.agreementPermille.map { " (\($0)‰)" } ?? ""),
                reader.referenceValue ?? "-",
            ] + (hasWeights ? [weight] : []) + [
                reader.figure.map { "\($0)" } ?? "-", reader.tokensPerRound ?? "-",
            ]
        })
    var head = [("item", report.item), ("outcome", report.outcome), ("because", report.reason)]
    if let value = report.value { head.append(("consensus", report.drawn?.text ?? value)) }
    if let posterior = report.posteriorPermille { head.append(("posterior", "\(posterior)‰")) }
    if let closedBy = report.closedBy { head.append(("closed by", closedBy)) }
    if let gold = report.gold { head.append(("gold", report.goldDrawn?.text ?? gold)) }
    if let dispute = report.dispute {
        head.append(
            (
                "disputed",
                "by \(dispute.by) at \(dispute.height), \(dispute.outcome)"
                    + (dispute.earlier.map { "; the readers' outcome: \($0)" } ?? "")
                    + (dispute.reason.isEmpty ? "" : "; \"\(dispute.reason)\"")
            ))
    }
    let reasons = report.readers.map { reader in
        "\(reader.annotator): "
            + (reader.drawn.map { "drew \($0.text); " } ?? "") + reader.arithmetic
    }
    return fields(head) + "\n\n" + table.text + "\n\n" + reasons.joined(separator: "\n")
}
