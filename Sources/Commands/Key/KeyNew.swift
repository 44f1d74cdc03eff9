import ArgumentParser
import Ledger
import Node

extension Tally.Key {
    struct New: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a member's keys in its home.",
            discussion: """
                Private keys stay in HOME/keys, mode 0600; set TALLY_PASSPHRASE to encrypt them. The \
                public document HOME/NAME.member is what others need: for founding (`tally network \
                init`) or enrolment (`tally member add`).

                Example: tally key new --name north --role site --endpoint tcp://10.0.0.5:7310 \
                --home north
                """)

        @Option(help: "The member's name: 1 to 64 of a-z 0-9 . _ -")
        var name: String
        @Option(
            help:
                "coordinator, site, annotator, developer, patient or treasurer; sites and the coordinator vote."
        )
        var role: Role
        @Option(
            help: ArgumentHelp(
                "Where this member listens, such as tcp://10.0.0.5:7300; the coordinator must, and a site whose readers ask it.",
                valueName: "address"))
        var endpoint: String = ""
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard isIdentifier(name.utf8) else {
                throw ValidationError("--name must be 1 to 64 characters of a-z 0-9 . _ -")
            }
            guard endpoint.isEmpty || role.votes else {
                throw ValidationError("--endpoint is for the coordinator and sites alone.")
            }
            guard role != .coordinator || !endpoint.isEmpty else {
                throw ValidationError("A coordinator needs --endpoint, such as tcp://10.0.0.5:7300")
            }
            guard endpoint.isEmpty || isEndpoint(endpoint) else {
                throw ValidationError(
                    "--endpoint must be tcp://host:port with a port from 1 to 65534.")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            let (file, member) = try home.makeKeys(
                account: AccountID(role, name), endpoint: endpoint, passphrase: passphrase())
            try output.show(KeyReport(member, document: file), \.text)
        }
    }
}

/// Whether the text is `tcp://host:port`; the port above it is for hints.
package func isEndpoint(_ text: String) -> Bool {
    guard text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":"),
        let port = UInt16(text[text.index(after: colon)...]), (1..<UInt16.max).contains(port)
    else { return false }
    let host = text[text.index(text.startIndex, offsetBy: 6)..<colon]
    return !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
}
