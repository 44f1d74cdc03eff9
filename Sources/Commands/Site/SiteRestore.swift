import ArgumentParser
import Node

extension Tally.SiteCommand {
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare that this home was restored from a backup.",
            discussion: """
                What a voter signed after the backup is not in it, and who votes on without knowing \
                it is a liar to everybody else. So the old vote key is given up for ever, and a new \
                one is made: the worker follows the chain without voting until a decision brings \
                the new key in (`tally governance propose --rekey HOME/NAME.member`, at another site).

                Example: tally site restore --home north
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "a restore")
            let (file, member) = try home.declareRestored(passphrase: passphrase())
            try output.show(KeyReport(member, document: file), \.text)
        }
    }
}
