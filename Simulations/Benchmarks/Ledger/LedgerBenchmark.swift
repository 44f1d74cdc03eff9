import ArgumentParser
import Cryptography
import Foundation
import Ledger
import Node
import Processes
import TestSupport
import Wire

@main
struct LedgerBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-benchmark",
        abstract: "Build a ledger of a million transfers, and time `tally balance` on it.",
        discussion: """
            One round pays the members; from then on they pay each other, 1,000 transfers an \
            envelope. The contracts, the signatures and the store are the real ones, the votes are \
            not. The ledger stays in FOLDER when --home is given.

            Example: ledger-benchmark --home /tmp/million
            """)

    @Option(help: "How many transfers.")
    var transactions = 1_000_000
    @Option(help: ArgumentHelp("Keep the ledger here; the folder is new.", valueName: "folder"))
    var home: String?
    @Option(help: "How often the command is run.")
    var runs = 21

    func validate() throws {
        guard (1...100_000_000).contains(transactions), (1...1_000).contains(runs) else {
            throw ValidationError("1 to 100000000 transactions, 1 to 1000 runs")
        }
    }

    func run() async throws {
        let folder =
            home
            ?? FileManager.default.temporaryDirectory
            .appending(path: "tally-ledger-\(UUID().uuidString)").path
        defer { if home == nil { try? FileManager.default.removeItem(atPath: folder) } }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let clock = ContinuousClock()
        let start = clock.now
        var ledger = try PaidLedger(home: Home(folder))
        try ledger.fund()
        while ledger.transfers < transactions {
            try ledger.pay(min(1_000, transactions - ledger.transfers))
        }
        let built = clock.now - start
        print("transactions    \(ledger.transactions)")
        print("built in        \(built)")
        // What a process costs on this machine at this moment is no cost of the ledger.
        print("tally --version \(try await timed(["--version"]))")
        print(
            "tally balance   "
                + (try await timed(["balance", Consortium.developer.text, "--home", folder])))
    }

    /// Runs the command and tells its times.
    private func timed(_ arguments: [String]) async throws -> String {
        let clock = ContinuousClock()
        var times: [Duration] = []
        for _ in 0..<runs {
            let begun = clock.now
            let ended = try await ChildProcess(try builtExecutable("tally"), arguments).ended()
            times.append(clock.now - begun)
            guard ended.status == 0 else { throw Failed(description: "\(ended)") }
        }
        times.sort()
        return "median \(times[runs / 2]), slowest \(times[runs - 1]) of \(runs)"
    }
}

struct Failed: Error, CustomStringConvertible { let description: String }

/// A home whose members were paid once and pay each other.
private struct PaidLedger {
    private var ledger: SettledLedger
    private(set) var transfers = 0
    private(set) var transactions = 0

    private static let payers = Consortium.sites + [Consortium.developer]

    init(home: Home) throws {
        try home.write(try testGenesis(), to: home.path + "/genesis.tally", secret: false)
        ledger = try SettledLedger(at: home.ledger, of: Consortium(enrolling: false))
    }

    /// One round pays the developer and the sites.
    mutating func fund() throws {
        let voters = Consortium.voters.prefix(3)
        try block(
            [(Consortium.coordinator, [.startRun(1, from: named("model 0"), rounds: 1)])]
                + voters.map { ($0, [.fix(1, named("reference"))]) })
        try block(
            [(Consortium.coordinator, [.openRound(1, 1, base: named("model 0"))])]
                + Consortium.sites.map { ($0, [ledger.consortium.submission(1, 1, by: $0)]) })
        let values = roundValues([(1, 0), (1, 0), (1, 0)]).encoded()
        let word = WireTransaction.checked(
            1, 1, model: named("model 1"), values: Digest.sha256(values).bytes)
        try block(
            voters.map { ($0, [word]) } + [
                (
                    Consortium.coordinator,
                    [.closeRound(1, 1, model: named("model 1"), values: values)]
                )
            ])
        for _ in 0..<2 { try block([]) }
    }

    /// So many transfers of one microtoken; payer and receiver change from block to block.
    mutating func pay(_ count: Int) throws {
        let place = transfers / 1_000
        let payer = Self.payers[place % Self.payers.count]
        let receiver = Self.payers[(place + 1) % Self.payers.count]
        try block([(payer, Array(repeating: .transfer(to: receiver.text, 1), count: count))])
        transfers += count
    }

    private mutating func block(_ parts: [(by: AccountID, [WireTransaction])]) throws {
        try ledger.append(parts)
        transactions += parts.reduce(0) { $0 + $1.1.count }
    }
}
