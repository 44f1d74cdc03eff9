import ArgumentParser
import Ledger
import Node

extension Tally {
    struct Score: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an annotator's accuracy, agreement beyond chance, and pay by period.",
            discussion: """
                In an annotator's home the site is asked. Under 30 answers nobody is rated.

                Example: tally score annotator/north-1 --home north
                """)

        @Argument(help: "The annotator; without it, the home's own account.")
        var account: AccountID?
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let account = try options.account(account)
            try await options.show(ScoreReport.self, .score, [account.text]) { report in
                var table = Table(
                    "period", "answers", "rows", "points", "fee", "weight", "shortfall",
                    "accuracy ‰", "agreement ‰")
                for period in report.periods {
                    table.add(
                        String(period.period), String(period.answers), String(period.rows),
                        String(period.points), String(period.fee), String(period.weight),
                        String(period.shortfall),
                        period.rated ? String(period.accuracyPermille) : "-",
                        period.rated ? String(period.agreementPermille) : "-")
                }
                return fields([
                    ("account", report.account), ("score", report.text),
                    ("pay weight", "\(report.weight)"), ("shortfall", "\(report.shortfall)"),
                ]) + "\n\n" + table.text
            }
        }
    }
}
