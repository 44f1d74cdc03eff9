import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Readers of a site that changed", .timeLimit(.minutes(5)))
    struct SiteKeys {
        @Test("readers go on with a site's new keys, by its new document")
        func newDocuments() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let before = try await deployment.report(
                    BalanceReport.self, "balance", in: "east-1")
                try await deployment.done(["key", "rotate"], in: "east")
                let document = "\(deployment.home("east"))/east.next-member"
                try await deployment.decide(
                    ["--rekey", document], by: "north", with: ["hub", "west"], term: 2)
                // It serves under the old key until the chain lists the new one.
                var lost = try await deployment.tally("balance", in: "east-1")
                try await eventually("the founding key is good no more") {
                    if lost.status == 0 {
                        lost = try await deployment.tally("balance", in: "east-1")
                    }
                    return lost.status != 0
                }
                #expect(lost.status == 1 && lost.sentences.count == 1, "\(lost)")
                #expect(lost.errors.contains("network join"), "\(lost)")
                #expect(lost.errors.contains("--site-member FILE"), "\(lost)")
                try await deployment.done(
                    ["network", "join", deployment.genesis, "--site-member", document],
                    in: "east-1")
                try await eventually("east answers under its new key") {
                    try await deployment.tally("balance", in: "east-1").status == 0
                }
                let after = try await deployment.report(
                    BalanceReport.self, "balance", in: "east-1")
                #expect(after.available == before.available)
                #expect(after.proof.hasSuffix("the sums are site/east's word"), "\(after.proof)")
                try await deployment.done(["worklist"], in: "east-1")
            }
        }

        @Test("a site that a decision removes is told so, and its commands say it")
        func removed() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                try await deployment.decide(
                    ["--remove", "site/west"], by: "north", with: ["hub", "east"], term: 2)
                let service = try deployment.service("west")
                try await eventually("west hears of its removal", within: .seconds(20)) {
                    service.log.contains("site/west has left the network")
                }
                let status = try await deployment.report(LeftStatus.self, "status", in: "west")
                let left = try #require(status.left)
                #expect(left <= status.settledHeight && status.term == 2)
                #expect(status.settledHeight <= left + 2, "it is told no more than that")
                let refused = try await deployment.tally(
                    "consent", "grant", "--patient", "late", "--purposes", "training", in: "west")
                #expect(refused.status == 1, "\(refused)")
                #expect(refused.errors.contains("site/west is no longer a member"), "\(refused)")
                // The others go on without it, and it says no more about itself.
                try await deployment.done(
                    ["consent", "grant", "--patient", "since", "--purposes", "training"],
                    in: "north")
                let after = try await deployment.report(LeftStatus.self, "status", in: "west")
                #expect(after.settledHeight <= left + 2)
                let words = service.log.split(whereSeparator: \.isNewline)
                #expect(words.count { $0.contains("has left the network") } == 1)
                #expect(service.isRunning)
            }
        }
    }
}

private struct LeftStatus: Decodable {
    let left: UInt64?
    let term: UInt64
    let settledHeight: UInt64
}
