import ArgumentParser
import Foundation
import Ledger
import Node

/// Which home a command works on.
struct HomeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder of a node or member; without it, TALLY_HOME.", valueName: "folder"))
    var home: String?

    func validate() throws { _ = try path() }

    private func path() throws -> String { try homePath(home) }

    func open() throws -> Home { Home(try path()) }
}

func homePath(_ option: String?) throws -> String {
    guard let path = option ?? ProcessInfo.processInfo.environment["TALLY_HOME"], !path.isEmpty
    else {
        throw ValidationError("Name a home folder with --home, or set TALLY_HOME.")
    }
    return path
}

/// The passphrase of the home's keys; nil when none is set.
func passphrase() -> String? {
    let value = ProcessInfo.processInfo.environment["TALLY_PASSPHRASE"]
    return value?.isEmpty == false ? value : nil
}

extension Home {
    /// Whether a replica of the ledger lies here, as in the home of a site or the coordinator.
    var isNode: Bool { exists(ledger) }

    /// Refuses a home that has no worker of its own.
    func requireNode(for action: String) throws {
        guard isNode else {
            throw CommandFault(
                exists(siteFile)
                    ? "\(path) is the home of a member without a node; \(action) is done in the "
                        + "home of its site"
                    : "\(path) is no node's home: there is no ledger in it. Join a network first "
                        + "with `tally network join`")
        }
    }
}

extension AccountID: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension ItemID: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension Role: ExpressibleByArgument {}
