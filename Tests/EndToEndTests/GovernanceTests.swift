import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Governance", .timeLimit(.minutes(10)))
    struct Governance {
        private static let newCoordinator = "hub2"

        @Test(
            "a coordinator whose home is gone is replaced; the training ends with the same models")
        func lostCoordinator() async throws {
            let expected = try await #require(Prepared.current).undisturbed()
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                try await deployment.done(
                    ["consent", "grant", "--patient", "settled", "--purposes", "training"],
                    in: "north")
                try await deployment.done(
                    ["run", "start", "--rounds", "\(Prepared.rounds)", "--no-wait"],
                    in: Deployment.coordinator)
                try await eventually("round 2 is open", every: .zero) {
                    try await deployment.rounds(in: "north").map { $0.opened >= 2 } ?? false
                }
                try deployment.killNow(Deployment.coordinator)
                let before = try await deployment.status(of: "north")
                try FileManager.default.removeItem(
                    atPath: deployment.home(Deployment.coordinator))
                try await deployment.replaceCoordinator(with: Self.newCoordinator)
                let report = try await deployment.runFinished(in: "north")
                #expect(report.rounds.map(\.model) == expected.rounds.map(\.model))
                #expect(report.rounds.allSatisfy { $0.complete })
                let granted = try await deployment.report(
                    ConsentReport.self, "consent", "show", "settled", in: "north")
                #expect(granted.intervals.first?.inForce == true)
                let after = try await deployment.status(of: "north")
                #expect(after.settledHeight > before.settledHeight)
                #expect(after.transactions >= before.transactions)
                // The new term works: what is signed now settles, everywhere.
                try await deployment.done(
                    ["consent", "grant", "--patient", "later", "--purposes", "training"],
                    in: "west")
                try await deployment.stopAll(but: Deployment.coordinator)
                for name in [Self.newCoordinator] + Deployment.sites {
                    let verified = try await deployment.tally("verify", in: name)
                    #expect(verified.status == 0, "\(verified)")
                    let replayed = try await deployment.tally("replay", in: name)
                    #expect(replayed.status == 0, "\(replayed)")
                    let terms = try await deployment.report(
                        GovernanceReport.self, "governance", "show", in: name
                    ).terms
                    #expect(terms.map(\.term) == [1, 2], "\(name)")
                    #expect(terms.last?.coordinator == "coordinator/hub2")
                }
            }
        }

        @Test(
            "site and coordinator with new keys, and a restored site, vote again by a decision")
        func newKeys() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                // East changes all its keys while it runs.
                try await deployment.done(["key", "rotate"], in: "east")
                try await deployment.decide(
                    ["--rekey", "\(deployment.home("east"))/east.next-member"], by: "north",
                    with: ["hub", "west"], term: 2)
                try await eventually("east goes on with its new keys") {
                    try deployment.service("east").log.contains("starting with them")
                }
                // So does the coordinator, whom all others follow meanwhile.
                try await deployment.done(["key", "rotate"], in: Deployment.coordinator)
                try await deployment.decide(
                    ["--rekey", "\(deployment.home("hub"))/hub.next-member"], by: "hub",
                    with: ["east", "north"], term: 3)
                try await eventually("hub goes on with its new keys") {
                    try deployment.service("hub").log.contains("starting with them")
                }
                try await deployment.done(
                    ["consent", "grant", "--patient", "rotated", "--purposes", "training"],
                    in: "west")
                // West was restored: it gives up its vote key and comes back by a decision.
                let stopped = try await deployment.stop("west")
                #expect(stopped.status == 0, "\(stopped)")
                try await deployment.done(["site", "restore"], in: "west")
                try await deployment.start("west")
                try await deployment.done(
                    ["consent", "grant", "--patient", "silent", "--purposes", "training"],
                    in: "west")
                try await deployment.decide(
                    ["--rekey", "\(deployment.home("west"))/west.next-member"], by: "north",
                    with: ["hub", "east"], term: 4)
                // Any three of the four are a quorum again: west and east must both vote.
                let north = try await deployment.stop("north")
                #expect(north.status == 0, "\(north)")
                try await deployment.done(
                    ["consent", "grant", "--patient", "voting", "--purposes", "training"],
                    in: "east")
                try await deployment.start("north")
                #expect(try await deployment.faults() == [])
            }
        }

        @Test("a restored coordinator, its keys rotated before, proposes again by a decision")
        func restoredCoordinator() async throws {
            try await withDeployment(.annotated) { deployment in
                let hub = Deployment.coordinator
                let next = "\(deployment.home(hub))/hub.next-member"
                try await deployment.startAll()
                try await deployment.done(["key", "rotate"], in: hub)
                try await deployment.decide(
                    ["--rekey", next], by: hub, with: ["east", "north"], term: 2)
                try await eventually("hub goes on with its new keys") {
                    try deployment.service(hub).log.contains("starting with them")
                }
                let stopped = try await deployment.stop(hub)
                #expect(stopped.status == 0, "\(stopped)")
                try await deployment.done(["site", "restore"], in: hub)
                try await deployment.start(hub)
                let log = try deployment.service(hub).log
                #expect(log.contains("following without voting") && log.contains("--rekey"))
                var refused: Ended?
                try await eventually("hub says why it orders nothing") {
                    refused = try await deployment.tally(
                        "consent", "grant", "--patient", "early", "--purposes", "training",
                        in: "north")
                    return refused?.errors.contains("was restored") == true
                }
                #expect(refused?.status != 0)
                try await deployment.decide(
                    ["--rekey", next], by: "north", with: ["east", "west"], term: 3)
                try await eventually("hub goes on with the keys after its restore") {
                    try deployment.service(hub).log.contains("starting with them")
                }
                try await deployment.done(
                    ["consent", "grant", "--patient", "late", "--purposes", "training"],
                    in: "west")
                #expect(try await deployment.faults() == [])
            }
        }

        @Test("a site that missed a new term finds it, whatever the old coordinator withholds")
        func missedTerm() async throws {
            try await withDeployment(.annotated) { deployment in
                for name in [Deployment.coordinator, "north", "east"] {
                    try await deployment.start(name)
                }
                try await deployment.replaceCoordinator(
                    with: Self.newCoordinator, voters: ["east", Deployment.coordinator],
                    settledIn: ["north", "east"])
                _ = try await deployment.stop(Deployment.coordinator)
                let liar = try LyingCoordinator.withholding(deployment)
                try await deployment.start("west")
                try await eventually("west follows the new coordinator") {
                    try await deployment.governance(in: "west").terms.last?.term == 2
                }
                // Without north nothing settles unless west votes.
                let north = try await deployment.stop("north")
                #expect(north.status == 0, "\(north)")
                try await deployment.done(
                    ["consent", "grant", "--patient", "found", "--purposes", "training"],
                    in: "west")
                await liar.close()
            }
        }

        @Test("a home that was put back from a copy does not vote; it says what to do")
        func forgottenVotes() async throws {
            try await withDeployment(.annotated) { deployment in
                let copy = deployment.home("west") + "-copy"
                try FileManager.default.copyItem(atPath: deployment.home("west"), toPath: copy)
                try await deployment.startAll()
                try await deployment.done(
                    ["consent", "grant", "--patient", "since", "--purposes", "training"],
                    in: "west")
                let stopped = try await deployment.stop("west")
                #expect(stopped.status == 0, "\(stopped)")
                try FileManager.default.removeItem(atPath: deployment.home("west"))
                try FileManager.default.moveItem(atPath: copy, toPath: deployment.home("west"))
                let west = try deployment.launch("west")
                let ended = try await west.ended()
                #expect(ended.status == 1, "\(ended)")
                #expect(west.log.contains("its own journal lacks"), "\(west.log)")
                #expect(west.log.contains("tally site restore"), "\(west.log)")
            }
        }
    }
}

