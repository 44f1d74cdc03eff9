import ArgumentParser

struct ConsensusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consensus",
        abstract: "Consensus and annotator scores of plain label files.",
        subcommands: [Score.self])
}
