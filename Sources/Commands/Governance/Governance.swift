import ArgumentParser
package import Node

extension Tally {
    struct Governance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "governance",
            abstract: "Decide on coordinator, voters, keys and the agreement.",
            discussion: """
                A decision names a new term: who coordinates it, who votes, what else changes. One \
                member proposes, the others vote; once a quorum of the voters is for it, their \
                workers stop voting in earlier terms, and the coordinator that it names opens the \
                term. Nothing of this happens without people.
                """,
            subcommands: [Propose.self, Vote.self, Show.self])
    }
}

package func governanceText(_ report: GovernanceReport) -> String {
    var terms = Table("term", "from height", "coordinator", "voters", "quorum")
    for term in report.terms {
        terms.add(
            "\(term.term)", "\(term.firstHeight)", term.coordinator,
            term.voters.joined(separator: " "), "\(term.quorum)")
    }
    return ([terms.text] + report.decisions.map(decisionText)).joined(separator: "\n\n")
}

private func decisionText(_ decision: DecisionEntry) -> String {
    let isNewCoordinator =
        decision.state != .passed && decision.coordinator != decision.presentCoordinator
    let head = [
        ("decision", decision.decision),
        ("term", "\(decision.term), \(decision.state.rawValue)"),
        (
            "coordinator",
            isNewCoordinator
                ? "\(decision.coordinator) in the place of \(decision.presentCoordinator)"
                : decision.coordinator
        ),
        ("voters", decision.voters.joined(separator: " ")),
    ]
    let parameters = decision.agreement.map { change in
        "\(change.parameter): \(printable(change.was ?? "unset")) → "
            + printable(change.becomes ?? "unset")
    }
    let agreement =
        decision.changesAgreement
        ? (parameters.isEmpty ? ["stated anew"] : parameters) : ["as before"]
    let tail =
        [
            ("leaving", decision.leaving.joined(separator: " "))
        ] + agreement.map { ("agreement", $0) } + [
            ("reason", printable(decision.reason)),
            ("for it", "\(decision.ballots.joined(separator: " ")) (\(decision.needed) needed)"),
        ]
    return fields((head + decision.members.flatMap(memberLines) + tail).filter { !$0.1.isEmpty })
}

/// A member that enters or gets new keys: whoever votes compares them with what that member reads
/// from its own screen, since the account alone says nothing of who holds them.
private func memberLines(_ member: MemberChange) -> [(String, String)] {
    let words: String
    switch member.kind {
    case .new: words = "\(member.account) enters"
    case .newKeys:
        words = "\(member.account) gets new keys; ask that member whether they are its own"
    case .unchanged: words = "\(member.account), as listed"
    case .named: words = member.account
    }
    let values = [
        ("  signing key", member.signingKey), ("  vote key", member.voteKey),
        ("  transport key", member.transportKey), ("  endpoint", member.endpoint),
    ].compactMap { name, change in
        change.map { change in
            let becomes = printable(change.becomes ?? "none")
            return (
                name,
                member.kind == .new ? becomes : "\(printable(change.was ?? "none")) → \(becomes)"
            )
        }
    }
    return [("member", words)] + values
}
