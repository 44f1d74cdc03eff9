import ArgumentParser
import Foundation
import Ledger
import Node
import Storage

/// A read command's options, and where its report comes from.
struct ReadOptions: ParsableArguments {
    @OptionGroup var homeOptions: HomeOptions
    @OptionGroup var output: FormatOptions

    func home() throws -> Home { try homeOptions.open() }

    /// The account asked about: the one named, else the home's own.
    func account(_ named: AccountID?) throws -> AccountID {
        if let named { return named }
        return try home().member().account
    }

    func report<Report: Codable>(
        _ type: Report.Type, _ name: ReportName, _ arguments: [String]
    ) async throws -> Report {
        try Node.report(type, json: try await reportBytes(name, arguments, home: home()))
    }

    /// Fetches a report and prints it.
    func show<Report: Codable>(
        _ type: Report.Type, _ name: ReportName, _ arguments: [String],
        _ text: (Report) -> String
    ) async throws {
        try output.show(try await report(type, name, arguments), text)
    }
}

/// A report from the node's own disk, or in a home without a ledger from its site.
func reportBytes(_ name: ReportName, _ arguments: [String], home: Home) async throws -> [UInt8] {
    if home.isNode {
        return try reporter(home).answer(report: name.rawValue, arguments: arguments, asker: nil)
    }
    guard home.exists(home.siteFile) else {
        throw CommandFault(
            "\(home.path) is in no network yet; join one with `tally network join`")
    }
    return try await SiteLink.connected(from: home) { try await $0.report(name, arguments) }
}

/// Reads a node's ledger and blobs, also while its worker runs.
func reporter(_ home: Home) throws -> Reporter {
    Reporter(store: try LedgerStore.reading(at: home.ledger), blobs: try blobs(home))
}

/// The node's blobs; nil when it has none yet, for reading makes no folder.
func blobs(_ home: Home) throws -> BlobStore? {
    home.exists(home.blobs) ? try BlobStore(folder: home.blobs) : nil
}
