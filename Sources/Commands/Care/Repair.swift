import ArgumentParser
import Logging
import Node

extension Tally {
    struct Repair: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Mend a ledger or blobs that lost or changed bytes on this disk.",
            discussion: """
                Builds the ledger anew by executing every block again, from this disk where a \
                block is whole there, else from other nodes, and puts it in the place of the old \
                file when it is sound; damaged and missing blobs are fetched again by their \
                hashes. The worker must not be running; when one starts it looks for damage and \
                does the same by itself.

                What this node signed is known to nobody else. When it is not whole the voting key \
                is given up: the worker follows without voting until `tally site restore` made a \
                new keys and a decision brought them in.

                Example: tally repair --home north
                """)

        @OptionGroup var options: ServiceOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let report = try await repair(
                home: try options.homeOptions.open(), passphrase: passphrase(),
                logger: options.logger)
            try output.show(report, repairText)
            guard report.blobsMissing.isEmpty else { throw findingExit }
        }
    }
}

private func repairText(_ report: RepairReport) -> String {
    let journal =
        switch report.journal {
        case .kept: "whole"
        case .lost:
            "lost (\(report.reason ?? "")): this node votes no more; run `tally site restore`"
        }
    let head = fields([
        ("height", "\(report.height)"),
        ("blocks", "\(report.ownBlocks) from this disk, \(report.fetchedBlocks) from other nodes"),
        ("what it signed", journal), ("blobs fetched", "\(report.blobsFetched)"),
        ("old file", report.damagedFile ?? "-"),
    ])
    return ([head] + report.blobsMissing.map { "  blob \($0) is nowhere to be had" })
        .joined(separator: "\n")
}
