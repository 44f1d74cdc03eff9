import CZeroMQ
import Glibc

/// Why a message did not get through: what failed, at which endpoint, and what to do next.
package enum MessagingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// libzmq or the system refused an operation; `code` is its errno.
    case library(operation: String, endpoint: String, code: Int32)
    case localPathTooLong(path: String, limit: Int)
    /// Nothing listens at the local socket of a worker.
    case notRunning(path: String)
    /// Another running process listens at the local socket.
    case alreadyRunning(path: String)
    case timedOut(endpoint: String, after: Duration, link: LinkState)
    /// The peer has as many of our requests in hand as it takes at a time.
    case busy(endpoint: String)
    case closed(endpoint: String)
    case tooLarge(endpoint: String, bytes: Int, limit: Int)
    /// The peer's answer did not fit into its own limit for a message.
    case answerTooLarge(endpoint: String)
    /// The peer knew our account when we connected, and has ended its keys since.
    case noMember(endpoint: String)

    package var description: String {
        switch self {
        case .library(let operation, let endpoint, let code):
            "could not \(operation) \(endpoint): \(errorText(code)); \(advice(code))"
        case .localPathTooLong(let path, let limit):
            "the path of the local socket has \(path.utf8.count) bytes and the system takes"
                + " \(limit): \(path); use a home folder with a shorter path"
        case .notRunning(let path):
            "no worker listens at \(path); start it, or name another home"
        case .alreadyRunning(let path):
            "another worker already listens at \(path); stop it first, or name another home"
        case .timedOut(let endpoint, let after, let link):
            "no answer from \(endpoint) within \(after): \(link.advice)"
        case .busy(let endpoint):
            "\(endpoint) has too many of our requests in hand; send again in a moment"
        case .closed(let endpoint):
            "the connection to \(endpoint) was closed on this side"
        case .tooLarge(let endpoint, let bytes, let limit):
            "a message of \(bytes) bytes is too large for \(endpoint), which takes \(limit);"
                + " send it in pieces"
        case .answerTooLarge(let endpoint):
            "the answer of \(endpoint) is larger than one message; ask for less at a time"
        case .noMember(let endpoint):
            "\(endpoint) says that we are no longer a member: our keys were revoked, or a decision "
                + "ended them (`tally member list` at a site)"
        }
    }

    /// The failure of the libzmq call that has just returned.
    static func last(_ operation: String, _ endpoint: String) -> Self {
        .library(operation: operation, endpoint: endpoint, code: zmq_errno())
    }
}

/// What a client knows of its connection, so that a timeout can say what is likely wrong.
package enum LinkState: Hashable, Sendable {
    case neverReached, lost, refused, connected

    var advice: String {
        switch self {
        case .neverReached: "it was never reached; check the address and that it runs"
        case .lost: "the connection was lost; check that it still runs"
        case .refused:
            "it refused our key; check that this key is registered there, and its public key here; "
                + "or it was revoked (`tally member list` at the site)"
        case .connected: "it is connected but slow; send again"
        }
    }
}

private func errorText(_ code: Int32) -> String {
    zmq_strerror(code).map { String(cString: $0) } ?? "error \(code)"
}

private func advice(_ code: Int32) -> String {
    switch code {
    case EADDRINUSE: "another process uses this address; stop it or choose another port"
    case EADDRNOTAVAIL, ENODEV: "this machine has no such address; name one of its own"
    case EINVAL, EPROTONOSUPPORT:
        "write the address as tcp://host:port"
    case EACCES, EPERM: "check who may write there"
    case ENOENT, ENOTDIR: "create the folder first"
    case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
    default: "check the address and try again"
    }
}
