import ArgumentParser

extension Tally {
    struct MemberCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "member", abstract: "Enrol members, list them, change or end their keys.",
            subcommands: [Add.self, List.self, Rekey.self, Revoke.self])
    }
}
