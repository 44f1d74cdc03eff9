import Dispatch

/// The executor of an actor that waits for a disk or hashes much: a queue of its own.
///
/// A job that waits on the cooperative pool holds up every other task of the process, since the
/// pool has no more threads than the machine has cores.
package final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    /// - Parameter label: what debuggers and crash reports call the queue.
    package init(label: String) { queue = DispatchQueue(label: label) }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    package func checkIsolated() { dispatchPrecondition(condition: .onQueue(queue)) }
}
