import ArgumentParser
import Node

extension Tally.MemberCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the registered members.",
            discussion: "Example: tally member list --home north")

        @OptionGroup var options: ReadOptions

        func run() async throws {
            try await options.show(MembersReport.self, .members, []) { report in
                var table = Table("account", "organisation", "votes", "since height", "endpoint")
                for member in report.members {
                    table.add(
                        member.account, member.organisation, member.votes ? "yes" : "no",
                        String(member.enrolledHeight),
                        member.endpoint.isEmpty ? "-" : member.endpoint)
                }
                return table.text
            }
        }
    }
}
