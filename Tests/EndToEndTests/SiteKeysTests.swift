import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Readers of a site that changed", .timeLimit(.minutes(5)))
    struct SiteKeys {
        @Test("readers go on with a site's new keys, and ask a site that came later")
        func newDocuments() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let before = try await deployment.report(
                    BalanceReport.self, "balance", in: "east-1")
                try await deployment.done(["key", "rotate"], in: "east")
                let document = "\(deployment.home("east"))/east.next-member"
                try await deployment.decide(
                    ["--rekey", document], by: "north", with: ["hub", "west"], term: 2)
                try await eventually("east goes on with its new keys") {
                    try deployment.service("east").log.contains("starting with them")
                }
                let lost = try await deployment.tally("balance", in: "east-1")
                #expect(lost.status == 1 && lost.sentences.count == 1, "\(lost)")
                #expect(lost.errors.contains("network join"), "\(lost)")
                #expect(lost.errors.contains("--site-member FILE"), "\(lost)")
                try await deployment.done(
                    ["network", "join", deployment.genesis, "--site-member", document],
                    in: "east-1")
                let after = try await deployment.report(
                    BalanceReport.self, "balance", in: "east-1")
                #expect(after.available == before.available)
                #expect(after.proof.hasSuffix("the sums are site/east's word"), "\(after.proof)")
                try await deployment.done(["worklist"], in: "east-1")
            }
        }
    }
}
