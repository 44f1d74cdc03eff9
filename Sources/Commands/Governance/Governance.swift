import ArgumentParser
import Node

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

func governanceText(_ report: GovernanceReport) -> String {
    var terms = Table("term", "from height", "coordinator", "voters", "quorum")
    for term in report.terms {
        terms.add(
            "\(term.term)", "\(term.firstHeight)", term.coordinator,
            term.voters.joined(separator: " "), "\(term.quorum)")
    }
    let decisions = report.decisions.map { decision in
        fields(
            [
                ("decision", decision.decision), ("term", "\(decision.term), \(decision.state)"),
                ("coordinator", decision.coordinator),
                ("voters", decision.voters.joined(separator: " ")),
                ("entering", decision.entering.joined(separator: " ")),
                ("leaving", decision.leaving.joined(separator: " ")),
                ("agreement", decision.changesAgreement ? "changes" : "as before"),
                ("reason", decision.reason),
                (
                    "for it",
                    "\(decision.ballots.joined(separator: " ")) (\(decision.needed) needed)"
                ),
            ].filter { !$0.1.isEmpty })
    }
    return ([terms.text] + decisions).joined(separator: "\n\n")
}
