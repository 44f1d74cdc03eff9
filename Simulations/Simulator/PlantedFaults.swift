import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// Faults that are planted between the rooms under test, never in them.
extension World {
    /// A commitment as a buggy driver would make it.
    func planted(in commitment: Commitment, replica: Replica) -> Commitment {
        guard fault == .settlesEarly, let parent = commitment.block.block.parentCertificate?.block,
            let path = replica.path(to: parent), !path.isEmpty
        else { return commitment }
        var tree = commitment.tree
        for early in path.dropFirst(commitment.settled.count) { tree.mark(early.execution.changes) }
        return Commitment(
            block: commitment.block, votes: commitment.votes, journal: commitment.journal,
            settled: path, dropped: commitment.dropped, rehashed: commitment.rehashed, tree: tree)
    }

    /// The changes of a settled block as buggy contracts would make them, alike on every node.
    func altered(_ changes: StateChanges) -> StateChanges {
        switch fault {
        case .residualDropped:
            let residuals = changes.keys.filter { $0.table == .residuals }.sorted()
            guard let last = residuals.last else { return changes }
            return changes.filter { $0.key != last }
        case .creditLost:
            let accounts = changes.keys.filter {
                $0.table == .balances
                    && String(validating: $0.key, as: UTF8.self)?
                        .hasPrefix("stake/") == true
            }.sorted()
            guard let last = accounts.last else { return changes }
            return changes.filter { $0.key != last }
        case .doubleApply: return changes.filter { $0.key.table != .sequences }
        default: return changes
        }
    }
}
