import ArgumentParser
import Cryptography
import Ledger
import Node
import Storage
import Wire

extension Tally.MemberCommand {
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Enrol readers, developers and patients, signed by this node.",
            discussion: """
                A new annotator belongs to the site that enrols it, and gets the agreement's stake \
                from the reserve. Whoever is enrolled already is passed over. Developers and a \
                treasurer that the agreement names are not enrolled: they found the network, or \
                enter by a decision of the voters. Where panels are drawn, only readers with a \
                credential of the agreement are asked, and a member's credentials never change.

                Example: tally member add readers/north-1/north-1.member --home north
                Example: tally member add north-1.member --credential reader --home north
                """)

        @Argument(
            help: "Public documents of the members.", completion: .file(extensions: ["member"]))
        var files: [String]
        @Option(
            help: ArgumentHelp(
                "What your organisation vouches for, such as reader or senior; may be repeated.",
                valueName: "name"))
        var credential: [String] = []
        @Flag(help: "Take a credential that the agreement does not know, for a decision to come.")
        var anyway = false
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var settlement: SettlementOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "enrolling members")
            let reporter = try reporter(home)
            let rule = try reporter.store.terms().newest.agreement.annotation
            try checkCredentials(credential, rule, isInsisting: anyway)
            let fresh = try unenrolled(reporter, by: home.member().account)
            let readers = fresh.filter(\.member.isReader).map(\.member.account)
            if let note = neverAsked(readers, with: credential, rule) { printError(note) }
            let places = fresh.map { "\($0.file) (\($0.member.account))" }
            let transactions = fresh.map { enrolment(of: $0.member) }
            let report = try await LocalNode.connected(to: home) { node in
                let ids = transactions.isEmpty ? [] : try await node.contribute(transactions)
                return try await writeReport(
                    of: ids, places: places, wait: !settlement.noWait, via: node.client)
            }
            let passed = files.count - fresh.count
            try output.finish(report, passed > 0 ? "\(passed) enrolled already" : nil)
        }

        /// The documents of those who are not on the chain yet.
        private func unenrolled(
            _ reporter: Reporter, by organisation: AccountID
        ) throws -> [(file: String, member: Member)] {
            let entries = Dictionary(
                try reporter.members().members.map { ($0.account, $0) },
                uniquingKeysWith: { first, _ in first })
            let members = try files.map { (file: $0, member: try readMember(file: $0)) }
            guard credential.isEmpty || members.contains(where: { $0.member.isReader }) else {
                throw CommandFault(
                    "credentials are of readers, and none of these files is a reader's; leave "
                        + "--credential out")
            }
            return try members.filter { file, member in
                guard member.account.role?.votes == false else {
                    throw CommandFault(
                        "\(file): \(member.account) votes; voters found a network, or enter it by "
                            + "a decision of the voters")
                }
                return try !isEnrolled(
                    member, as: credentials(of: member), by: organisation,
                    entries[member.account.text])
            }
        }

        private func enrolment(of member: Member) -> WireTransaction {
            var transaction = WireTransaction()
            transaction.memberEnrol.member = data(member.bytes)
            transaction.memberEnrol.credentials = credentials(of: member)
            return transaction
        }

        private func credentials(of member: Member) -> [String] {
            guard member.isReader else { return [] }
            return Set(credential).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }
}

extension Member {
    fileprivate var isReader: Bool { account.role == .annotator }
}
