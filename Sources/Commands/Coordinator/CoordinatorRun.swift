import ArgumentParser
import Ledger
import Node

extension Tally {
    struct CoordinatorCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "coordinator", abstract: "Run the consortium's coordinator.",
            subcommands: [Run.self])

        struct Run: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Order what members send, and vote for the coordinator's organisation.",
                discussion: """
                    Runs until SIGTERM or SIGINT. After a crash, start it again: it goes on where it \
                    stopped.

                    Example: tally coordinator run --home /var/lib/tally/coordinator
                    """)

            @OptionGroup var options: ServiceOptions

            func run() async throws {
                try await runNode(
                    home: options.homeOptions.open(), role: .coordinator, passphrase: passphrase(),
                    logger: options.logger)
            }
        }
    }
}
