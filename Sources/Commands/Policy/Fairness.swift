import ArgumentParser
import Node

extension Tally {
    struct Fairness: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how well a run's rewards follow what each site brings.",
            discussion: """
                The correlation of sites' stand-alone accuracy and reward (Lyu et al. 2020), and \
                Jain's index inside each role: 1 when all are paid alike. With few sites a \
                correlation says little. In a node's home, for it needs the updates.

                Example: tally fairness --home north
                """)

        @Option(help: "The run; without it, the newest.")
        var run: UInt32?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "judging fairness")
            let number = run
            let report = try await offThePool { _ in try reporter(home).fairness(run: number) }
            try output.show(report, fairnessText)
        }
    }
}

private func fairnessText(_ report: FairnessReport) -> String {
    let sites = Table(
        ["site", "stand-alone accuracy", "reward"],
        report.sites.map { [$0.site, decimals($0.standAlone, 4), $0.reward] })
    let roles = Table(
        ["role", "accounts", "paid", "Jain's index"],
        report.roles.map { [$0.role, "\($0.accounts)", $0.paid, decimals($0.jain, 4)] })
    return [
        sites.text, roles.text,
        fields([
            ("correlation", decimals(report.correlation, 4) + ", n = \(report.sites.count)"),
            ("run", "\(report.run), \(report.rounds) rounds"),
        ]),
    ].joined(separator: "\n\n")
}
