import ArgumentParser
import Cryptography
import Ledger
import Node

/// A member's public keys.
struct KeyReport: Codable {
    let account: String
    let document: String
    let endpoint: String
    let signingKey: String
    let transportKey: String
    @OrNull var voteKey: String?
    /// The network that this home has joined.
    @OrNull var network: String?

    init(_ member: Member, document: String, network: NetworkID? = nil) {
        account = member.account.text
        self.document = document
        endpoint = member.endpoint
        signingKey = member.signingKey.hex
        transportKey = hexString(member.transportKey)
        _voteKey = OrNull(wrappedValue: member.voteKey?.hex)
        _network = OrNull(wrappedValue: network?.description)
    }

    var text: String {
        fields([
            ("account", account), ("document", document),
            ("endpoint", endpoint.isEmpty ? "-" : endpoint), ("signing key", signingKey),
            ("vote key", voteKey ?? "-"), ("transport key", transportKey),
            ("network", network ?? "-"),
        ])
    }
}

extension Tally.Key {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a home's public keys, and check its private ones against them.",
            discussion: "Example: tally key show --home north")

        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            let member = try home.member()
            _ = try home.keyRing(passphrase: passphrase())
            let network =
                home.exists(home.genesis) ? try home.genesisDocument().network : nil
            try options.output.show(
                KeyReport(
                    member, document: "\(home.path)/\(member.account.name).member",
                    network: network), \.text)
        }
    }
}
