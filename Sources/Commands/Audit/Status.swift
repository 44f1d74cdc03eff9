import ArgumentParser
import Contracts
import Cryptography
import Ledger
import Messaging
import Node
import Storage
import Wire

extension Tally {
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show where a node's ledger stands, or how far an envelope has come.",
            discussion: """
                An envelope is accepted (the coordinator gave a receipt), ordered (it is in a block), \
                certified (a quorum voted for the block) or settled (final; only then is money \
                available).

                Example: tally status --home north
                Example: tally status --envelope 5f…c2 --home north
                """)

        @Option(help: "The id of an envelope, as commands print it with --format json.")
        var envelope: String?
        @OptionGroup var options: ReadOptions

        func validate() throws {
            guard envelope.map({ Digest(hex: $0) != nil }) ?? true else {
                throw ValidationError("an envelope's id has 64 hexadecimal digits")
            }
        }

        func run() async throws {
            let home = try options.home()
            if let id = envelope.flatMap({ Digest(hex: $0) }) {
                return try options.output.show(try await stage(of: id, home), \.text)
            }
            var report = try await options.report(StatusReport.self, .status, [])
            report.account = try home.member().account.text
            if home.isNode {
                report.left = try LedgerStore.reading(at: home.ledger)
                    .endedHeight(of: home.member().account)?.value
                let live = try await asked(home) { try await $0.status() }
                report.running = live != nil
                report.orderedHeight = live?.headHeight
                report.certifiedHeight = live?.certifiedHeight
                report.acceptedEnvelopes = live?.acceptedEnvelopes
            }
            try options.output.show(report, statusText)
        }

        private func stage(of id: Digest, _ home: Home) async throws -> StageReport {
            if home.isNode {
                if let status = try await asked(home, { try await $0.status(of: id) }) {
                    return StageReport(id, status)
                }
                throw CommandFault(
                    "the worker of \(home.path) is not running; start it, or ask for a receipt of "
                        + "what is settled with `tally receipt`")
            }
            return try await SiteLink.connected(from: home) { link in
                StageReport(id, try await link.client.status(of: id))
            }
        }

        /// What the home's worker answers; nil when it does not run.
        private func asked<Answer>(
            _ home: Home, _ ask: (RequestClient) async throws -> Answer
        ) async throws -> Answer? {
            let context = try MessagingContext(logger: socketLogger())
            do {
                let client = try RequestClient(context: context, localPath: home.socket)
                let answer = try await ask(client)
                await client.close()
                await context.shutdown()
                return answer
            } catch {
                await context.shutdown()
                if case MessagingError.notRunning = error { return nil }
                throw error
            }
        }
    }
}

/// How far an envelope has come.
struct StageReport: Codable {
    let envelope: String
    /// `unknown`, `accepted`, `ordered`, `certified` or `settled`.
    let stage: String
    @OrNull var height: UInt64?
    /// Of its transactions, 0 where one was applied; once it is in a block.
    let outcomes: [UInt32]

    init(_ id: Digest, _ status: WireEnvelopeStatus) {
        envelope = id.hex
        stage = status.stage
        outcomes = status.outcomes
        height = status.height == 0 ? nil : status.height
    }

    var text: String {
        let rejected = outcomes.filter { $0 != 0 }
        let reasons = Set(rejected).sorted().map {
            Rejection(rawValue: $0)?.description ?? "code \($0)"
        }
        return fields([
            ("envelope", envelope), ("stage", stage), ("height", height.map { "\($0)" } ?? "-"),
            ("applied", "\(outcomes.count - rejected.count)"),
            (
                "rejected",
                "\(rejected.count)"
                    + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: "; "))
            ),
        ])
    }
}

private func historyText(_ partial: PartialHistory?) -> String {
    guard let partial else { return "complete" }
    let missing =
        partial.missingBlocks == 0
        ? "it is being executed again from genesis"
        : "\(partial.missingBlocks) blocks are still to be fetched"
    return "partial: begun with the state at height \(partial.snapshotHeight); \(missing)"
}

private func statusText(_ report: StatusReport) -> String {
    let members = report.members.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    let worker = report.running.map { $0 ? "running" : "stopped" }
    func height(_ height: UInt64?) -> String { height.map { "height \($0)" } ?? "-" }
    let run = report.run.map {
        "run \($0.run) \($0.state), \($0.closed) of \($0.planned) rounds closed"
    }
    let items = report.items
    let left = report.left.map { ", no longer a member: it left at height \($0)" } ?? ""
    return fields([
        ("account", (report.account ?? "-") + left), ("worker", worker ?? "-"),
        ("study", report.study), ("network", report.network),
        ("accepted", report.acceptedEnvelopes.map { "\($0) envelopes wait" } ?? "-"),
        ("ordered", height(report.orderedHeight)), ("certified", height(report.certifiedHeight)),
        ("settled", "height \(report.settledHeight), \(report.time)"),
        ("block", report.settledHash), ("history", historyText(report.partial)),
        ("transactions", "\(report.transactions)"),
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
