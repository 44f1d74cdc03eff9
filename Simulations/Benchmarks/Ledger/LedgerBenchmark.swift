import ArgumentParser
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import Processes
import Storage
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
    private let store: LedgerStore
    private var consortium: Consortium
    private var tip: Tip
    private(set) var transfers = 0
    private(set) var transactions = 0

    private static let payers = Consortium.sites + [Consortium.developer]

    init(home: Home) throws {
        consortium = try Consortium(enrolling: false)
        try home.write(
            try testGenesis(), to: home.path + "/genesis.tally", secret: false)
        store = try LedgerStore.create(at: home.ledger, genesis: consortium.genesis)
        tip = Tip(genesis: consortium.genesis)
    }

    /// Enrols the developer; one round pays it and the sites.
    mutating func fund() throws {
        try block([
            (Consortium.coordinator, [.enrol(try memberDocument(Consortium.developer))])
        ])
        let voters = Consortium.voters.prefix(3)
        try block(
            [(Consortium.coordinator, [.startRun(1, from: named("model 0"), rounds: 1)])]
                + voters.map { ($0, [.fix(1, named("reference"))]) })
        try block(
            [(Consortium.coordinator, [.openRound(1, 1, base: named("model 0"))])]
                + Consortium.sites.map { ($0, [consortium.submission(1, 1, by: $0)]) })
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
        var log = tip.log
        let envelopes = try parts.map { try consortium.envelope($0.1, by: $0.by) }
        for envelope in envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        let execution = try consortium.execute(envelopes)
        if let refused = execution.effects.first(where: { $0.outcome != 0 }) {
            let reason = Rejection(rawValue: refused.outcome)
            throw Failed(description: "a transaction was rejected: \(reason?.description ?? "")")
        }
        transactions += execution.effects.count
        let coordinator = Consortium.coordinator
        let key = try signingKey(of: coordinator)
        let header = BlockHeader(
            slot: Slot(term: .first, height: consortium.height), previous: tip.hash,
            timeMilliseconds: tip.timeMilliseconds + 2_000, proposer: coordinator,
            transactionCount: UInt32(execution.effects.count), logSize: log.size,
            logRoot: log.root, effectsRoot: execution.effectsRoot, stateRoot: .zero,
            voters: consortium.genesis.voters.hash(network: consortium.network),
            parentCertificate: .zero, opening: nil)
        let block = try Block(
            header: header, envelopes: envelopes, parentCertificate: nil,
            network: consortium.network, key: key)
        var terms = tip.terms
        terms.advance(to: terms.newest, isFirst: tip.slot == .genesis)
        tip = Tip(
            slot: block.slot, hash: block.hash, timeMilliseconds: header.timeMilliseconds,
            log: log, terms: terms)
        let executed = ExecutedBlock(block: block, execution: execution, tip: tip)
        let vote = try Vote(
            voter: coordinator, slot: block.slot, block: block.hash,
            network: consortium.network, key: key)
        try store.commit(
            Commitment(
                block: executed, votes: [vote], journal: Journal(term: .first),
                settled: [executed], dropped: [], rehashed: [:], tree: StateTree()))
    }
}
