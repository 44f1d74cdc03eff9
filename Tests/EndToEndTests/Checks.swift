import Deployments
import Testing

extension Deployment {
    /// Checks on all nodes that they have one sound chain, whose training replays to the same bits.
    func checkAll(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await faults() == [], sourceLocation: sourceLocation)
    }
}
