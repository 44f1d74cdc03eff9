import ArgumentParser
import Cryptography
import Foundation
import Ledger
import Node
import Storage

extension Tally.Governance {
    struct Vote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Vote for a decision.",
            discussion: """
                Look at it first with `tally governance show`: where it names new keys, ask their \
                member whether they are its own. A vote cannot be taken back. The worker signs a \
                status by itself once a quorum is for the decision: from then on it votes in no \
                lower term, and that cannot be taken back either. Who is against a decision does \
                not vote for it.

                Example: tally governance vote 3fa1 --home east
                """)

        @Argument(
            help: ArgumentHelp(
                "The decision: the first digits of its hash, or a file.", valueName: "decision"))
        var decision: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "governance")
            let store = try LedgerStore.reading(at: home.ledger)
            try await cast(try bytes(in: store), home)
            try output.show(
                try governanceReport(of: store, account: home.member().account), governanceText)
        }

        private func bytes(in store: LedgerStore) throws -> [UInt8] {
            guard !decision.isEmpty else {
                throw CommandFault(
                    "give the first digits of the decision's hash, as `tally governance show` "
                        + "prints it, or a file")
            }
            if FileManager.default.fileExists(atPath: decision) { return try readFile(decision) }
            let known = try store.decisions(above: .genesis)
                .filter { $0.hash.hex.hasPrefix(decision) }
            guard let found = known.first, known.count == 1 else {
                throw CommandFault(
                    known.isEmpty
                        ? "no decision \(decision) is known here; see `tally governance show`"
                        : "\(known.count) decisions begin with \(decision); give more digits")
            }
            return found.bytes
        }
    }
}
