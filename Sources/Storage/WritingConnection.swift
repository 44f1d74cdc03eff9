import GRDB
import Synchronization

/// The one connection that writes a file, and all of the file's checkpoints.
///
/// SQLite's own checkpoints pass over an fsync that failed and come back to it later; these are
/// explicit and fail. After a failure the connection does nothing more, not even close: a second
/// fsync would succeed though the pages of the first are lost. A constraint that refused a row is
/// no failure of the disk.
final class WritingConnection: Sendable {
    /// A checkpoint costs two fsyncs; a log of so many commits is still short.
    private static let commitsACheckpoint = 64

    private let path: String
    private let queue: DatabaseQueue
    private let state = Mutex(State())

    private struct State {
        var commits = 0
        var failure: StorageError?
    }

    /// Folds what an earlier process left in the log into the file.
    ///
    /// That process may have stopped for a failed fsync, after which the log reads well from
    /// memory and is not on the disk; a checkpoint writes its pages anew.
    init(_ queue: DatabaseQueue, path: String) throws {
        self.path = path
        self.queue = queue
        try final { try checkpoint(.passive) }
    }

    /// Runs one transaction.
    ///
    /// - Throws: ``StorageError/failedWrite(path:reason:)``, and the same ever after.
    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try final {
            let value = try queue.write(body)
            let isDue = state.withLock { state in
                state.commits += 1
                return state.commits.isMultiple(of: Self.commitsACheckpoint)
            }
            if isDue { try checkpoint(.passive) }
            return value
        }
    }

    /// Folds the log into the file and closes it; after a failure it does nothing.
    func close() throws {
        guard state.withLock({ $0.failure == nil }) else { return }
        try final {
            try checkpoint(.truncate)
            try queue.close()
        }
    }

    /// Whoever reads keeps part of the log in use; that part waits for the next checkpoint.
    private func checkpoint(_ mode: Database.CheckpointMode) throws {
        do {
            try queue.writeWithoutTransaction { db in _ = try db.checkpoint(mode) }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {}
    }

    private func final<Value>(_ body: () throws -> Value) throws -> Value {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        do { return try body() } catch let error as DatabaseError {
            let failure = StorageError.failedWrite(path: path, reason: error.description)
            guard error.resultCode != .SQLITE_CONSTRAINT else { throw failure }
            let isFirst = state.withLock { state in
                defer { state.failure = state.failure ?? failure }
                return state.failure == nil
            }
            // Never released: a connection that goes away closes, and closing synchronises.
            if isFirst { _ = Unmanaged.passRetained(queue) }
            throw failure
        }
    }
}
