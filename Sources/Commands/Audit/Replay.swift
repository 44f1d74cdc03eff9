import ArgumentParser
import Ledger
import Node

extension Tally {
    struct ReplayCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replay",
            abstract: "Rebuild every model from the recorded updates, and re-run every contract.",
            discussion: """
                Compares every effect, model and value to the last bit and names the first \
                difference; exits with 2 when there is one. --without asks what the models would \
                have been without a site, and compares nothing.

                Example: tally replay --home north
                Example: tally replay --without site/west --home north
                """)

        @Option(help: "Leave out the updates of this site.")
        var without: AccountID?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "replaying")
            let site = without
            let report = try await offThePool { progress in
                try replay(home: home, without: site, progress: progress)
            }
            try options.output.show(report, replayText)
            guard report.identical ?? true else { throw findingExit }
        }
    }
}

private func replayText(_ report: ReplayReport) -> String {
    var table = Table("run", "round", "identical", "AUC", "accuracy", "loss", "model")
    for round in report.rounds {
        table.add(
            String(round.run), String(round.round),
            round.identical.map { $0 ? "yes" : "NO" } ?? "-", decimals(round.auc, 4),
            decimals(round.accuracy, 4), decimals(round.loss, 4),
            round.model.map { String($0.prefix(16)) } ?? "-")
    }
    let verdict =
        switch report.identical {
        case true?: "identical to the last bit"
        case false?: "DIFFERS, first at " + (report.firstDifference ?? "an unknown place")
        case nil: "without \(report.without ?? "a site"): nothing was compared"
        }
    return table.text + "\n\n"
        + fields([
            ("verdict", verdict), ("height", "\(report.height)"),
            ("transactions", "\(report.transactions) executed again"),
        ])
}
