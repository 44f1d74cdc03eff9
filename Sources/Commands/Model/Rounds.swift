import ArgumentParser
package import Node

extension Tally {
    struct Rounds: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the learning curve and who took part in each round.",
            discussion: """
                AUC and accuracy stand on the chain, checked by the voters; the loss is computed \
                here from the models, where this home has them. A site's value so far is its \
                Shapley value in units of the utility, with half its 95 % interval above twelve \
                sites; leave-one-out is what the model of all loses without the site's updates.

                Example: tally rounds --home north
                """)

        @Option(parsing: .unconditional, help: "The run; without it, the newest.")
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
package func rollCallText(_ report: RoundsReport) -> String {
    guard let last = report.rounds.last else { return "no round is closed yet" }
    let isExact = last.permutations == 0
    var table = Table(
        "site", "answer", "verified records", "value so far", "95 % interval", "leave-one-out",
        "reason")
    for entry in last.rollCall {
        table.add(
            entry.site, entry.answer, String(entry.verified), decimals(entry.value, 2),
            isExact ? "exact" : "± " + decimals(entry.valueHalfWidth, 2),
            String(entry.leaveOneOut), entry.reason.isEmpty ? "-" : entry.reason)
    }
    let cost = isExact ? "exact" : "from \(last.permutations) drawn orders of joining"
    return "roll-call of round \(last.round)\n" + table.text
        + "\n\nvalues \(cost), \(last.coalitions) coalitions valued"
}
