import Contracts
import Cryptography
import Ledger
import Wire

/// A header with what it binds and its block carries: the parent's certificate and an opening.
struct CarriedHeader {
    let signed: SignedHeader
    /// Nil at height 1.
    let certificate: Certificate?
    /// Of the first block of a term above 1.
    let opening: Opening?

    var header: BlockHeader { signed.header }
}

extension CarriedHeader {
    init(_ block: Block) {
        self.init(
            signed: SignedHeader(block), certificate: block.parentCertificate,
            opening: block.opening)
    }
}

/// Checks what a header says against its parent.
///
/// - Returns: the rules of its term.
func termRules(
    of block: CarriedHeader, above parent: Tip, network: NetworkID
) throws(BlockRefusal) -> TermRules {
    let header = block.header
    guard header.slot.height == parent.height.next else { throw .notAChild(of: parent.height) }
    let rules = try openedRules(of: block, above: parent, network: network)
    guard header.proposer == rules.coordinator else { throw .foreignProposer(header.proposer) }
    guard block.signed.isSigned(by: rules.coordinatorKey, network: network) else {
        throw .badBlock(.badSignature)
    }
    guard header.voters == rules.voters.hash(network: network) else { throw .wrongVoters }
    if let certificate = block.certificate {
        guard certificate.slot == parent.slot else { throw .badBlock(.certificateOfAnother) }
        do throws(VoteFault) {
            try certificate.verify(by: parent.terms.certifying, network: network)
        } catch { throw .badParentCertificate(error) }
    }
    let interval = UInt64(rules.agreement.chain.blockIntervalMs)
    guard header.timeMilliseconds >= parent.timeMilliseconds &+ interval else { throw .tooEarly }
    return rules
}

private func openedRules(
    of block: CarriedHeader, above parent: Tip, network: NetworkID
) throws(BlockRefusal) -> TermRules {
    let term = block.signed.slot.term
    guard block.signed.isFirst else {
        guard term == parent.slot.term else { throw .unknownTerm(term) }
        return parent.terms.newest
    }
    guard let opening = block.opening else {
        // The genesis document opens term 1, whose first block stands on genesis.
        guard parent.slot == .genesis else { throw .wrongOpening }
        return parent.terms.newest
    }
    do throws(TermFault) {
        try opening.verify(above: parent.slot, inForce: parent.terms.inForce, network: network)
    } catch { throw .badOpening(error) }
    return parent.terms.rules(opening: opening, firstHeight: block.signed.slot.height)
}
