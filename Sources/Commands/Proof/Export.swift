import ArgumentParser
import Node
import Storage

extension Tally {
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write what a node holds in a form that other programs read.",
            subcommands: [ExportChain.self, ExportEffects.self])
    }

    struct ExportChain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "chain",
            abstract: "Write all blocks of a node's chain to one file.",
            discussion: """
                The form is that of Protocols/ledger.md; Protocols/verifier checks it without this \
                program. The worker may be running.

                Example: tally export chain --out chain.tally --home north
                """)

        @Option(help: ArgumentHelp("Where to write the chain.", valueName: "file"))
        var out: String
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "exporting a chain")
            let out = out
            let (height, settled) = try await offThePool { progress in
                try exportChain(
                    of: LedgerStore.reading(at: home.ledger), to: out, progress: progress)
            }
            try options.output.show(
                ChainExportReport(height: height, settledHeight: settled, file: out)
            ) { "\($0.height) blocks, settled to height \($0.settledHeight), in \($0.file)" }
        }
    }
}

extension Tally {
    struct ExportEffects: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "effects",
            abstract: "Write what every settled transaction did to one file.",
            discussion: """
                The form is that of Protocols/effects.md; with the chain, Protocols/verifier \
                recomputes all balances from it. The worker may be running: blocks that settle \
                after the chain was exported have effects too many, so export the effects first.

                Example: tally export effects --out effects.tally --home north
                """)

        @Option(help: ArgumentHelp("Where to write the effects.", valueName: "file"))
        var out: String
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "exporting effects")
            let out = out
            let (height, count) = try await offThePool { _ in
                try exportEffects(of: LedgerStore.reading(at: home.ledger), to: out)
            }
            try options.output.show(
                EffectsExportReport(settledHeight: height, transactions: count, file: out)
            ) { "\($0.transactions) effects, to height \($0.settledHeight), in \($0.file)" }
        }
    }
}

/// What was written.
struct EffectsExportReport: Codable {
    let settledHeight: UInt64
    let transactions: UInt64
    let file: String
}

/// What was written.
struct ChainExportReport: Codable {
    let height: UInt64
    let settledHeight: UInt64
    let file: String
}
