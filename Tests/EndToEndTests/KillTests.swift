import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("SIGKILL")
    struct Kills {
        @Test(
            "a coordinator and a site killed in the middle of rounds change no bit of the models",
            arguments: [6, 10, 25] as [UInt64])
        func duringRounds(seed: UInt64) async throws {
            var random = SplitMix64(seed: seed)
            let plan = KillPlan(using: &random)
            print("seed \(seed): \(plan)")
            for attempt in 1...3 {
                do {
                    return try await disturb(by: plan, seed: seed)
                } catch let late as TooLate where attempt < 3 {
                    print("seed \(seed), once more: \(late)")
                }
            }
        }

        private func disturb(by plan: KillPlan, seed: UInt64) async throws {
            let expected = try await #require(Prepared.current).undisturbed()
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                async let granted = deployment.grantMeanwhile(at: plan.untouched)
                try await deployment.done(
                    ["run", "start", "--rounds", "\(Prepared.rounds)", "--no-wait"],
                    in: Deployment.coordinator)
                for kill in plan.kills {
                    try await deployment.perform(kill, watcher: plan.untouched)
                }
                let acknowledged = try await granted
                let report = try await deployment.runFinished(in: plan.untouched)
                #expect(report.rounds.map(\.model) == expected.rounds.map(\.model), "seed \(seed)")
                #expect(report.rounds.allSatisfy { $0.complete }, "seed \(seed)")
                #expect(!acknowledged.isEmpty, "seed \(seed)")
                try await deployment.expectConsents(of: acknowledged, grantedAt: plan.untouched)
                try await deployment.checkAll()
            }
        }

        @Test("a consent outlives a coordinator that is killed right after the receipt")
        func afterReceipt() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let patients = (0..<4).map { "prompt-\($0)" }
                for patient in patients {
                    try await deployment.done(
                        [
                            "consent", "grant", "--patient", patient, "--purposes", "training",
                            "--no-wait",
                        ], in: "north")
                    try deployment.killNow(Deployment.coordinator)
                    try await deployment.start(Deployment.coordinator)
                }
                try await deployment.expectConsents(of: patients, grantedAt: "north")
                try await deployment.checkAll()
            }
        }

        @Test("an annotation killed between commit and reveal goes on where it stopped")
        func betweenCommitAndReveal() async throws {
            try await withDeployment(.registered) { deployment in
                try await deployment.startAll()
                let own = Study.patients * 2
                let killed = try deployment.begin(
                    ["annotate", try deployment.answers(of: "north", reader: 1)], in: "north-1")
                try await eventually("north-1 has committed everything") {
                    let states = try await deployment.report(
                        WorklistReport.self, "worklist", "annotator/north-1", in: "north"
                    ).items.map(\.state)
                    return states.count == own && states.allSatisfy { $0 == "wait" }
                }
                try killed.killNow()
                let reports = try await deployment.annotate()
                for report in reports {
                    #expect(report.rejected.isEmpty && report.missed == 0)
                    #expect(report.done == own && report.revealed == own, "\(report)")
                    #expect(report.committed == (report.account == "annotator/north-1" ? 0 : own))
                }
                let again = try await deployment.annotate()
                #expect(
                    again.allSatisfy { $0.committed == 0 && $0.revealed == 0 && $0.done == own })
                let statuses = try await deployment.atRest()
                try await deployment.checkAll()
                // As many transactions as where nobody was killed: nothing stands there twice.
                try await deployment.stopAll()
                let items = statuses.map(\.items.open)
                #expect(items == [0, 0, 0, 0])
                let transactions = statuses.map(\.transactions)
                try await expectAnnotated(transactions)
            }
        }

        private func expectAnnotated(_ transactions: [Int]) async throws {
            let prepared = try #require(Prepared.current)
            let expected = try await prepared.transactions(at: .annotated)
            #expect(transactions == [expected, expected, expected, expected])
        }
    }
}

/// A busy machine ended the run before the kill.
private struct TooLate: Error, CustomStringConvertible {
    let kill: KillPlan.Kill

    var description: String { "\(kill) came too late" }
}

/// Who is killed when, drawn from a seed.
struct KillPlan: CustomStringConvertible {
    struct Kill: CustomStringConvertible {
        let victim: String
        /// The round that is open when it happens.
        let round: Int
        let delay: Duration
        let pause: Duration

        var description: String {
            "\(victim) in round \(round) after \(delay), back after \(pause)"
        }
    }

    let kills: [Kill]
    /// A site that is left alone.
    let untouched: String

    init(using random: inout SplitMix64) {
        func milliseconds(_ range: ClosedRange<Int>, _ random: inout SplitMix64) -> Duration {
            .milliseconds(Int.random(in: range, using: &random))
        }
        let sites = Deployment.sites.shuffled(using: &random)
        var victims = [Deployment.coordinator, sites[0]]
        victims.shuffle(using: &random)
        let first = Int.random(in: 1...2, using: &random)
        kills = zip(victims, [first, first + 1]).map { victim, round in
            Kill(
                victim: victim, round: round, delay: milliseconds(0...250, &random),
                pause: milliseconds(0...500, &random))
        }
        untouched = sites[1]
    }

    var description: String { kills.map(\.description).joined(separator: "; ") }
}

extension Deployment {
    /// Kills the victim during the planned round, and starts it again.
    fileprivate func perform(_ kill: KillPlan.Kill, watcher: String) async throws {
        try await eventually("round \(kill.round) is open", every: .zero) {
            guard let report = try await self.rounds(in: watcher) else { return false }
            return report.opened >= kill.round
        }
        try await Task.sleep(for: kill.delay)
        try killNow(kill.victim)
        let report = try await rounds(in: kill.victim)
        guard report?.state == "running" else { throw TooLate(kill: kill) }
        try await Task.sleep(for: kill.pause)
        try await start(kill.victim)
    }

    /// Lets new patients consent while others are killed, without waiting for settlement.
    ///
    /// - Returns: those whose consent was acknowledged.
    fileprivate func grantMeanwhile(at site: String) async throws -> [String] {
        var acknowledged: [String] = []
        for number in 0..<6 {
            let patient = "late-\(number)"
            let ended = try await tally(
                "consent", "grant", "--patient", patient, "--purposes", "training", "--no-wait",
                in: site)
            if ended.status == 0 { acknowledged.append(patient) }
            try await Task.sleep(for: .milliseconds(200))
        }
        return acknowledged
    }
}