private struct GovernanceReport: Decodable {
    struct Term: Decodable {
        let term: Int
        let coordinator: String
        let voters: [String]
    }

    struct Decision: Decodable {
        let decision: String
        let term: Int
        let ballots: [String]
    }

    let terms: [Term]
    let decisions: [Decision]
}

extension Deployment {
    fileprivate func governance(in name: String) async throws -> GovernanceReport {
        try await report(GovernanceReport.self, "governance", "show", in: name)
    }

    /// One member proposes, others vote, and the term opens on every site that took part, or on
    /// those that are named.
    func decide(
        _ proposal: [String], by proposer: String, with voters: [String], term: Int,
        settledIn names: [String]? = nil
    ) async throws {
        try await done(
            ["governance", "propose", "--reason", "a test"] + proposal, in: proposer)
        for voter in voters {
            var decision: String?
            try await eventually("\(voter) knows the decision") {
                decision = try await governance(in: voter).decisions
                    .first { $0.term == term }?.decision
                return decision != nil
            }
            try await done(["governance", "vote", try #require(decision)], in: voter)
        }
        for name in names ?? [proposer] + voters {
            do {
                try await eventually("term \(term) is settled in \(name)") {
                    try await governance(in: name).terms.last?.term == term
                }
            } catch let error as Unexpected {
                throw Unexpected(description: "\(error)\n\(lastWords)")
            }
        }
    }

    /// The sites decide on a coordinator in a home of its own, which then opens the next term.
    func replaceCoordinator(
        with name: String, voters: [String] = ["east", "west"], settledIn names: [String]? = nil
    ) async throws {
        let port = try freePorts(2)
        try await done(
            [
                "key", "new", "--name", name, "--role", "coordinator", "--endpoint",
                "tcp://127.0.0.1:\(port)",
            ], in: name)
        try await done(
            [
                "network", "join", "\(home("north"))/genesis.tally", "--content-key",
                "\(home("north"))/keys/content.key",
            ], in: name)
        try await start(name)
        try await decide(
            ["--coordinator", "\(home(name))/\(name).member"], by: "north",
            with: voters, term: 2, settledIn: names)
    }
}
