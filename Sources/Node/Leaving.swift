import Contracts
import Federation
package import Ledger
import Storage
import Synchronization

/// Where a node's own member stands.
package enum Standing: Hashable, Sendable {
    case member
    /// Most voters are for a decision on a term that ends it.
    case leaving(Term)
    /// Its keys ended at a settled height.
    case left(Height)
}

/// Members that have left lately, each with the height at which it did.
///
/// Who is removed learns it from the blocks that do it, as everybody else does: its connection
/// stays for a while, and it may ask for those blocks and for nothing else.
final class Leavers: Sendable {
    /// Settled heights above its end at which a voter may still ask.
    static let stay: UInt64 = 256
    /// Blocks above the one that ends a member until it can tell that this one is settled.
    private static let above: UInt64 = 2

    private let ended = Mutex<[String: Height]>([:])

    func replace(_ accounts: [String: Height]) { ended.withLock { $0 = accounts } }

    /// The height at which an account has left; nil for everybody else.
    subscript(account: String) -> Height? { ended.withLock { $0[account] } }

    /// Whether a block is among those that show that a member has left.
    static func mayAsk(forBlockAt height: Height, ended: Height) -> Bool {
        height <= ended.advanced(by: above)
    }
}

extension NodeCore {
    /// Whether this node's own member is one, is to leave, or has left.
    package func standing() throws -> Standing {
        if let height = try store.endedHeight(of: account) { return .left(height) }
        let opened = replica.unsettled.compactMap(\.block.opening?.decision)
        let ending = (opened + supportedDecisions()).first { $0.leaving.contains(account) }
        return ending.map { .leaving($0.term) } ?? .member
    }
}
