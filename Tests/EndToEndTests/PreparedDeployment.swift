import Deployments
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
