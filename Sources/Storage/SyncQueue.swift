import Glibc
import Synchronization

/// Synchronises one file or folder after the other, and none after one that failed.
///
/// The system forgets what an fsync could not write, so a later one, of another transfer into the
/// same folder, may succeed although a name that it was to make durable is gone.
final class SyncQueue: Sendable {
    private let failure = Mutex<StorageError?>(nil)

    /// - Throws: ``StorageError``, the same one for ever after the first.
    func synchronise(_ file: borrowing BlobFile) throws {
        try failure.withLock { failure in
            if let failure { throw failure }
            do {
                try file.synchronise()
            } catch let error as StorageError {
                failure = error
                throw error
            }
        }
    }

    /// Returns when the folder's entries are on the disk.
    func synchronise(folder: String) throws {
        try synchronise(BlobFile(folder, O_RDONLY | O_DIRECTORY))
    }
}
