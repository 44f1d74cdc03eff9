package import ArgumentParser
import Foundation

/// The command line: a noun, then a verb; what people type daily is one word.
package struct Tally: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tally",
        abstract: "Keep the books of a federated training.",
        discussion: """
            Every command works on a home, the folder of a node or a member: --home FOLDER, or the \
            variable TALLY_HOME. Keys that have a passphrase take it from TALLY_PASSPHRASE. Read \
            commands work while the node's worker runs, writing ones need it.

            Exit: 0 fine, 1 could not, 2 a finding (the chain is not sound, a replay differs), \
            64 a wrong command line.

            Example: tally balance annotator/north-1 --home /var/lib/tally/north
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Founding:",
                subcommands: [Key.self, Network.self, MemberCommand.self]),
            CommandGroup(
                name: "Services:",
                subcommands: [CoordinatorCommand.self, SiteCommand.self, RunCommand.self]),
            CommandGroup(
                name: "Governance:", subcommands: [Governance.self]),
            CommandGroup(
                name: "Data and consent:", subcommands: [Consent.self, DataCommand.self]),
            CommandGroup(
                name: "Annotation:",
                subcommands: [
                    Worklist.self, Annotate.self, Score.self, Explain.self, Dispute.self,
                    Gold.self,
                    AnnotationsCommand.self, ConsensusCommand.self,
                ]),
            CommandGroup(
                name: "Money:",
                subcommands: [
                    Balance.self, Statement.self, Supply.self, TransferCommand.self,
                    Redeem.self, ClaimCommand.self, Revenue.self, Correct.self, Policy.self,
                    Fairness.self,
                ]),
            CommandGroup(
                name: "Models:", subcommands: [Rounds.self, Lineage.self, Model.self]),
            CommandGroup(name: "Care of a node:", subcommands: [Backup.self, Repair.self]),
            CommandGroup(
                name: "Audit:",
                subcommands: [
                    Status.self, Verify.self, ReplayCommand.self, ReceiptCommand.self,
                    EvidenceCommand.self, Export.self, Simulate.self,
                ]),
        ])

    package init() {}

    package static func main() async {
        Foundation.exit(await run(arguments: Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs one command line.
    ///
    /// - Returns: the exit status; whatever there was to say has been printed.
    package static func run(arguments: [String]) async -> Int32 {
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch { return tell(error) }
    }

    /// 0 fine (as for --help), 1 could not, 2 a finding, 64 a wrong command line.
    package static func exitStatus(for error: any Error) -> Int32 {
        exitCode(for: error).rawValue
    }

    /// Says what went wrong, in one sentence on stderr.
    static func tell(_ error: any Error) -> Int32 {
        let code = exitStatus(for: error)
        if error is ExitCode { return code }
        if code == ExitCode.success.rawValue {
            print(fullMessage(for: error))
        } else if code == ExitCode.validationFailure.rawValue {
            printError(fullMessage(for: error))
        } else {
            printError("error: \(sentence(for: error))")
        }
        return code
    }
}
