import ArgumentParser
package import Node

extension Tally.MemberCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the registered members.",
            discussion: """
                Credentials are what an organisation vouched for when it enrolled a reader; drawn \
                panels ask by them. Who was revoked, or left, has no keys from the height shown on. \
                In JSON: credentials, and endedHeight, null while the keys are in force.

                Example: tally member list --home north
                """)

        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(MembersReport.self, .members, []) { report in
                membersText(report)
            }
        }
    }
}

/// Members in a table.
package func membersText(_ report: MembersReport) -> String {
    var table = Table(
        "account", "organisation", "credentials", "votes", "since height", "ended at", "endpoint")
    for member in report.members {
        table.add(
            member.account, member.organisation,
            member.credentials.isEmpty ? "-" : member.credentials.joined(separator: " "),
            member.votes ? "yes" : "no", String(member.enrolledHeight),
            member.endedHeight.map { String($0) } ?? "-",
            member.endpoint.isEmpty ? "-" : member.endpoint)
    }
    return table.text
}
