/// A broken invariant: what the simulator looks for.
package struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable short name, such as `fork`.
    package let invariant: String
    package let detail: String

    init(_ invariant: String, _ detail: String) {
        self.invariant = invariant
        self.detail = detail
    }

    package var description: String { "\(invariant): \(detail)" }
}

/// A node's process ended in the middle of a write.
struct Crash: Error {}

/// Whether an error ends the node or the simulation, so that no service goes on after it.
func isFatal(_ error: any Error) -> Bool { error is Crash || error is Violation }
