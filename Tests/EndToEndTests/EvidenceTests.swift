import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Evidence", .timeLimit(.minutes(5)))
    struct EvidenceOfLies {
        private struct Offences: Decodable {
            struct Recorded: Decodable {
                let offender: String
                let offence: String
            }

            let offences: [Recorded]
        }

        @Test("a coordinator that shows two sites two chains is found out, everywhere and for good")
        func splitView() async throws {
            try await withDeployment(.annotated) { deployment in
                let liar = try LyingCoordinator(for: deployment)
                for site in Deployment.sites { try await deployment.start(site) }
                // West was shown neither block; the others tell it.
                for site in Deployment.sites {
                    let folder = "\(deployment.home(site))/evidence"
                    var names: [String] = []
                    try await eventually("\(site) holds evidence") {
                        names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                        return names.contains { $0.hasSuffix(".tally") }
                    }
                    for name in names where name.hasSuffix(".tally") {
                        let checked = try await deployment.begin(
                            [
                                "evidence", "check", "\(folder)/\(name)", "--genesis",
                                deployment.genesis,
                            ], in: site
                        ).ended()
                        #expect(checked.status == 0, "\(checked)")
                        #expect(
                            checked.output.contains(
                                "it convicts: coordinator/hub signed two headers at"), "\(checked)")
                    }
                    #expect(names.count == 1, "nobody else is convicted: \(names)")
                }
                await liar.close()
                // The liar would never order it; the coordinator of the next term does.
                try await deployment.replaceCoordinator(with: "hub2")
                for site in Deployment.sites {
                    try await eventually("\(site)'s chain has recorded it") {
                        let list = try await deployment.report(
                            Offences.self, "evidence", "list", in: site)
                        return list.offences.contains {
                            $0.offender == "coordinator/hub" && $0.offence.contains("two headers")
                        }
                    }
                }
            }
        }
    }
}
