import ArgumentParser
import Ledger
import Messaging
import Node
import Wire

extension Tally {
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show where a node's ledger stands, and whether its worker runs.",
            discussion: "Example: tally status --home north")

        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            var report = try await options.report(StatusReport.self, .status, [])
            report.account = try home.member().account.text
            if home.isNode {
                report.running = false
                if let live = try await liveStatus(home) {
                    report.running = true
                    report.headHeight = live
                }
            }
            try options.output.show(report, statusText)
        }

        /// The height of the worker's newest block; nil when it does not run.
        private func liveStatus(_ home: Home) async throws -> UInt64? {
            let context = try MessagingContext(logger: socketLogger())
            do {
                let client = try RequestClient(context: context, localPath: home.socket)
                let height = try await client.status().headHeight
                await client.close()
                await context.shutdown()
                return height
            } catch {
                await context.shutdown()
                if case MessagingError.notRunning = error { return nil }
                throw error
            }
        }
    }
}

private func statusText(_ report: StatusReport) -> String {
    let members = report.members.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    let worker = report.running.map { running in
        running ? "running, newest block \(report.headHeight.map { "\($0)" } ?? "-")" : "stopped"
    }
    let run = report.run.map {
        "run \($0.run) \($0.state), \($0.closed) of \($0.planned) rounds closed"
    }
    let items = report.items
    return fields([
        ("account", report.account ?? "-"), ("worker", worker ?? "-"),
        ("study", report.study), ("network", report.network),
        ("settled", "height \(report.settledHeight), \(report.time)"),
        ("block", report.settledHash), ("transactions", "\(report.transactions)"),
        ("voters", "\(report.voters.joined(separator: ", ")) (quorum \(report.quorum))"),
        ("members", members.joined(separator: ", ")),
        (
            "items",
            "\(items.approved) approved, \(items.disputed) disputed, \(items.tooFew) too few, "
                + "\(items.open) open (period \(report.openPeriod))"
        ),
        ("training", run ?? "no run yet"),
    ])
}
