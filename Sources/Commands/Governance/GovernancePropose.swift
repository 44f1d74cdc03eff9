import ArgumentParser
import Foundation
import Ledger
import Node
import Storage
import Wire

extension Tally.Governance {
    struct Propose: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Propose a decision, and vote for it.",
            discussion: """
                The running worker tells the other nodes. What is not named stays as it is. The \
                decision is also written to FILE when --out is given, so that it can be read and \
                voted on anywhere.

                Example: tally governance propose --coordinator hub2.member --reason "hub is lost" \
                --home north
                """)

        @Option(
            help: ArgumentHelp(
                "Public document of the new coordinator; the present one leaves.",
                valueName: "member file"))
        var coordinator: String?
        @Option(
            name: .customLong("add"),
            help: ArgumentHelp(
                "Public document of a site, developer or treasurer that enters; whom a new "
                    + "agreement names enters with it.", valueName: "member file"))
        var adding: [String] = []
        @Option(
            help: ArgumentHelp(
                "Public document with new keys of a member.", valueName: "member file"))
        var rekey: [String] = []
        @Option(help: "Account of a member that leaves.")
        var remove: [AccountID] = []
        @Option(
            help: ArgumentHelp("The agreement from this term on.", valueName: "yaml file"))
        var agreement: String?
        @Option(help: "Why, for the people who vote.")
        var reason: String
        @Option(
            parsing: .unconditional,
            help: "The term's number; without it, the lowest that nobody used.")
        var term: UInt64?
        @Option(help: ArgumentHelp("Write the decision here, too.", valueName: "file"))
        var out: String?
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            try home.requireNode(for: "governance")
            var draft = DecisionDraft()
            draft.coordinator = try coordinator.map(readMember)
            draft.entering = try adding.map(readMember)
            draft.rekeyed = try rekey.map(readMember)
            draft.leaving = remove
            draft.agreement = try agreement.map(readAgreement(file:))
            draft.reason = reason
            draft.term = term.map(Term.init)
            let store = try LedgerStore.reading(at: home.ledger)
            let decision = try draft.decision(on: store)
            if let out {
                guard !FileManager.default.fileExists(atPath: out) else {
                    throw CommandFault("\(out) exists already; it is not overwritten")
                }
                try home.write(decision.bytes, to: out, secret: false)
            }
            try await cast(decision.bytes, home)
            try output.show(
                try governanceReport(of: store, account: home.member().account), governanceText)
        }
    }
}

/// Gives this organisation's vote for a decision to the running worker.
func cast(_ decision: [UInt8], _ home: Home) async throws {
    try await LocalNode.connected(to: home) { node in
        var request = WireRequest()
        request.ballot.decision = data(decision)
        _ = try await node.client.ask(request)
    }
}
