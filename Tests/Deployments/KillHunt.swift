import Foundation
import Processes
import Synchronization
import TestSupport

/// How often workers were killed, by phase and node.
package struct KillCounts: Codable, Sendable, CustomStringConvertible {
    package static let phases: [FaultPlan.Phase] = [.commit, .upload, .vote, .apply, .close]

    package private(set) var byPhase: [FaultPlan.Phase: [String: Int]] = [:]

    package init() {}

    package mutating func add(_ phase: FaultPlan.Phase, of name: String) {
        byPhase[phase, default: [:]][name, default: 0] += 1
    }

    package mutating func add(_ other: Self) {
        for (phase, names) in other.byPhase {
            for (name, count) in names { byPhase[phase, default: [:]][name, default: 0] += count }
        }
    }

    package func count(of phase: FaultPlan.Phase) -> Int {
        byPhase[phase, default: [:]].values.reduce(0, +)
    }

    package var total: Int { byPhase.keys.map(count).reduce(0, +) }

    /// Those that a plan brought about, in one of the phases that a training has.
    package var planned: Int { Self.phases.map(count).reduce(0, +) }

    /// Of the phases that a training has, the least.
    package var least: Int { Self.phases.map(count).min() ?? 0 }

    package var description: String {
        func row(_ name: String, _ cells: [String]) -> String {
            func padded(_ text: String) -> String {
                String(repeating: " ", count: max(0, 8 - text.count)) + text
            }
            return name + String(repeating: " ", count: 8 - name.count)
                + cells.map(padded).joined()
        }
        let phases = Self.phases + [.other]
        let rows = phases.map { phase in
            row(
                phase.rawValue,
                (Deployment.nodes.map { byPhase[phase]?[$0] ?? 0 } + [count(of: phase)])
                    .map { "\($0)" })
        }
        let sums = Deployment.nodes.map { name in
            phases.map { byPhase[$0]?[name] ?? 0 }.reduce(0, +)
        }
        return
            ([row("phase", Deployment.nodes + ["all"])] + rows
            + [row("all", (sums + [total]).map { "\($0)" })]).joined(separator: "\n")
    }
}

