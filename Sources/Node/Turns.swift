import Synchronization

/// Which accounts have a request of one kind in hand, of which each may have one.
final class Turns: Sendable {
    private let underWay = Mutex<Set<String>>([])

    /// - Returns: whether the account had none.
    func begin(_ account: String) -> Bool { underWay.withLock { $0.insert(account).inserted } }

    func end(_ account: String) { _ = underWay.withLock { $0.remove(account) } }
}
