import ArgumentParser
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import Wire

extension Tally.Network {
    struct Init: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Found a network under an agreement.",
            discussion: """
                Writes HOME/genesis.tally, which every member joins with, the consortium's content \
                key HOME/keys/content.key, which sites get by a safe way, and the coordinator's \
                ledger. The home is the coordinator's; its own document need not be named. The \
                developers and the treasurer that the agreement names found the network with the \
                sites.

                Example: tally network init lung-nodules.yaml --member north/north.member \
                --member east/east.member --member west/west.member --home coordinator
                """)

        /// Contribution values are exact up to so many entities.
        private static let mostSites = 12

        @Argument(help: "The agreement, in YAML.", completion: .file(extensions: ["yaml", "yml"]))
        var agreement: String
        @Option(
            help: ArgumentHelp(
                "A founding member's public document; may be given often.",
                valueName: "file"), completion: .file(extensions: ["member"]))
        var member: [String] = []
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            let own = try home.member()
            guard own.account.role == .coordinator else {
                throw CommandFault(
                    "\(home.path) is the home of \(own.account); a network is founded in the "
                        + "coordinator's home")
            }
            guard !home.exists(home.genesis) else { throw HomeError.exists(file: home.genesis) }
            let rules = try readAgreement(file: agreement)
            let members = try foundingMembers(own: own, files: member)
            let document = genesisDocument(
                agreement: rules, members: members,
                timeMilliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1_000)),
                nonce: try systemRandomBytes(32))
            let genesis = try Genesis(strictly: document)
            if !home.exists(home.contentKeyFile) {
                try home.write(
                    try systemRandomBytes(32), to: home.contentKeyFile, secret: true)
            }
            try home.write(document, to: home.genesis, secret: false)
            try LedgerStore.create(at: home.ledger, genesis: genesis).close()
            try output.show(
                NetworkReport(genesis, home: home), \.text)
        }

        private func foundingMembers(own: Member, files: [String]) throws -> [Member] {
            var members = [own]
            for file in files {
                let found = try readMember(file: file)
                if found == own { continue }
                guard !members.contains(where: { $0.account == found.account }) else {
                    throw CommandFault("\(file): \(found.account) is named twice")
                }
                guard found.account.role != .annotator, found.account.role != .patient else {
                    throw CommandFault(
                        "\(file): \(found.account) cannot found a network; its site enrols it "
                            + "later with `tally member add`")
                }
                members.append(found)
            }
            let sites = members.count { $0.account.role == .site }
            guard (1...Self.mostSites).contains(sites) else {
                throw CommandFault(
                    "a network needs 1 to \(Self.mostSites) sites, and \(sites) are named; name "
                        + "each with --member FILE")
            }
            return members
        }
    }
}

/// Reads a member's public document and checks its proofs.
func readMember(file: String) throws -> Member {
    let bytes = try readFile(file)
    do {
        return try Member(strictly: bytes)
    } catch { throw CommandFault("\(file): \(error)") }
}

/// What a home has joined.
struct NetworkReport: Codable {
    let network: String
    let study: String
    let account: String
    let voters: [String]
    let quorum: Int
    let genesis: String
    /// Where the node's ledger is, or the site that this member asks.
    @OrNull var ledger: String?
    @OrNull var site: String?

    init(_ genesis: Genesis, home: Home, site: AccountID? = nil) throws {
        network = genesis.network.description
        study = genesis.agreement.study
        account = try home.member().account.text
        voters = genesis.voters.accounts.map(\.text)
        quorum = genesis.voters.quorum
        self.genesis = home.genesis
        _ledger = OrNull(wrappedValue: site == nil ? home.ledger : nil)
        _site = OrNull(wrappedValue: site?.text)
    }

    var text: String {
        fields([
            ("network", network), ("study", study), ("account", account),
            ("voters", voters.joined(separator: ", ")),
            ("quorum", "\(quorum) of \(voters.count)"), ("genesis", genesis),
            site.map { ("asks", $0) } ?? ("ledger", ledger ?? "-"),
        ])
    }
}
