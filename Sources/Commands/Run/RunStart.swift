import ArgumentParser
import Cryptography
import Messaging
import Node
import Wire

extension Tally.RunCommand {
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start a training run; the sites' workers do the rest.",
            discussion: """
                The open annotation period is closed first, when all its items have an outcome. \
                --wait follows the rounds until the run ends. A run --from a model of an earlier \
                round passes the agreement's parent share of its income on to who made that model.

                Example: tally run start --rounds 20 --wait --home coordinator
                Example: tally run start --from 917f…f9c0 --rounds 5 --home coordinator
                """)

        @Option(help: "How many rounds, at most the agreement's; without it, as it says.")
        var rounds: UInt32?
        @Option(
            help: ArgumentHelp(
                "Model of an earlier round to start from, in 64 hex digits; without it, the "
                    + "agreement's initial one.", valueName: "model"))
        var from: String?
        @Flag(help: "Wait until the run is finished or stopped.")
        var wait = false
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard rounds.map({ (1...100_000).contains($0) }) ?? true else {
                throw ValidationError("--rounds must be 1 to 100000.")
            }
            guard from.map({ Digest(hex: $0) != nil }) ?? true else {
                throw ValidationError("--from must be a model's 64 hex digits; see `tally rounds`.")
            }
            guard !(wait && settlement.noWait) else {
                throw ValidationError("--wait and --no-wait contradict each other.")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            var request = WireRequest()
            request.runStart.rounds = rounds ?? 0
            request.runStart.model = data(from.flatMap { Digest(hex: $0) }?.bytes ?? [])
            let report = try await sendRun(request, home: home, wait: !settlement.noWait)
            guard wait, report.rejected.isEmpty else { return try output.finish(report) }
            try output.show(try await follow(home), roundsText)
        }

        /// How long the worker may be gone, for a restart, until nobody can end the run.
        private static let patience = Duration.seconds(60)

        /// Follows the newest run on this node's own ledger.
        private func follow(_ home: Home) async throws -> RoundsReport {
            let reporter = try reporter(home)
            let progress = ProgressLine()
            defer { progress.clear() }
            var lastServed = ContinuousClock.now
            while true {
                if .now - lastServed > .seconds(5), LocalSocket.isServed(home.socket) {
                    lastServed = .now
                }
                guard .now - lastServed < Self.patience else {
                    throw CommandFault(
                        "the worker of \(home.path) is not running any more; start it again, and "
                            + "the run goes on: see `tally rounds`")
                }
                let status = try reporter.status()
                guard let run = status.run else {
                    throw CommandFault("the run is not on this node's ledger; see `tally status`")
                }
                progress.show(
                    "run \(run.run), \(run.state): \(run.closed) of \(run.planned) rounds")
                if run.state == "finished" || run.state == "stopped" {
                    return try reporter.rounds(run: run.run)
                }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
