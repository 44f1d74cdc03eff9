import ArgumentParser
import Contracts
import Cryptography
import Foundation
import Ledger
import Logging
import Messaging
import Node
import Wire

/// A row of a file that the ledger rejected, and why.
package struct RejectedRow: Codable, Sendable {
    let row: String
    let reason: String

    package init(row: String, reason: String) {
        self.row = row
        self.reason = reason
    }
}

/// What became of rows that were put on the ledger.
struct WriteReport: Codable {
    let sent: Int
    let applied: Int
    var rejected: [RejectedRow]
    /// False when the command was told not to wait.
    let settled: Bool
    /// `accepted`, or `settled` when it was waited for.
    let stage: String
    let settledHeight: UInt64
    let envelopes: [String]

    /// How many rejections are listed for people.
    private static let listed = 10

    var text: String {
        guard sent > 0 || applied > 0 || !rejected.isEmpty || !settled else {
            return "nothing had to be sent"
        }
        guard settled else { return "\(sent) sent, accepted; not waited for settlement" }
        var lines = ["\(applied) applied, \(rejected.count) rejected, settled at \(settledHeight)"]
        for row in rejected.prefix(Self.listed) { lines.append("  \(row.row): \(row.reason)") }
        if rejected.count > Self.listed {
            lines.append("  … and \(rejected.count - Self.listed) more; --format json lists all")
        }
        return lines.joined(separator: "\n")
    }
}

/// Whether to wait until what was sent is settled.
struct SettlementOptions: ParsableArguments {
    @Flag(name: .customLong("no-wait"), help: "Do not wait until it is settled.")
    var noWait = false
}

/// The sockets' logger: a command's own words go to stdout, these to stderr.
func socketLogger() -> Logger {
    var logger = Logger(label: "tally") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .error
    return logger
}

/// A connection to the worker of a home, for requests that only its owner may send.
struct LocalNode {
    /// Rows a request, and their bytes.
    static let rowsPerRequest = 1_000
    static let bytesPerRequest = 2 << 20
    static let timeout = Duration.seconds(120)

    let client: RequestClient

    static func connected<Value>(
        to home: Home, _ body: (LocalNode) async throws -> Value
    ) async throws -> Value {
        let context = try MessagingContext(logger: socketLogger())
        do {
            let client = try RequestClient(context: context, localPath: home.socket)
            let value = try await body(LocalNode(client: client))
            await client.close()
            await context.shutdown()
            return value
        } catch {
            await context.shutdown()
            guard case MessagingError.notRunning = error else { throw error }
            let role = (try? home.member())?.account.role
            let service = role == .coordinator ? "coordinator" : "site"
            throw CommandFault(
                "the worker of \(home.path) is not running, and only it writes the ledger; start "
                    + "it with `tally \(service) run --home \(home.path)`")
        }
    }

    /// Sends a request that the worker turns into signed envelopes.
    func write(_ request: WireRequest) async throws -> [Digest] {
        guard case .envelopes(let answer) = try await client.ask(request, timeout: Self.timeout)
        else { throw unexpectedAnswer(to: "write") }
        return answer.envelopes.compactMap { Digest($0) }
    }

    func contribute(_ transactions: [WireTransaction]) async throws -> [Digest] {
        var request = WireRequest()
        request.contribute.transactions = transactions.map { data($0.encoded()) }
        return try await write(request)
    }

    /// The pseudonym under which the site knows a patient.
    func pseudonym(of patient: String) async throws -> [UInt8] {
        var request = WireRequest()
        request.patient.patient = patient
        guard case .patient(let answer) = try await client.ask(request) else {
            throw unexpectedAnswer(to: "patient")
        }
        return [UInt8](answer.pseudonym)
    }

    /// Sends rows in requests of a bounded size, and returns the envelopes in the rows' order.
    ///
    /// A refusal names the place of the first row that was not sent.
    func write<Row>(
        _ rows: [(place: String, row: Row)], size: (Row) -> Int,
        _ request: ([Row]) -> WireRequest
    ) async throws -> [Digest] {
        var ids: [Digest] = []
        var sent = 0
        let progress = ProgressLine()
        for chunk in chunks(rows, size: size) {
            do {
                ids += try await write(request(chunk.map(\.row)))
            } catch let failure as RemoteFailure {
                guard rows.count > 1, let first = chunk.first else {
                    throw CommandFault(failure.message)
                }
                throw CommandFault(
                    "\(failure.message); from \(first.place) on nothing was sent, \(sent) rows "
                        + "before it were")
            }
            sent += chunk.count
            progress.show("sent \(sent) of \(rows.count)")
        }
        progress.clear()
        return ids
    }
}

/// Cuts rows into pieces of at most so many rows and bytes.
func chunks<Row>(
    _ rows: [(place: String, row: Row)], size: (Row) -> Int
) -> [[(place: String, row: Row)]] {
    var parts: [[(place: String, row: Row)]] = []
    var part: [(place: String, row: Row)] = []
    var bytes = 0
    for row in rows {
        let own = size(row.row)
        if part.count == LocalNode.rowsPerRequest
            || (!part.isEmpty && bytes + own > LocalNode.bytesPerRequest)
        {
            parts.append(part)
            (part, bytes) = ([], 0)
        }
        part.append(row)
        bytes += own
    }
    return part.isEmpty ? parts : parts + [part]
}

/// How long settlement may make no progress before a command gives up waiting.
let settlementLimit = Duration.seconds(120)

/// Waits for envelopes and says which rows were rejected.
///
/// Places say what each transaction came from, in order.
func writeReport(
    of ids: [Digest], places: [String], wait: Bool, via client: RequestClient
) async throws -> WriteReport {
    let envelopes = ids.map(\.hex)
    guard wait, !ids.isEmpty else {
        return WriteReport(
            sent: max(places.count, ids.count), applied: 0, rejected: [], settled: ids.isEmpty,
            stage: ids.isEmpty ? "settled" : "accepted", settledHeight: 0,
            envelopes: envelopes)
    }
    let outcomes = try await awaitSettlement(of: ids, via: client, limit: settlementLimit)
    let isOneEach = outcomes.applied + outcomes.rejected.count == places.count
    let rejected = outcomes.rejected.map { index, rejection in
        RejectedRow(
            row: isOneEach ? places[index] : "transaction \(index + 1)",
            reason: rejection?.description ?? "for a reason that this program does not know")
    }
    return WriteReport(
        sent: places.count, applied: outcomes.applied, rejected: rejected, settled: true,
        stage: "settled", settledHeight: outcomes.height.value, envelopes: envelopes)
}

extension FormatOptions {
    /// Prints what became of the rows; a rejected one makes the command fail.
    func finish(_ report: WriteReport, _ note: String? = nil) throws {
        try show(report) { report in
            ([note].compactMap { $0 } + [report.text]).joined(separator: "\n")
        }
        guard report.rejected.isEmpty else { throw ExitCode.failure }
    }
}
