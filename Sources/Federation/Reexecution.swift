package import Contracts
import Cryptography
package import Ledger

/// Why a block shown as invalid convicts nobody.
package enum ReexecutionFault: Error, Hashable, Sendable, CustomStringConvertible {
    case evidence(EvidenceFault)
    case otherParent
    /// Its fault, if it is one, depends on what the checker knows, or is bound by no signature.
    case noOffence(BlockRefusal)
    case otherTransactions
    case sound
    case state(StateFault)

    package var description: String {
        switch self {
        case .evidence(let fault): "\(fault)"
        case .otherParent: "it proves nothing: the block does not extend this chain there"
        case .noOffence(let refusal): "it proves nothing: \(refusal)"
        case .otherTransactions:
            "it proves nothing: the transactions shown are not those that the header binds"
        case .sound: "it proves nothing: re-executed, the block breaks no rule"
        case .state(let fault): "\(fault)"
        }
    }
}

/// Re-executes a block that is shown as invalid, and says which rule it breaks.
///
/// The proposer signed the header alone. A fault counts when the header states it, or when the
/// header's hashes bind what is faulty; signatures of envelopes are bound by nothing, so whoever
/// shows the block could have spoilt them, and they are taken as good.
///
/// - Parameters:
///   - suspect: the block.
///   - parent: the block of the checker's chain that it extends.
///   - state: after the parent.
///   - tree: of that state, buckets changed since the last checkpoint marked.
///   - network: of the chain.
/// - Returns: the rule that it breaks.
/// - Throws: why it convicts nobody.
package func brokenRule(
    by suspect: SuspectBlock, above parent: Tip, state: any StateView, tree: StateTree,
    network: NetworkID
) throws(ReexecutionFault) -> BlockRefusal {
    guard suspect.signed.header.previous == parent.hash else { throw .otherParent }
    do throws(BlockRefusal) {
        try reexecute(suspect, above: parent, state: state, tree: tree, network: network)
    } catch {
        if case .execution(.state(let fault)) = error { throw .state(fault) }
        if error == .wrongRoot("log root") { throw .otherTransactions }
        guard error.isOffence else { throw .noOffence(error) }
        return error
    }
    throw .sound
}

private func reexecute(
    _ suspect: SuspectBlock, above parent: Tip, state: any StateView, tree: StateTree,
    network: NetworkID
) throws(BlockRefusal) {
    let carried = try carried(by: suspect, network: network)
    let rules = try termRules(of: carried, above: parent, network: network)
    let header = carried.header
    var log = parent.log
    for leaf in suspect.logLeaves { log.append(leaf) }
    guard header.logSize == log.size, header.logRoot == log.root else {
        throw .wrongRoot("log root")
    }
    guard Int(header.transactionCount) == suspect.logLeaves.count else {
        throw .badBlock(
            .wrongCount(stated: header.transactionCount, found: suspect.logLeaves.count))
    }
    var envelopes: [Envelope] = []
    for (index, bytes) in suspect.envelopes.enumerated() {
        do throws(EnvelopeFault) {
            envelopes.append(try Envelope(strictly: bytes, network: network))
        } catch { throw .badBlock(.badEnvelope(index: index, error)) }
    }
    var terms = parent.terms
    terms.advance(to: rules, isFirst: carried.signed.isFirst)
    let execution: Execution
    do throws(ExecutionFault) {
        execution = try Contracts.execute(
            envelopes,
            in: BlockContext(
                network: network, terms: terms, height: parent.height.next,
                previous: parent.hash, opening: carried.opening), on: state,
            isVerified: { _, _ in true })
    } catch { throw .execution(error) }
    guard header.effectsRoot == execution.effectsRoot else { throw .wrongRoot("effects root") }
    var root = Digest.zero
    if execution.isCheckpoint {
        var tree = tree
        tree.mark(execution.changes)
        do throws(StateFault) {
            _ = try tree.rehash(LayeredState(base: state, layers: [execution.changes]))
        } catch { throw .execution(.state(error)) }
        root = tree.root
    }
    guard header.stateRoot == root else { throw .wrongRoot("state root") }
}

/// What the header binds and the block carries; bytes that fit the hash and are malformed convict.
private func carried(
    by suspect: SuspectBlock, network: NetworkID
) throws(BlockRefusal) -> CarriedHeader {
    let header = suspect.signed.header
    var certificate: Certificate?
    if !suspect.certificate.isEmpty {
        do throws(VoteFault) {
            certificate = try Certificate(strictly: suspect.certificate)
        } catch { throw .badBlock(.badCertificate(error)) }
    }
    guard (certificate == nil) == (header.slot.height.value == 1),
        certificate?.block ?? header.previous == header.previous
    else { throw .badBlock(.certificateOfAnother) }
    var opening: Opening?
    if !suspect.opening.isEmpty {
        do throws(TermFault) {
            opening = try Opening(strictly: suspect.opening, network: network)
        } catch { throw .badBlock(.badOpening(error)) }
    }
    let isGenesisOpening = header.slot == Slot(term: .first, height: Height(1))
    guard opening?.decision.term ?? header.slot.term == header.slot.term,
        isGenesisOpening == (header.opening == network.digest)
    else { throw .badBlock(.openingOfAnother) }
    return CarriedHeader(signed: suspect.signed, certificate: certificate, opening: opening)
}
