import Foundation
import Testing

/// How far a deployment has come; its processes are stopped.
enum Stage: String, Sendable {
    /// Records are registered and nobody has read them.
    case registered
    /// All items have an outcome and no run was started.
    case annotated
    /// A run of ``Prepared/rounds`` rounds was trained without any disturbance.
    case trained
}

/// One founded deployment that all tests copy, so that founding costs time once.
actor Prepared {
    /// Of the run that disturbed runs are compared with.
    static let rounds = 4

    @TaskLocal static var current: Prepared?

    private let folder: String
    private var training: Task<RoundsReport, any Error>?

    /// Founds, registers and annotates.
    static func founded() async throws -> Prepared {
        let prepared = Prepared()
        do {
            try await prepared.found()
        } catch {
            await prepared.remove()
            throw error
        }
        return prepared
    }

    private init() {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "tally-e2e-\(UUID().uuidString.prefix(8))").path()
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func path(_ stage: Stage) -> String { "\(folder)/\(stage)" }

    private func copy(_ stage: Stage, to name: String) throws -> Deployment {
        let path = "\(folder)/\(name)"
        try FileManager.default.copyItem(atPath: self.path(stage), toPath: path)
        return Deployment(folder: path)
    }

    private func found() async throws {
        let path = path(.registered)
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        let registered = Deployment(folder: path)
        defer { registered.killAll() }
        try await registered.found()
        try await registered.startAll()
        try await registered.register()
        try await registered.stopAll()
        let annotated = try copy(.registered, to: Stage.annotated.rawValue)
        defer { annotated.killAll() }
        try await annotated.startAll()
        try await annotated.annotate()
        _ = try await annotated.atRest()
        try await annotated.stopAll()
    }

    /// The rounds of the undisturbed run; it is trained when first asked for.
    func undisturbed() async throws -> RoundsReport {
        if let training { return try await training.value }
        let task = Task { try await self.train() }
        training = task
        return try await task.value
    }

    private func train() async throws -> RoundsReport {
        let deployment = try copy(.annotated, to: Stage.trained.rawValue)
        defer { deployment.killAll() }
        try await deployment.startAll()
        try await deployment.done(
            ["run", "start", "--rounds", "\(Self.rounds)", "--wait"],
            in: Deployment.coordinator)
        _ = try await deployment.atRest()
        let rounds = try await deployment.report(
            RoundsReport.self, "rounds", in: Deployment.coordinator)
        try await deployment.stopAll()
        return rounds
    }

    /// How many transactions a stage has.
    func transactions(at stage: Stage) async throws -> Int {
        try await Deployment(folder: path(stage)).status(of: Deployment.coordinator).transactions
    }

    /// A copy in which a test may do what it likes; its processes end with the call.
    func withCopy(
        of stage: Stage, _ body: @Sendable (Deployment) async throws -> Void
    ) async throws {
        if stage == .trained { _ = try await undisturbed() }
        let deployment = try copy(stage, to: "copy")
        defer {
            deployment.killAll()
            try? FileManager.default.removeItem(atPath: deployment.folder)
        }
        try await body(deployment)
    }
}

/// Runs a test on a copy of the suite's deployment.
func withDeployment(
    _ stage: Stage, _ body: @Sendable (Deployment) async throws -> Void
) async throws {
    try await #require(Prepared.current).withCopy(of: stage, body)
}

/// Founds the deployment before the first test of a suite and removes it after the last.
struct PreparedDeployment: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let prepared = try await Prepared.founded()
        do {
            try await Prepared.$current.withValue(prepared) { try await function() }
        } catch {
            await prepared.remove()
            throw error
        }
        await prepared.remove()
    }
}

/// Real processes and sockets; one test at a time, since all copies use the same ports.
@Suite("End to end", .serialized, .timeLimit(.minutes(5)), PreparedDeployment())
enum EndToEnd {}
