import Foundation

/// One process at a time writes a home; the lock goes with the process, however it ends.
final class HomeLock: Sendable {
    private let descriptor: Int32

    init(_ home: Home) throws {
        let path = home.path + "/lock"
        descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw HomeError.unreadable(file: path, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw HomeError.foreign(
                "a worker is running in \(home.path) already; stop it first, or use its commands")
        }
    }

    deinit { close(descriptor) }
}
