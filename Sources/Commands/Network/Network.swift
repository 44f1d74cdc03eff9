import ArgumentParser

extension Tally {
    struct Network: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Found a network, or join one.", subcommands: [Init.self, Join.self])
    }
}
