import ArgumentParser

struct AnnotationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "annotations",
        abstract: "What a file of answers holds, and the consensus as other programs read it.",
        subcommands: [Show.self, Export.self])
}
