import ArgumentParser
import Node

extension Tally {
    struct Rounds: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the learning curve and who took part in each round.",
            discussion: """
                AUC and accuracy stand on the chain, checked by the voters; the loss is computed \
                here from the models, where this home has them.

                Example: tally rounds --home north
                """)

        @Option(help: "The run; without it, the newest.")
        var run: UInt32?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(
                RoundsReport.self, .rounds, run.map { ["\($0)"] } ?? [], roundsText)
        }
    }
}

func roundsText(_ report: RoundsReport) -> String {
    var table = Table("round", "AUC", "accuracy", "loss", "sites", "model")
    for round in report.rounds {
        let absent = round.rollCall.filter { $0.answer != "answered" }
        let sites =
            absent.isEmpty
            ? "all \(round.rollCall.count)"
            : absent.map { "\($0.site) \($0.answer) \($0.reason)" }.joined(separator: ", ")
        table.add(
            String(round.round), decimals(round.auc, 4), decimals(round.accuracy, 4),
            decimals(round.loss, 4), sites, String(round.model.prefix(16)))
    }
    return fields([
        ("run", "\(report.run) of study \(report.study), \(report.state)"),
        ("rounds", "\(report.closed) of \(report.planned) closed"),
        ("reference set", "\(report.referenceCount) records"), ("model", report.model),
    ]) + "\n\n" + table.text + "\n\n" + rollCallText(report)
}

/// The newest round's roll-call.
func rollCallText(_ report: RoundsReport) -> String {
    guard let last = report.rounds.last else { return "no round is closed yet" }
    var table = Table("site", "answer", "verified records", "value so far", "reason")
    for entry in last.rollCall {
        table.add(
            entry.site, entry.answer, String(entry.verified), decimals(entry.value, 2),
            entry.reason.isEmpty ? "-" : entry.reason)
    }
    return "roll-call of round \(last.round)\n" + table.text
}
