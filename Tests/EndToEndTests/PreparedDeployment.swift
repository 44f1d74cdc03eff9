import Deployments
import Foundation
import Testing

extension Prepared {
    @TaskLocal static var current: Prepared?
}

/// Runs a test on a copy of the suite's deployment.
func withDeployment(
    _ stage: Stage, _ body: @Sendable (Deployment) async throws -> Void
) async throws {
    try await #require(Prepared.current).withCopy(of: stage, body)
}

/// Runs a test on processes of its own, founded under another agreement.
func withDeployment(
    under agreement: String, _ body: @Sendable (Deployment) async throws -> Void
) async throws {
    let folder = FileManager.default.temporaryDirectory
        .appending(path: "tally-e2e-\(UUID().uuidString.prefix(8))").path()
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let deployment = Deployment(folder: folder)
    defer {
        deployment.killAll()
        try? FileManager.default.removeItem(atPath: folder)
    }
    try await deployment.found(agreement)
    try await deployment.startAll()
    try await body(deployment)
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
@Suite("End to end", .serialized, .timeLimit(.minutes(10)), PreparedDeployment())
enum EndToEnd {}
