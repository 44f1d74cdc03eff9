import ArgumentParser
import Node

extension Tally.SiteCommand {
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare that this home was restored from a backup.",
            discussion: """
                What a voter signed after the backup is not in it, and who signs on without knowing \
                it is a liar to everybody else. So every key of this home that votes or, at a \
                coordinator, proposes is given up for ever, and a whole new set is made, as `tally key \
                rotate` does. The worker follows the chain with the keys that are listed, without \
                voting or proposing, until a decision brings the new ones in (`tally governance \
                propose --rekey HOME/NAME.next-member`, at another member).

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
