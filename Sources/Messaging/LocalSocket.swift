import Glibc

/// The checks around a Unix domain socket, which libzmq does not make.
package enum LocalSocket {
    /// `sockaddr_un` holds 108 bytes, the last of them zero.
    static let longestPath = 107

    static func checkLength(_ path: String) throws {
        guard (1...longestPath).contains(path.utf8.count) else {
            throw MessagingError.localPathTooLong(path: path, limit: longestPath)
        }
    }

    /// Whether a process listens at the path; the file alone may be left from a killed one.
    package static func isServed(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { field in
            field.copyBytes(from: Array(path.utf8).prefix(longestPath))
        }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return code == 0
    }

    /// Binds a socket that only this user can reach, in place of one left by a killed process.
    ///
    /// The mask keeps others out from the first moment on; it is the process's, and may for that
    /// moment make another thread's new files as private, never more open.
    static func bind(_ socket: RawSocket, path: String) throws {
        try checkLength(path)
        guard !isServed(path) else { throw MessagingError.alreadyRunning(path: path) }
        let mask = umask(0o077)
        defer { umask(mask) }
        try socket.bind("ipc://\(path)")
        guard chmod(path, 0o600) == 0 else {
            throw MessagingError.library(operation: "protect", endpoint: path, code: errno)
        }
    }
}
