import ArgumentParser

extension Tally {
    struct DataCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "data", abstract: "Register records, and list them.",
            subcommands: [Add.self, List.self])
    }
}
