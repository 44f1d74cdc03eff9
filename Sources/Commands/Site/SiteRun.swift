import ArgumentParser
import Ledger
import Node

extension Tally {
    struct SiteCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "site", abstract: "Run a site's worker, or declare it restored.",
            subcommands: [Run.self, Restore.self])

        struct Run: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract:
                    "Follow and check the chain, vote, train, and answer this site's members.",
                discussion: """
                    Runs until SIGTERM or SIGINT. After a crash, start it again: it joins the same \
                    round.

                    Example: tally site run --home /var/lib/tally/north
                    """)

            @OptionGroup var options: ServiceOptions

            func run() async throws {
                try await runNode(
                    home: options.homeOptions.open(), role: .site, passphrase: passphrase(),
                    logger: options.logger)
            }
        }
    }
}
