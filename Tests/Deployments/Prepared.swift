import Foundation

/// How far a deployment has come; its processes are stopped.
package enum Stage: String, Sendable {
    /// Records are registered and nobody has read them.
    case registered
    /// All items have an outcome and no run was started.
    case annotated
    /// A run of ``Prepared/rounds`` rounds was trained without any disturbance.
    case trained
}

/// One founded deployment that all tests copy, so that founding costs time once.
package actor Prepared {
    /// Of the run that disturbed runs are compared with, when nothing else is wanted.
    package static let rounds = 4

    private let folder: String
    private let rounds: Int
    private var training: Task<RoundsReport, any Error>?

    /// Founds, registers and annotates.
    ///
    /// - Parameter rounds: of the undisturbed run.
    /// - Returns: a deployment to copy; ``remove()`` deletes it.
    /// - Throws: whatever went wrong.
    package static func founded(rounds: Int = rounds) async throws -> Prepared {
        let prepared = Prepared(rounds: rounds)
        do {
            try await prepared.found()
        } catch {
            await prepared.remove()
            throw error
        }
        return prepared
    }

    private init(rounds: Int) {
        self.rounds = rounds
        folder = FileManager.default.temporaryDirectory
            .appending(path: "tally-e2e-\(UUID().uuidString.prefix(8))").path()
    }

    package func remove() { try? FileManager.default.removeItem(atPath: folder) }

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
    package func undisturbed() async throws -> RoundsReport {
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
            ["run", "start", "--rounds", "\(rounds)", "--wait"],
            in: Deployment.coordinator)
        _ = try await deployment.atRest()
        let rounds = try await deployment.report(
            RoundsReport.self, "rounds", in: Deployment.coordinator)
        try await deployment.stopAll()
        return rounds
    }

    /// How many transactions a stage has.
    package func transactions(at stage: Stage) async throws -> Int {
        try await Deployment(folder: path(stage)).status(of: Deployment.coordinator).transactions
    }

    /// A copy in which a test may do what it likes; its processes end with the call.
    package func withCopy<Value: Sendable>(
        of stage: Stage, _ body: @Sendable (Deployment) async throws -> Value
    ) async throws -> Value {
        if stage == .trained { _ = try await undisturbed() }
        let deployment = try copy(stage, to: "copy")
        defer {
            deployment.killAll()
            try? FileManager.default.removeItem(atPath: deployment.folder)
        }
        return try await body(deployment)
    }
}
