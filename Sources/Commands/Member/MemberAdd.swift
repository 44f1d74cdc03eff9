import ArgumentParser
import Cryptography
import Ledger
import Node
import Wire

extension Tally.MemberCommand {
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Enrol readers, developers and patients, signed by this node.",
            discussion: """
                A new annotator belongs to the site that enrols it, and gets the agreement's stake \
                from the reserve. Whoever is enrolled already is passed over. Developers and a \
                treasurer that the agreement names are not enrolled: they found the network, or \
                enter by a decision of the voters.

                Example: tally member add readers/north-1/north-1.member --home north
                """)

        @Argument(
            help: "Public documents of the members.", completion: .file(extensions: ["member"]))
        var files: [String]
        @Option(
            help: ArgumentHelp(
                "What your organisation vouches for, such as reader or senior; may be repeated.",
                valueName: "name"))
        var credential: [String] = []
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "enrolling members")
            let known = try enrolled(home)
            var places: [String] = []
            var transactions: [WireTransaction] = []
            for file in files {
                let member = try readMember(file: file)
                guard member.account.role?.votes == false else {
                    throw CommandFault(
                        "\(file): \(member.account) votes; voters found a network, or enter it by "
                            + "a decision of the voters")
                }
                if known[member.account] == member.signingKey.hex { continue }
                places.append("\(file) (\(member.account))")
                var transaction = WireTransaction()
                transaction.memberEnrol.member = data(member.bytes)
                if member.account.role == .annotator {
                    transaction.memberEnrol.credentials = Set(credential)
                        .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                }
                transactions.append(transaction)
            }
            let report = try await LocalNode.connected(to: home) { node in
                let ids = transactions.isEmpty ? [] : try await node.contribute(transactions)
                return try await writeReport(
                    of: ids, places: places, wait: !settlement.noWait, via: node.client)
            }
            let passed = files.count - places.count
            try output.finish(report, passed > 0 ? "\(passed) enrolled already" : nil)
        }

        /// Signing keys of the members that are enrolled, by account.
        private func enrolled(_ home: Home) throws -> [AccountID: String] {
            let members = try reporter(home).members().members
            return Dictionary(
                members.compactMap { member in
                    AccountID(member.account).map { ($0, member.signingKey) }
                }, uniquingKeysWith: { first, _ in first })
        }
    }
}
