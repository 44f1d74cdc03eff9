import ArgumentParser
import Ledger
import Node
import Storage
import Wire

extension Tally.Key {
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make new keys for a member, to take the place of the present ones.",
            discussion: """
                The new keys wait in HOME/keys/next, those of a later rotation in HOME/keys/next-2 and \
                so on, until the chain lists them; then keys can be made again. A voter's come with a \
                decision: `tally governance propose --rekey HOME/NAME.next-member`; its running \
                worker then changes over by itself. Another member sends them itself: `tally member \
                rekey`.

                Example: tally key rotate --home north
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            let listed =
                home.isNode
                ? try LedgerStore.reading(at: home.ledger).listedMember(home.member().account) : nil
            let (file, member) = try home.makeNextKeys(
                passphrase: passphrase(), listed: listed.map { [UInt8]($0.signingKey) })
            try output.show(KeyReport(member, document: file), \.text)
        }
    }
}
