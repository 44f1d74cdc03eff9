import Contracts
import Cryptography
import Deployments
import Foundation
import Ledger
import Processes
import Storage
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Join", .timeLimit(.minutes(10)))
    struct Join {
        private static let newSite = "south"

        @Test("a fourth site joins from a site while the coordinator is stopped")
        func fourthSite() async throws {
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                try await deployment.makeSite(Self.newSite)
                try await deployment.decide(
                    ["--add", "\(deployment.home(Self.newSite))/\(Self.newSite).member"],
                    by: "north", with: ["hub", "east", "west"], term: 2)
                // Blocks after the newest checkpoint, of the same term as the joining.
                try await deployment.done(
                    ["consent", "grant", "--patient", "before", "--purposes", "training"],
                    in: "east")
                let rest = try #require(try await deployment.atRest().first)
                #expect(try await deployment.stop(Deployment.coordinator).status == 0)

                let south = try deployment.launch(Self.newSite)
                try await eventually("a snapshot is here", within: .seconds(60), every: .zero) {
                    south.log.contains("a snapshot is here")
                }
                // Nobody gives it the history as yet.
                for site in Deployment.sites { try deployment.service(site).signal(SIGSTOP) }
                try await eventually("south goes on from the snapshot") {
                    try await deployment.joined(in: Self.newSite).partial != nil
                }
                let partial = try #require(
                    try await deployment.joined(in: Self.newSite).partial)
                #expect(partial.snapshotHeight > 0)
                #expect(partial.missingBlocks == partial.snapshotHeight)
                let early = try await deployment.report(
                    JoinedVerifyReport.self, "verify", in: Self.newSite)
                #expect(early.partial && early.sound)
                let statement = try await deployment.tally(
                    "statement", "site/north", in: Self.newSite)
                #expect(statement.status == 1 && statement.errors.contains("partial"))
                for site in Deployment.sites { try deployment.service(site).signal(SIGCONT) }

                try await eventually("the history is complete", within: .seconds(60)) {
                    try await deployment.joined(in: Self.newSite).partial == nil
                }
                #expect(south.log.contains("executed from genesis"))
                try await eventually("south holds the newest block") {
                    try await deployment.status(of: Self.newSite).settledHash == rest.settledHash
                }
                let whole = try await deployment.report(
                    JoinedVerifyReport.self, "verify", in: Self.newSite)
                #expect(!whole.partial && whole.sound && whole.height == rest.settledHeight)
                #expect(
                    try deployment.stateRoot(of: Self.newSite) == deployment.stateRoot(of: "east"))

                // Four of five are a quorum: without north south's vote is needed.
                try await deployment.start(Deployment.coordinator)
                #expect(try await deployment.stop("north").status == 0)
                try await deployment.done(
                    ["consent", "grant", "--patient", "voting", "--purposes", "training"],
                    in: "east")
                try await deployment.start("north")
                #expect(try await deployment.tally("verify", in: Self.newSite).status == 0)
                #expect(try await deployment.faults() == [])
            }
        }
    }
}

private struct JoinedStatus: Decodable {
    struct Partial: Decodable {
        let snapshotHeight: UInt64
        let missingBlocks: UInt64
    }

    let partial: Partial?
}

private struct JoinedVerifyReport: Decodable {
    let sound: Bool
    let partial: Bool
    let height: UInt64
}

extension Deployment {
    fileprivate func joined(in name: String) async throws -> JoinedStatus {
        try await report(JoinedStatus.self, "status", in: name)
    }

    /// A site's home with keys of its own; letting it in is a decision.
    fileprivate func makeSite(_ name: String) async throws {
        let port = try freePorts(1)
        try await done(
            [
                "key", "new", "--name", name, "--role", "site", "--endpoint",
                "tcp://127.0.0.1:\(port)",
            ],
            in: name)
        try await done(
            ["network", "join", genesis, "--content-key", "\(home("north"))/keys/content.key"],
            in: name)
    }

    /// Computed from every entry of a node's own tables.
    fileprivate func stateRoot(of name: String) throws -> Digest {
        let store = try LedgerStore.reading(at: "\(home(name))/ledger.sqlite")
        defer { try? store.close() }
        var tree = StateTree(buckets: [:], dirty: Set(0...UInt16.max))
        _ = try tree.rehash(SQLiteState(store))
        return tree.root
    }
}
