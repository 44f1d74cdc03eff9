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

    /// The voter sets of whom a buggy coordinator counts votes.
    func planted(in sets: [VoterSet]) -> [VoterSet] {
        guard fault == .smallQuorum else { return sets }
        return sets.map { set in
            var few = set
            while few.quorum == set.quorum, let last = few.accounts.last {
                few = VoterSet(keys: few.keys.filter { $0.key != last }, majority: false)
            }
            return few
        }
    }

    /// The state by which buggy voters check a round.
    func planted(in state: SettledState) -> any StateView {
        fault == .consentUnchecked ? EverybodyConsents(base: state) : state
    }

    /// A blob as buggy voters read it.
    func planted(in blob: [UInt8]?) -> [UInt8]? {
        // Manifests begin with their first entry; the other blobs of a round end with a number.
        guard fault == .blobUnchecked, var bytes = blob, bytes.count > 8, bytes[0] != 0x0a
        else { return blob }
        bytes[bytes.count - 2] ^= 0x20
        return bytes
    }

    /// The changes of a settled block as buggy contracts would make them, alike on every node.
    func altered(_ changes: StateChanges) -> StateChanges {
        switch fault {
        case .residualDropped:
            let residuals = changes.filter { key, value in
                let state = value.flatMap { try? WireResidualState(strictly: $0) }
                return key.table == .residuals && state?.units ?? 0 != 0
            }
            guard let last = residuals.keys.max() else { return changes }
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

/// A state in which every consent ever given is in force for ever.
private struct EverybodyConsents: StateView {
    let base: SettledState

    func value(at key: StateKey) throws(StateFault) -> [UInt8]? {
        guard key.table == .consents, let bytes = base.value(at: key) else {
            return base.value(at: key)
        }
        guard var consent = try? WireConsentState(strictly: bytes) else { return bytes }
        var interval = WireConsentInterval()
        interval.purposes = [.training, .evaluation]
        consent.intervals = [interval]
        return consent.encoded()
    }

    func entries(
        in table: StateTable, prefix: [UInt8], limit: Int
    ) throws(StateFault) -> [StateEntry] {
        base.entries(in: table, prefix: prefix, limit: limit)
    }

    func entries(inBucket bucket: UInt16) throws(StateFault) -> [StateEntry] {
        base.entries(inBucket: bucket)
    }
}
