import ArgumentParser
import Foundation
import Ledger
import Node
import Storage

extension Tally.Network {
    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Join the network of a genesis document.",
            discussion: """
                A founding site gets a ledger of its own and the content key. An annotator, \
                developer or patient gets the document and the name of the site that it asks. A site \
                that came later, or has new keys or another address, is named by its member document \
                (its NAME.member, or NAME.next-member after `tally key rotate`); the same command \
                again takes another one.

                Example: tally network join genesis.tally --home north
                Example: tally network join genesis.tally --site site/north --home readers/north-1
                Example: tally network join genesis.tally --site-member east.next-member \
                --home readers/east-1
                """)

        @Argument(help: "The genesis document.", completion: .file(extensions: ["tally"]))
        var genesis: String
        @Option(
            help: ArgumentHelp(
                "The consortium's content key; without it, content.key beside the genesis document.",
                valueName: "file"), completion: .file())
        var contentKey: String?
        @Option(help: "The site that a member without a node asks.")
        var site: AccountID?
        @Option(
            help: ArgumentHelp(
                "The member document of that site, where it is not the one in the genesis document.",
                valueName: "file"),
            completion: .file(extensions: ["member", "next-member"]))
        var siteMember: String?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            let own = try home.member()
            let bytes = try readFile(genesis)
            let document: Genesis
            do {
                document = try Genesis(strictly: bytes)
            } catch { throw CommandFault("\(genesis): \(error)") }
            if home.exists(home.genesis) {
                guard try home.genesisDocument().network == document.network else {
                    throw CommandFault(
                        "\(home.path) belongs to another network already; choose another --home")
                }
            }
            if own.account.role?.votes == true {
                try joinAsVoter(home, own, document)
                try output.show(NetworkReport(document, home: home), \.text)
            } else {
                let site = try joinAsMember(home, document)
                try output.show(NetworkReport(document, home: home, site: site), \.text)
            }
        }

        private func joinAsVoter(_ home: Home, _ own: Member, _ document: Genesis) throws {
            guard site == nil, siteMember == nil else {
                throw ValidationError("--site and --site-member are for members without a node.")
            }
            // Who is no founder follows the chain, and votes once a decision brings it in.
            let founder = document.members.first { $0.account == own.account }
            guard founder == nil || founder == own else {
                throw CommandFault(
                    "\(genesis) names other keys for \(own.account) than this home holds; found "
                        + "the network with \(home.path)/\(own.account.name).member")
            }
            if !home.exists(home.contentKeyFile) {
                try home.write(try readContentKey(), to: home.contentKeyFile, secret: true)
            }
            try keep(document, in: home)
            // Last, so that a home with a ledger has everything else; made whole when run again.
            try LedgerStore.create(at: home.ledger, genesis: document).close()
        }

        private func readContentKey() throws -> [UInt8] {
            let folder = URL(fileURLWithPath: genesis).deletingLastPathComponent().path
            let places =
                contentKey.map { [$0] }
                ?? ["\(folder)/content.key", "\(folder)/keys/content.key"]
            guard let file = places.first(where: FileManager.default.fileExists(atPath:)) else {
                throw CommandFault(
                    "\(places[0]) is not there; ask the coordinator for the content key, and name "
                        + "it with --content-key")
            }
            let bytes = try readFile(file)
            guard bytes.count == 32 else {
                throw CommandFault("\(file) is no content key: it has \(bytes.count) bytes, not 32")
            }
            return bytes
        }

        /// Keeps the document and the name of the site that is asked, or its own document.
        private func joinAsMember(_ home: Home, _ document: Genesis) throws -> AccountID {
            if let siteMember {
                let member = try readMember(file: siteMember)
                try check(member, from: siteMember)
                try keep(document, in: home)
                // The name last: a home without one is in no network yet.
                try home.replace(home.siteDocument, with: member.bytes, secret: false)
                try name(member.account, in: home)
                return member.account
            }
            let account = try founder(of: document, for: home)
            try keep(document, in: home)
            // Whoever names a site by its account alone means it as the genesis document has it.
            if site != nil, home.exists(home.siteDocument) {
                try FileManager.default.removeItem(atPath: home.siteDocument)
            }
            if site != nil || !home.exists(home.siteFile) { try name(account, in: home) }
            return account
        }

        private func check(_ member: Member, from file: String) throws {
            guard site == nil || site == member.account else {
                throw ValidationError("\(file) is the document of \(member.account).")
            }
            guard member.account.role?.votes == true, !member.endpoint.isEmpty else {
                throw CommandFault(
                    "\(file): \(member.account) does not listen; only sites and coordinators with "
                        + "an endpoint can be asked")
            }
        }

        private func name(_ site: AccountID, in home: Home) throws {
            try home.replace(home.siteFile, with: Array("\(site)\n".utf8), secret: false)
        }

        /// The founding site that was named, the only one there is, or the one asked so far.
        private func founder(of document: Genesis, for home: Home) throws -> AccountID {
            if site == nil, home.exists(home.siteFile) {
                return try SiteLink.site(of: home).account
            }
            let listening = document.members.filter {
                $0.account.role?.votes == true && !$0.endpoint.isEmpty
            }
            let sites = listening.filter { $0.account.role == .site }
            guard let account = site ?? (sites.count == 1 ? sites[0].account : nil) else {
                throw ValidationError(
                    "Name the site to ask with --site: "
                        + sites.map(\.account.text).joined(separator: ", "))
            }
            guard listening.contains(where: { $0.account == account }) else {
                throw CommandFault(
                    "\(account) founded no part of this network or does not listen; choose one of "
                        + listening.map(\.account.text).joined(separator: ", ")
                        + ", or name a site that came later with --site-member FILE, its member "
                        + "document")
            }
            return account
        }

        private func keep(_ document: Genesis, in home: Home) throws {
            guard !home.exists(home.genesis) else { return }
            try home.write(document.bytes, to: home.genesis, secret: false)
        }
    }
}
