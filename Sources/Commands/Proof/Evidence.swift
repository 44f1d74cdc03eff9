import ArgumentParser
import Cryptography
import Federation
import Foundation
import Ledger
import Node
import Storage

extension Tally {
    struct EvidenceCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "evidence",
            abstract: "Check evidence against a member, and list what the chain has recorded.",
            subcommands: [EvidenceCheck.self, EvidenceList.self])
    }

    struct EvidenceCheck: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Say whom a file of evidence convicts, and of what.",
            discussion: """
                With the genesis document alone it convicts founders by the keys that they founded \
                the network with; with --home, every member of that node's chain, and an invalid \
                block, by re-executing the chain below it. Exits with 2 when it proves nothing.

                Example: tally evidence check two-votes.tally --genesis genesis.tally
                """)

        @Argument(help: "The evidence.")
        var file: String
        @OptionGroup var genesisOptions: GenesisOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let genesis = try genesisOptions.document()
            let bytes = try proofFile(file, atMost: Evidence.maximumBytes)
            let home = try nodeHome(of: genesis)
            let result = try await offThePool { progress in
                try examine(bytes, genesis, home, progress)
            }
            switch result {
            case .success(let report):
                try output.show(report) { "it convicts: \($0.sentence)\n\n\($0.text)" }
            case .failure(let refusal):
                try output.show(ProofRefusal(refusal.reason)) { $0.reason }
                throw findingExit
            }
        }

        /// The home named, when a ledger of this network lies there.
        private func nodeHome(of genesis: Genesis) throws -> Home? {
            guard let path = try? homePath(genesisOptions.home) else { return nil }
            let home = Home(path)
            guard home.isNode else { return nil }
            guard try home.genesisDocument().network == genesis.network else {
                throw CommandFault("\(path) is a home of another network than the genesis document")
            }
            return home
        }
    }

    struct EvidenceList: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the offences that the chain has recorded, and files that it has not.",
            discussion: """
                A node keeps a file of every offence that it found or was told of, in HOME/evidence.

                Example: tally evidence list --home north
                """)

        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "listing offences")
            let recorded = try reporter(home).offences()
            let report = EvidenceListReport(
                offences: recorded.offences,
                unrecorded: try unrecorded(home, Set(recorded.offences.map(\.id))),
                settledHeight: recorded.settledHeight)
            try options.output.show(report) { report in
                var table = Table("height", "offender", "offence", "reported by", "id")
                for offence in report.offences {
                    table.add(
                        String(offence.height), offence.offender, offence.offence,
                        offence.reporter, "\(offence.id.prefix(12))…")
                }
                for file in report.unrecorded {
                    table.add("-", file.offender, file.offence, "file only", file.file)
                }
                return table.text
            }
        }

        /// Files of this home that convict, by its chain's keys, and are not on the chain.
        private func unrecorded(
            _ home: Home, _ recorded: Set<String>
        ) throws -> [EvidenceListReport.File] {
            guard home.exists(home.evidence) else { return [] }
            let store = try LedgerStore.reading(at: home.ledger)
            let keys = try knownKeys(of: store)
            let names = try FileManager.default.contentsOfDirectory(atPath: home.evidence).sorted()
            return try names.filter { $0.hasSuffix(".tally") }.compactMap { name in
                let file = "\(home.evidence)/\(name)"
                guard !recorded.contains(String(name.dropLast(6))) else { return nil }
                let bytes = try proofFile(file, atMost: Evidence.maximumBytes)
                guard let found = try? Evidence(strictly: bytes, network: store.genesis.network)
                else { return nil }
                let offence =
                    found.kind == .invalidBlock
                    ? "signed an invalid block: run `tally evidence check`"
                    : (try? found.offence(keys: keys))?.description
                return offence.map {
                    EvidenceListReport.File(
                        file: file, offender: found.offender.text, offence: $0)
                }
            }
        }
    }
}

private struct EvidenceListReport: Codable {
    struct File: Codable {
        let file: String
        let offender: String
        let offence: String
    }

    let offences: [RecordedOffence]
    let unrecorded: [File]
    let settledHeight: UInt64
}

/// Whom evidence convicts, and of what.
struct ConvictionReport: Codable {
    let proven: Bool
    let offender: String
    let key: String
    let offence: String
    let term: UInt64
    let height: UInt64
    @OrNull var envelope: String?
    /// The rule that an invalid block breaks.
    @OrNull var rule: String?
    let id: String
    let sentence: String

    init(_ offence: Offence, rule: BlockRefusal?, network: NetworkID) {
        proven = true
        offender = offence.offender.text
        key = offence.key.hex
        self.offence = offence.kind.rawValue
        term = offence.term.value
        height = offence.height.value
        envelope = offence.envelope?.hex
        self.rule = rule?.description
        id = offence.id(network: network).hex
        sentence = offence.description + (rule.map { ": \($0)" } ?? "")
    }

    var text: String {
        fields([
            ("offender", offender), ("key", key), ("offence", offence), ("term", "\(term)"),
            ("height", "\(height)"), ("id", id),
        ])
    }
}

private struct Acquittal: Error {
    let reason: String
}

private func examine(
    _ bytes: [UInt8], _ genesis: Genesis, _ home: Home?, _ progress: (AuditProgress) -> Void
) throws -> Result<ConvictionReport, Acquittal> {
    let network = genesis.network
    let store = try home.map { try LedgerStore.reading(at: $0.ledger) }
    let keys = try store.map(knownKeys) ?? KnownKeys(genesis: genesis)
    do {
        let evidence = try Evidence(strictly: bytes, network: network)
        guard evidence.kind == .invalidBlock, let store else {
            let offence = try evidence.offence(keys: keys)
            return .success(ConvictionReport(offence, rule: nil, network: network))
        }
        let suspect = try evidence.invalidBlock(keys: keys)
        let rule = try brokenRule(by: suspect, in: store, progress: progress)
        return .success(
            ConvictionReport(evidence.offence(by: suspect), rule: rule, network: network))
    } catch let fault as EvidenceFault {
        let hint =
            if case .unknownKey = fault, store == nil {
                "; if it came after genesis, name a node's --home"
            } else if fault == .needsChain { "; name a node's --home" } else { "" }
        return .failure(Acquittal(reason: fault.description + hint))
    } catch let fault as ReexecutionFault {
        if case .state = fault { throw fault }
        return .failure(Acquittal(reason: fault.description))
    }
}
