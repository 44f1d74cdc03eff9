import ArgumentParser
package import Node

extension Tally {
    struct Fairness: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how well a run's rewards follow what each site brings.",
            discussion: """
                The correlation of sites' stand-alone accuracy and reward (Lyu et al., Towards Fair \
                and Privacy-Preserving Federated Deep Models, 2020), and Jain's index inside each \
                role: 1 when all are paid alike, less when some who could have been paid got \
                nothing. Corrections and reversals count. With few sites a correlation says little.

                Stand-alone accuracy here is that of the run's initial model plus the site's own \
                updates of all rounds, on the reference set. It is not a model that the site \
                trained alone, as in that paper: no such model is on the chain, and what a site \
                says of one could not be checked. The updates were computed on the global models, \
                so a site can look better alone than it would have been. It needs the updates, so \
                a node's home.

                Example: tally fairness --home north
                """)

        @Option(parsing: .unconditional, help: "The run; without it, the newest.")
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

package func fairnessText(_ report: FairnessReport) -> String {
    let missing = report.missing.map { [("stand-alone accuracy", "not known: \($0)")] } ?? []
    let sites = Table(
        ["site", "stand-alone accuracy", "reward"],
        report.sites.map { [$0.site, decimals($0.standAlone, 4), $0.reward] })
    let roles = Table(
        ["role", "accounts", "paid", "Jain's index"],
        report.roles.map { [$0.role, "\($0.accounts)", $0.paid, decimals($0.jain, 4)] })
    let correlation =
        report.correlation == nil && report.missing == nil
        ? "undefined, accuracy or reward is the same for all" : decimals(report.correlation, 4)
    return [
        sites.text, roles.text,
        fields(
            [
                ("correlation", "\(correlation), n = \(report.sites.count)"),
                ("run", "\(report.run), \(report.rounds) rounds"),
            ] + missing),
    ].joined(separator: "\n\n")
}
