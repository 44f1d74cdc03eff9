import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Keys of members", .timeLimit(.minutes(5)))
    struct MemberKeys {
        @Test("a reader's new keys take the place of the old ones; its site can end them")
        func rekeyAndRevoke() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let home = deployment.home("north-1")
                let before = try await deployment.report(
                    BalanceReport.self, "balance", in: "north-1")
                try FileManager.default.copyItem(
                    atPath: home, toPath: deployment.home("north-1-stolen"))
                try await deployment.done(["key", "rotate"], in: "north-1")
                try await deployment.done(["member", "rekey"], in: "north-1")
                let after = try await deployment.report(
                    BalanceReport.self, "balance", in: "north-1")
                #expect(after.available == before.available)
                // Whoever copied the home before holds keys that are good for nothing.
                let stolen = try await deployment.tally("balance", in: "north-1-stolen")
                #expect(stolen.status == 1, "\(stolen)")
                #expect(stolen.errors.contains("it refused our key"), "\(stolen)")
                let again = try await deployment.tally("member", "rekey", in: "north-1")
                #expect(again.status == 1, "\(again)")
                // And once more: keys that are in force make room for the next ones.
                try await deployment.done(["key", "rotate"], in: "north-1")
                let early = try await deployment.tally("key", "rotate", in: "north-1")
                #expect(early.status == 1, "\(early)")
                #expect(early.errors.contains("keys/next-2"), "\(early)")
                try await deployment.done(["member", "rekey"], in: "north-1")
                let second = try await deployment.report(
                    BalanceReport.self, "balance", in: "north-1")
                #expect(second.available == before.available)
                // Another site has no say, its own does.
                let foreign = try await deployment.begin(
                    ["member", "revoke", "annotator/north-1"], in: "east"
                ).ended()
                #expect(foreign.status == 1, "\(foreign)")
                try await deployment.done(
                    ["member", "revoke", "annotator/north-1"], in: "north")
                let ended = try await deployment.tally("balance", in: "north-1")
                #expect(ended.status == 1, "\(ended)")
                // Its own: the site may let it in no more before it can ask what became of it.
                try await deployment.done(
                    ["member", "revoke", "annotator/north-2"], in: "north-2")
                let twice = try await deployment.tally(
                    "member", "revoke", "annotator/north-2", in: "north-2")
                #expect(twice.status == 1, "\(twice)")
                try await deployment.stopAll()
                try await deployment.checkAll()
            }
        }
    }
}
