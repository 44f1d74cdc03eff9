import ArgumentParser
import Node

extension Tally.Key {
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make new keys for a member, to take the place of the present ones.",
            discussion: """
                The new keys wait in HOME/keys/next until the chain lists them. A voter's come with a \
                decision: `tally governance propose --rekey HOME/NAME.next-member`; its running \
                worker then changes over by itself. Another member sends them itself: `tally member \
                rekey`.

                Example: tally key rotate --home north
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            let (file, member) = try home.makeNextKeys(passphrase: passphrase())
            try output.show(KeyReport(member, document: file), \.text)
        }
    }
}
