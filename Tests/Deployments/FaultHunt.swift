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
    package struct Fault: Sendable, CustomStringConvertible {
        package let name: String
        package let plan: FaultPlan

        package var description: String { "\(name): \(plan)" }
    }

    /// A failed call after which the worker must stop.
    private static let patience = Duration.seconds(30)

    private let deployment: Deployment
    private let acknowledged = Mutex<[(patient: String, site: String)]>([])

    /// - Parameter deployment: annotated, with all workers stopped.
    package init(_ deployment: Deployment) { self.deployment = deployment }

    /// Starts the workers and records the workload of coordinator and one site.
    ///
    /// - Returns: every fault of every recorded call, in the order of the calls.
    /// - Throws: ``Unexpected``.
    package func recordedFaults() async throws -> [Fault] {
        try await deployment.startAll()
        var faults: [Fault] = []
        for name in [Deployment.coordinator, "north"] {
            // The first run of a chain does more than the later ones, so one goes before.
            try await live(name, FaultPlan())
            let life = try await live(name, FaultPlan())
            for point in [FaultPlan.Point.write, .sync, .rename] {
                let count = life.before.count { $0.point == point }
                for number in stride(from: 1, through: count, by: 1) {
                    faults += Self.ways(point).map {
                        Fault(name: name, plan: FaultPlan(.any, point, number, $0))
                    }
                }
            }
        }
        return faults
    }

    private static func ways(_ point: FaultPlan.Point) -> [FaultPlan.How] {
        switch point {
        case .write: [.fails(EIO), .fails(ENOSPC), .half, .lose, .tear]
        case .sync: [.fails(EIO), .lose, .after]
        default: [.fails(EIO), .fails(ENOSPC), .before, .lose]
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
        if try deployment.service(name).isRunning {
            let ended = try await deployment.stop(name)
            guard ended.status == 0 else {
                throw Unexpected(description: "\(name) ended with \(ended)")
            }
        }
        for other in Deployment.nodes where other != name {
            if !(try deployment.service(other).isRunning) { try await deployment.start(other) }
        }
        try forgetBlobs(of: name)
        let runs = try await finishedRuns()
        let life = try deployment.launch(name, plan)
        try await waitUntilUp(life)
        if life.process.isRunning {
            let patient = "patient-of-\(runs)-\(name)"
            let site = name == Deployment.coordinator ? "east" : name
            if try await deployment.isGranted(patient, at: site) {
                acknowledged.withLock { $0.append((patient, site)) }
            }
        }
        if life.process.isRunning { try await startRun() }
        let deadline = ContinuousClock.now + Self.patience
        while life.process.isRunning, .now < deadline, try await finishedRuns() == runs {
            try await Task.sleep(for: .milliseconds(20))
        }
        try await end(life)
        if try await finishedRuns() == runs {
            try await deployment.start(name)
            try await startRun()
            try await eventually("a run is finished after \(plan) in \(name)") {
                try await self.finishedRuns() > runs
            }
        }
        return life.record
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
        if !life.record.isSyncFailed(by: life.plan) { life.process.signal(SIGTERM) }
        let ended = try await life.process.ended(within: Self.patience)
        let record = life.record
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

    private func startRun() async throws {
        let command = try deployment.begin(
            ["run", "start", "--rounds", "1", "--no-wait"], in: Deployment.coordinator)
        let deadline = ContinuousClock.now + .seconds(5)
        while command.isRunning, .now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        // A coordinator that dies does not answer; a run that is under way already is as good.
        try command.killNow()
    }

    /// As a site sees it that is never disturbed.
    private func finishedRuns() async throws -> Int {
        guard let report = try await deployment.rounds(in: "west") else { return 0 }
        return report.state == "finished" ? report.run : report.run - 1
    }

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
        for (patient, site) in acknowledged.withLock({ $0 }) {
            try await deployment.expectConsents(of: [patient], grantedAt: site)
        }
        let faults = try await deployment.faults()
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
