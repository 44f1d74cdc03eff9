import Cryptography
import Foundation
import Processes
import Synchronization
import TestSupport

/// Lets calls of a worker's disk fail, or the power with them, one in each life of the worker.
///
/// A life is one short workload: the worker starts, a patient consents, and a run of one round is
/// trained. What the worker writes, synchronises and renames in it is recorded once; then each of
/// these calls is disturbed in turn.
package final class FaultHunt: Sendable {
    /// One call of the recorded workload, and what happens to it.
    package struct Fault: Codable, Sendable, CustomStringConvertible {
        package let name: String
        package let plan: FaultPlan

        package init(name: String, plan: FaultPlan) {
            self.name = name
            self.plan = plan
        }

        package var description: String { "\(name): \(plan)" }
    }

    /// A failed call after which the worker must stop.
    private static let patience = Duration.seconds(30)

    private let deployment: Deployment
    private let acknowledged = Mutex<[Digest]>([])
    private let votes = Mutex(CastVotes())

    /// - Parameter deployment: annotated, with all workers stopped.
    package init(_ deployment: Deployment) { self.deployment = deployment }

    /// How much happens to each recorded call.
    package enum Thoroughness: Sendable {
        /// Everything that can happen to a call of its kind.
        case everyWay
        /// One error and one cut, of kinds that take turns from call to call.
        case errorAndCut
    }

    /// Starts the workers.
    ///
    /// - Throws: ``Unexpected``.
    package func begin() async throws {
        try await deployment.startAll()
        // The first run of a chain does more than the later ones, so one goes before.
        for name in Self.victims { try await live(name, FaultPlan()) }
    }

    private static let victims = [Deployment.coordinator, "north"]

    /// Records the workload of coordinator and one site.
    ///
    /// - Parameter thoroughness: how many faults of each call are wanted.
    /// - Returns: faults of every recorded call, in the order of the calls.
    /// - Throws: ``Unexpected``.
    package func recordedFaults(_ thoroughness: Thoroughness) async throws -> [Fault] {
        var faults: [Fault] = []
        for name in Self.victims {
            let life = try await live(name, FaultPlan())
            for point in [FaultPlan.Point.write, .sync, .rename] {
                let count = life.before.count { $0.point == point }
                for number in stride(from: 1, through: count, by: 1) {
                    faults += Self.ways(point, number, thoroughness).map {
                        Fault(name: name, plan: FaultPlan(.any, point, number, $0))
                    }
                }
            }
        }
        return faults
    }

    private static func ways(
        _ point: FaultPlan.Point, _ number: Int, _ thoroughness: Thoroughness
    ) -> [FaultPlan.How] {
        let (errors, cuts): ([FaultPlan.How], [FaultPlan.How]) =
            switch point {
            case .write: ([.fails(EIO), .fails(ENOSPC)], [.half, .lose, .tear])
            case .sync: ([.fails(EIO)], [.lose, .after])
            default: ([.fails(EIO), .fails(ENOSPC)], [.before, .lose])
            }
        return switch thoroughness {
        case .everyWay: errors + cuts
        case .errorAndCut: [errors[number / 2 % errors.count], cuts[number % cuts.count]]
        }
    }

    /// Draws faults of every operation and every way to fail alike, however often each was recorded.
    ///
    /// - Parameters:
    ///   - faults: the recorded ones.
    ///   - count: how many are wanted.
    ///   - seed: of the draw.
    /// - Returns: as many different ones, or all.
    package static func sample(_ faults: [Fault], _ count: Int, seed: UInt64) -> [Fault] {
        var random = SplitMix64(seed: seed)
        var groups = Dictionary(grouping: faults) { "\($0.name) \($0.plan.point) \($0.plan.how)" }
        let names = groups.keys.sorted().shuffled(using: &random)
        var drawn: [Fault] = []
        while drawn.count < count, groups.values.contains(where: { !$0.isEmpty }) {
            for name in names where drawn.count < count {
                guard let place = groups[name]?.indices.randomElement(using: &random),
                    let fault = groups[name]?.remove(at: place)
                else { continue }
                drawn.append(fault)
            }
        }
        return drawn
    }

    /// Lets one call fail, and checks that the worker stops or goes on as it must.
    ///
    /// - Returns: the call; nil when this life never came to it.
    /// - Throws: ``Unexpected`` for a fault that was not borne.
    package func disturb(by fault: Fault) async throws -> DiskCall? {
        let record = try await live(fault.name, fault.plan)
        guard let call = record.fault else { return nil }
        if record.isSyncFailed(by: fault.plan) {
            let again = record.after.first { $0.point == .sync && $0.path == call.path }
            guard again == nil else {
                throw Unexpected(description: "\(fault): \(call) was tried again")
            }
        }
        return call
    }

    /// One life of a worker while the others keep running.
    @discardableResult
    private func live(_ name: String, _ plan: FaultPlan) async throws -> DiskRecord {
        try await prepareLife(of: name)
        try forgetBlobs(of: name)
        let runs = try finishedRuns()
        let life = try deployment.launch(name, plan)
        try await waitUntilUp(life)
        if life.process.isRunning {
            let patient = "patient-of-\(runs)-\(name)"
            let site = name == Deployment.coordinator ? "east" : name
            let envelopes = try await deployment.grant(patient, at: site) {
                life.process.isRunning
            }
            acknowledged.withLock { $0 += envelopes }
        }
        if life.process.isRunning { try await startRun() }
        let deadline = ContinuousClock.now + Self.patience
        while life.process.isRunning, .now < deadline, try finishedRuns() == runs {
            try await Task.sleep(for: .milliseconds(20))
        }
        try await end(life)
        let record = try life.record()
        if try finishedRuns() == runs {
            try await deployment.start(name)
            try await finishRun(after: runs, "\(plan) in \(name), \(record.fault as Any)")
        }
        votes.withLock { $0.add(record, of: name) }
        return record
    }

    /// Starts all others, lets every run end, and stops the worker itself.
    private func prepareLife(of name: String) async throws {
        for other in Deployment.nodes where other != name {
            if !(try deployment.service(other).isRunning) { try await deployment.start(other) }
        }
        if !(try isRunOver()) {
            // It may have missed the end of a run that the others know.
            if !(try deployment.service(name).isRunning) { try await deployment.start(name) }
            try await eventually("no run is under way") { try self.isRunOver() }
        }
        guard try deployment.service(name).isRunning else { return }
        let ended = try await deployment.stop(name)
        guard ended.status == 0 else {
            throw Unexpected(description: "\(name) ended with \(ended)")
        }
    }

    /// Every run here is like the first: without this no life but that one would write a blob.
    private func forgetBlobs(of name: String) throws {
        let folder = "\(deployment.home(name))/blobs"
        for file in try FileManager.default.contentsOfDirectory(atPath: folder)
        where file != "partial" {
            try FileManager.default.removeItem(atPath: "\(folder)/\(file)")
        }
    }

    private func waitUntilUp(_ life: PlannedLife) async throws {
        let deadline = ContinuousClock.now + Self.patience
        while life.process.isRunning, !life.process.log.contains(" is up") {
            guard .now < deadline else {
                throw Unexpected(description: "\(life.plan): \(life.name) does not come up")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Ends a life that was not ended by its plan, and checks how it ended.
    private func end(_ life: PlannedLife) async throws {
        // After a failed synchronisation it must stop by itself.
        if !(try life.record()).isSyncFailed(by: life.plan) { life.process.signal(SIGTERM) }
        let ended: Ended
        do {
            ended = try await life.process.ended(within: Self.patience)
        } catch let fault as ProcessFault {
            throw Unexpected(
                description: "\(life.plan), \(try life.record().fault as Any): \(fault)")
        }
        let record = try life.record()
        let sentences = ended.errors.split(whereSeparator: \.isNewline)
            .filter { $0.hasPrefix("error: ") }
        let hasStopped = ended.status == 0 && sentences.isEmpty
        let hasGivenUp = ended.status == 1 && sentences.count == 1
        let isBorne =
            switch life.plan.how {
            case .fails where record.isSyncFailed(by: life.plan): hasGivenUp
            case .fails: hasStopped || hasGivenUp
            default: record.fault == nil ? hasStopped : ended.status == -SIGKILL
            }
        guard isBorne else {
            let place = record.fault.map { "\($0)" } ?? "which was not reached"
            throw Unexpected(
                description: "\(life.plan) in \(life.name), \(place): it ended with \(ended)")
        }
    }

    private func finishRun(after runs: Int, _ what: String) async throws {
        do {
            try await eventually("a run is finished after \(what)", every: .milliseconds(50)) {
                if try self.finishedRuns() > runs { return true }
                // It may be under way; then a second one is refused.
                if try self.isRunOver() { try await self.startRun() }
                return false
            }
        } catch let error as Unexpected {
            throw Unexpected(description: "\(error)\n\(deployment.lastWords)")
        }
    }

    private func startRun() async throws {
        let command = try deployment.begin(
            ["run", "start", "--rounds", "1", "--no-wait"], in: Deployment.coordinator)
        let deadline = ContinuousClock.now + .seconds(5)
        let coordinator = try deployment.service(Deployment.coordinator)
        while command.isRunning, coordinator.isRunning, .now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        // A coordinator that dies does not answer; a run that is under way already is as good.
        try command.killNow()
    }

    /// Whether coordinator and site know no run that still needs its blobs.
    private func isRunOver() throws -> Bool {
        let hub = try deployment.newestRun(in: Deployment.coordinator)
        return try hub.isFinished && hub == deployment.newestRun(in: "west")
    }

    /// As a site sees it that is never disturbed.
    private func finishedRuns() throws -> Int { try deployment.newestRun(in: "west").finished }

    /// Checks everything that a fault must not have changed.
    ///
    /// - Parameter model: of an undisturbed run of one round; every run here is like it.
    /// - Throws: ``Unexpected``.
    package func check(expecting model: String) async throws {
        for name in Deployment.nodes where !(try deployment.service(name).isRunning) {
            try await deployment.start(name)
        }
        let report = try await deployment.runFinished(in: "west")
        guard report.rounds.map(\.model) == [model] else {
            throw Unexpected(description: "another model than undisturbed: \(report.rounds)")
        }
        try await deployment.expectSettled(acknowledged.withLock { $0 })
        let votes = votes.withLock { $0 }
        let faults = try await deployment.faults() + votes.faults(in: deployment)
        guard faults.isEmpty else {
            throw Unexpected(description: faults.joined(separator: "; "))
        }
    }
}

extension DiskRecord {
    /// Whether the fault is one that the worker must not outlive.
    ///
    /// The cache holds nothing that cannot be computed again, and no promise stands on it.
    fileprivate func isSyncFailed(by plan: FaultPlan) -> Bool {
        guard case .fails = plan.how, let fault, fault.point == .sync else { return false }
        return !fault.path.contains("/cache/")
    }
}
