import ArgumentParser

extension Tally {
    struct Key: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make and show a member's keys.",
            subcommands: [New.self, Show.self, Rotate.self])
    }
}
