import ArgumentParser

extension Tally {
    struct Model: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take models out of the ledger's blobs.", subcommands: [Export.self])
    }
}
