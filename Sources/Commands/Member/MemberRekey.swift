import ArgumentParser
import Cryptography
import Ledger
package import Messaging
import Node
import Wire

extension Tally.MemberCommand {
    struct Rekey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Put the keys of `tally key rotate` in the place of this member's present ones.",
            discussion: """
                For readers, developers and patients, signed with the present key and sent to the \
                member's site; a voter's keys change by a decision of the voters. Once the chain \
                lists the new keys, this home uses them, and the old ones are good for nothing more.

                Example: tally member rekey --home readers/north-1
                """)

        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func run() async throws {
            let home = try homeOptions.open()
            guard !home.isNode else {
                throw CommandFault(
                    "\(home.path) is a node's; its keys change by `tally governance propose --rekey`"
                )
            }
            guard !home.usesNextKeys else {
                throw CommandFault("\(home.nextKeys) are this member's keys already")
            }
            let member = try home.nextMember()
            var transaction = WireTransaction()
            transaction.memberRekey.member = data(member.bytes)
            let report = try await send(transaction, named: "\(member.account)", from: home)
            if report.rejected.isEmpty { try home.useNextKeys() }
            try output.finish(report)
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End the keys of a member that does not vote.",
            discussion: """
                From its site, or from the member itself, such as when a key was lost or stolen. What \
                it earned stays on its account; nothing that its keys sign is taken any more. A member \
                that ends its own may be told no height: settledHeight is then 0 in JSON.

                Example: tally member revoke annotator/north-1 --home north
                """)

        @Argument(help: "Whose keys end.")
        var account: String
        @OptionGroup var homeOptions: HomeOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            guard AccountID(account) != nil else {
                throw ValidationError("\"\(account)\" is no account, such as annotator/north-1")
            }
        }

        func run() async throws {
            let home = try homeOptions.open()
            var transaction = WireTransaction()
            transaction.memberRevoke.account = account
            let isOwn = try !home.isNode && home.member().account.text == account
            guard isOwn else {
                return try output.finish(
                    try await send(transaction, named: account, from: home))
            }
            let (report, isTold) = try await revokeOwn(transaction, home)
            guard isTold else {
                return try output.show(report) { _ in
                    "\(account) is revoked: its site took the transaction, and takes these keys no "
                        + "more"
                }
            }
            try output.finish(report)
        }

        /// Sends a member's own revocation.
        ///
        /// - Returns: what became of it, and whether the site told: when it took effect before the
        ///   outcome could be asked for, the site lets this member in no more.
        private func revokeOwn(
            _ transaction: WireTransaction, _ home: Home
        ) async throws -> (report: WriteReport, isTold: Bool) {
            try await SiteLink.connected(from: home) { link in
                let submitter = Submitter(
                    keys: link.keys, network: link.genesis.network, sink: link.client)
                let ids = try await submitter.submit([transaction])
                do {
                    let report = try await writeReport(
                        of: ids, places: [account], wait: true, via: link.client)
                    return (report, true)
                } catch let error as MessagingError where error.saysKeysEnded {
                    let report = WriteReport(
                        sent: 1, applied: 1, rejected: [], settled: true, stage: "settled",
                        settledHeight: 0, envelopes: ids.map(\.hex))
                    return (report, false)
                }
            }
        }
    }
}

extension MessagingError {
    /// Whether a site that took our transaction a moment ago lets our keys in no more.
    ///
    /// It goes by its settled blocks. Before anything was sent the same answer is a refusal.
    package var saysKeysEnded: Bool {
        switch self {
        case .noMember, .timedOut(_, _, link: .refused): true
        default: false
        }
    }
}
