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

        private static let lies = [
            (kind: "two headers", sentence: "two headers"),
            (kind: "invalid block", sentence: "an invalid block"),
        ]

        @Test(
            "a coordinator that shows three sites three blocks, one of them invalid, is found out by all"
        )
        func splitView() async throws {
            try await withDeployment(.annotated) { deployment in
                let liar = try LyingCoordinator.splitting(deployment)
                for site in Deployment.sites { try await deployment.start(site) }
                // Whatever a site was shown, the others tell it the rest.
                for site in Deployment.sites {
                    let folder = "\(deployment.home(site))/evidence"
                    var names: [String] = []
                    try await eventually("\(site) holds evidence of both lies") {
                        names =
                            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
                            .filter { $0.hasSuffix(".tally") }
                        return names.count >= Self.lies.count
                    }
                    var sentences: [String] = []
                    for name in names {
                        let checked = try await deployment.done(
                            [
                                "evidence", "check", "\(folder)/\(name)", "--genesis",
                                deployment.genesis, "--home", deployment.home(site),
                            ], in: site)
                        sentences.append(String(checked.output.prefix { $0 != "\n" }))
                    }
                    #expect(names.count == Self.lies.count, "\(sentences)")
                    for lie in Self.lies {
                        #expect(
                            sentences.contains {
                                $0.contains("coordinator/hub signed \(lie.sentence)")
                            }, "\(sentences)")
                    }
                }
                await liar.close()
                // The liar would never order it; the coordinator of the next term does.
                try await deployment.replaceCoordinator(with: "hub2")
                for site in Deployment.sites {
                    try await eventually("\(site)'s chain has recorded it") {
                        let list = try await deployment.report(
                            Offences.self, "evidence", "list", in: site)
                        return Self.lies.allSatisfy { lie in
                            list.offences.contains {
                                $0.offender == "coordinator/hub" && $0.offence == lie.kind
                            }
                        }
                    }
                }
            }
        }
    }
}
