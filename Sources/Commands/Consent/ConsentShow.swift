import ArgumentParser
import Cryptography
import Node

extension Tally.Consent {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a patient's consent, and the rounds and models that used the records.",
            discussion: """
                A site's own patient id needs the running worker, which alone knows the pseudonym; a \
                pseudonym of 64 hexadecimal digits does not.

                Example: tally consent show 4711 --home north
                """)

        @Argument(help: "A patient, by the site's own id or by pseudonym.")
        var patient: String
        @OptionGroup var options: ReadOptions

        func run() async throws {
            let home = try options.home()
            var pseudonym = patient
            if Digest(hex: patient) == nil {
                try home.requireSite(for: "looking up a patient by the site's own id")
                pseudonym = try await LocalNode.connected(to: home) { node in
                    do {
                        return hexString(try await node.pseudonym(of: patient))
                    } catch let failure as RemoteFailure {
                        throw CommandFault("\(failure.message), \(patient); check the id")
                    }
                }
            }
            try await options.show(ConsentReport.self, .consent, [pseudonym], consentText)
        }
    }
}

private func consentText(_ report: ConsentReport) -> String {
    var intervals = Table("from", "until", "not after", "reward", "in force", "purposes")
    for interval in report.intervals {
        intervals.add(
            String(interval.fromHeight), interval.untilHeight.map { "\($0)" } ?? "-",
            interval.notAfterHeight.map { "\($0)" } ?? "-", interval.reward,
            interval.inForce ? "yes" : "no", interval.purposes.joined(separator: " "))
    }
    var rounds = Table("run", "round", "records", "model")
    for use in report.rounds {
        rounds.add(String(use.run), String(use.round), String(use.records), use.model)
    }
    let head = fields([
        ("patient", report.patient), ("account", report.account), ("custodian", report.custodian),
        ("records", "\(report.trainingRecords) training, \(report.evaluationRecords) evaluation"),
    ])
    return head + "\n\n" + intervals.text + "\n\nrounds that used the records\n" + rounds.text
        + "\n\n\(report.models.count) later models descend from them; a withdrawal ends further "
        + "use, these stay"
}
