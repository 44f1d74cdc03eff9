import ArgumentParser
import Cryptography
import Ledger
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
                it earned stays on its account; nothing that its keys sign is taken any more.

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
            let report = try await send(transaction, named: account, from: home)
            try output.finish(report)
        }
    }
}
