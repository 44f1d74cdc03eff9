import ArgumentParser

extension Tally {
    struct MemberCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "member", abstract: "Enrol members, and list them.",
            subcommands: [Add.self, List.self])
    }
}