/// Kills all four workers again and again while they train, and then checks everything.
///
/// Every worker lives under a plan of its own, is killed at a point drawn from the seed, and comes
/// back soon after. Meanwhile patients consent at the sites. When the run is over nothing that was
/// acknowledged may be missing, all homes must verify and replay, and every round's model must be
/// that of the undisturbed run.
package final class KillHunt: Sendable {
    /// After this a worker whose plan was not reached is killed where it stands.
    private static let lifetime = Duration.seconds(8)

    private let deployment: Deployment
    private let seed: UInt64
    private let time: Duration
    private let state: Mutex<State>

    private struct State {
        var random: SplitMix64
        var counts: KillCounts
        /// In this run alone.
        var own = KillCounts()
        var acknowledged: [(patient: String, site: String)] = []
        var heights: [String: UInt64] = [:]
        var isOver = false
    }

    /// - Parameters:
    ///   - deployment: annotated, with all workers stopped.
    ///   - seed: of everything that is drawn.
    ///   - before: earlier kills, so that rare phases are aimed at more often.
    ///   - time: after this nobody is killed any more and the run goes on to its end.
    package init(_ deployment: Deployment, seed: UInt64, after before: KillCounts, time: Duration) {
        self.deployment = deployment
        self.seed = seed
        self.time = time
        state = Mutex(State(random: SplitMix64(seed: seed), counts: before))
    }

    /// Runs one training to its end.
    ///
    /// - Parameter models: of the undisturbed run, one for each round.
    /// - Returns: the kills.
    /// - Throws: ``Unexpected`` for anything that a kill must not bring about.
    package func run(expecting models: [String]) async throws -> KillCounts {
        try await deployment.startAll()
        try await deployment.done(
            ["run", "start", "--rounds", "\(models.count)", "--no-wait"],
            in: Deployment.coordinator)
        for name in Deployment.nodes { try deployment.killNow(name) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in Deployment.nodes { group.addTask { try await self.live(name) } }
            group.addTask { try await self.grant() }
            group.addTask { try await self.watch() }
            try await group.waitForAll()
        }
        try await check(models)
        return state.withLock { $0.own }
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    /// Ends the killing when the run is over, or the time.
    private func watch() async throws {
        let deadline = ContinuousClock.now + time
        while .now < deadline {
            // A home is copied nowhere: its own report works while its worker dies.
            if try await deployment.rounds(in: "north")?.state == "finished" { break }
            try await Task.sleep(for: .milliseconds(500))
        }
        state.withLock { $0.isOver = true }
    }

    /// One life after the other; the last one is without a plan.
    private func live(_ name: String) async throws {
        while !isOver {
            let plan = draw(name)
            let life = try deployment.launch(name, plan)
            let deadline = ContinuousClock.now + Self.lifetime
            while life.process.isRunning, .now < deadline, !isOver {
                try await Task.sleep(for: .milliseconds(5))
            }
            let wasRunning = life.process.isRunning
            try life.process.killNow()
            let ended = try await life.process.ended()
            guard ended.status == -SIGKILL else {
                throw Unexpected(
                    description: "seed \(seed), \(plan): \(name) was not killed, \(ended)")
            }
            count(wasRunning ? .other : life.record.fault?.phase ?? .other, of: name)
            try await checkHeight(of: name)
            try await Task.sleep(for: .milliseconds(pause()))
        }
        try await deployment.start(name)
    }

    private func count(_ phase: FaultPlan.Phase, of name: String) {
        state.withLock { state in
            state.counts.add(phase, of: name)
            state.own.add(phase, of: name)
        }
    }

    private func pause() -> Int {
        state.withLock { Int.random(in: 0...200, using: &$0.random) }
    }

    /// A point of a phase that was hit seldom so far.
    private func draw(_ name: String) -> FaultPlan {
        state.withLock { state in
            // Only the coordinator orders.
            let phases = KillCounts.phases.filter {
                $0 != .commit || name == Deployment.coordinator
            }
            let weights = phases.map { phase in
                1_000 * (phase == .commit ? 4 : 1) / (10 + state.counts.count(of: phase)) + 1
            }
            var place = Int.random(in: 0..<weights.reduce(0, +), using: &state.random)
            var phase = phases[0]
            for (candidate, weight) in zip(phases, weights) {
                phase = candidate
                if place < weight { break }
                place -= weight
            }
            let isRow = phase != .upload && Bool.random(using: &state.random)
            let most =
                switch (phase, isRow) {
                case (.close, true): 60
                case (.close, false): 3
                case (.apply, true): 200
                case (.apply, false), (.commit, true): 8
                default: 20
                }
            let how: FaultPlan.How = [.before, .half, .after][
                Int.random(in: 0..<3, using: &state.random)]
            return FaultPlan(
                phase, isRow ? .row : .call, Int.random(in: 1...most, using: &state.random), how)
        }
    }

    /// What a home has settled never shrinks.
    private func checkHeight(of name: String) async throws {
        let height = try await deployment.status(of: name).settledHeight
        let before = state.withLock { state in
            defer { state.heights[name] = height }
            return state.heights[name] ?? 0
        }
        guard height >= before else {
            throw Unexpected(
                description: "seed \(seed): \(name) had settled \(before), now \(height)")
        }
    }

    /// Patients without records consent while workers die.
    private func grant() async throws {
        for number in 0... where !isOver {
            let site = Deployment.sites[number % Deployment.sites.count]
            let patient = "hunted-\(number)"
            if try await deployment.isGranted(patient, at: site) {
                state.withLock { $0.acknowledged.append((patient, site)) }
            }
            try await Task.sleep(for: .milliseconds(700))
            if isOver { break }
        }
    }

    private func check(_ models: [String]) async throws {
        let report = try await deployment.runFinished(in: "east", within: .seconds(300))
        guard report.rounds.map(\.model) == models, report.rounds.allSatisfy(\.complete) else {
            throw Unexpected(
                description: "seed \(seed): the models are not those of the undisturbed run: "
                    + "\(report.rounds)")
        }
        for (patient, site) in state.withLock({ $0.acknowledged }) {
            try await deployment.expectConsents(of: [patient], grantedAt: site)
        }
        let faults = try await deployment.faults()
        guard faults.isEmpty else {
            throw Unexpected(
                description: "seed \(seed): " + faults.joined(separator: "; "))
        }
        try await deployment.stopAll()
    }
}
