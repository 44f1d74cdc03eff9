import Contracts
import Cryptography
package import Federation
package import Ledger
import Replay
package import Storage
import Wire

/// All keys of a ledger's members, those of the past included.
package func knownKeys(of store: LedgerStore) throws -> KnownKeys {
    try knownKeys(of: store, store.terms())
}

/// The same, with terms that were opened above the settled block.
func knownKeys(of store: LedgerStore, _ terms: TermHistory) throws -> KnownKeys {
    var keys = KnownKeys(genesis: store.genesis)
    for rules in terms.terms {
        if let decision = rules.opening?.decision { keys.add(decision) }
    }
    for entry in try SQLiteState(store).entries(in: .keys, prefix: [], limit: .max) {
        guard let key = VerifyingKey(entry.key.key),
            let owner = AccountID(String(decoding: entry.value, as: UTF8.self))
        else { continue }
        keys.add(key, of: owner)
    }
    return keys
}

/// Re-executes a ledger's chain up to the parent of a block that is shown as invalid, then it.
///
/// The state of the past is not kept, so the walk begins at genesis.
///
/// - Parameters:
///   - suspect: the block.
///   - store: of the chain that it should extend.
///   - progress: told the height now and then.
/// - Returns: the rule that the block breaks.
/// - Throws: ``ReexecutionFault`` when it convicts nobody; an error of the store otherwise.
package func brokenRule(
    by suspect: SuspectBlock, in store: LedgerStore, progress: (AuditProgress) -> Void = { _ in }
) throws -> BlockRefusal {
    try store.requireHistory()
    let network = store.genesis.network
    var audit = ChainAudit(genesis: store.genesis)
    var walk = TermWalk(genesis: store.genesis)
    var branch = try store.branch()[...]
    let last = try store.tip().height
    var height = Height.genesis
    while audit.hash != suspect.signed.header.previous {
        height = height.next
        let next = height > last ? branch.popFirst() : try store.block(at: height)
        guard let next, height < suspect.signed.slot.height else {
            throw ReexecutionFault.otherParent
        }
        let stored = try StoredBlock(
            place: "block \(height)", height: height.value, whole: next.bytes)
        let place = walk.take(stored)
        _ = audit.advance(prepared(stored, at: place, network: network) { _ in nil })
        progress(
            AuditProgress(
                stage: .chain, done: height.value, total: suspect.signed.slot.height.value))
    }
    guard let parent = audit.tip, audit.findings.isEmpty else {
        throw StorageError.damaged(path: store.path, place: "block \(height)")
    }
    var (state, tree) = (audit.state, audit.tree)
    try state.rehash(&tree)
    return try Federation.brokenRule(
        by: suspect, above: parent, state: state, tree: tree, network: network)
}

/// An offence that the chain has recorded.
package struct RecordedOffence: Codable, Sendable {
    package let id: String
    package let offender: String
    package let offence: String
    package let reporter: String
    package let height: UInt64
}

package struct OffencesReport: Codable, Sendable {
    package let offences: [RecordedOffence]
    package let settledHeight: UInt64
}

extension Reporter {
    /// The offences that `evidence.submit` recorded, oldest first.
    package func offences() throws -> OffencesReport {
        try read(isStrict: false) { view in
            let offences = view.all(WireEvidenceState.self, .evidence).filter {
                $0.value.height > 0
            }.map { key, value in
                RecordedOffence(
                    id: hexString(key), offender: value.offender, offence: value.offence,
                    reporter: value.reporter, height: value.height)
            }
            return OffencesReport(
                offences: offences.sorted { ($0.height, $0.id) < ($1.height, $1.id) },
                settledHeight: view.height)
        }
    }
}
