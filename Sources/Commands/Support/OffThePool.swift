import Dispatch
import Node

/// Does long work on a queue of its own, with a line of progress; the cooperative pool must not
/// wait for a disk.
func offThePool<Value: Sendable>(
    _ work: @escaping @Sendable ((AuditProgress) -> Void) throws -> Value
) async throws -> Value {
    let line = ProgressLine()
    defer { line.clear() }
    return try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "tally.audit").async {
            let result = Result {
                try work { progress in
                    line.show("\(progress.stage.rawValue): \(progress.done) of \(progress.total)")
                }
            }
            continuation.resume(with: result)
        }
    }
}
