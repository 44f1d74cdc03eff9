package import Cryptography
package import Wire

/// What a ledger holds of the beginning of a term after the first.
package struct HandOver: Hashable, Sendable {
    package let opening: Opening
    /// Nil: the term begins above genesis.
    package let parent: SignedHeader?
    package let first: SignedHeader
    /// Nil when the next term begins above the first block.
    package let second: SignedHeader?
    /// Of the second block.
    package let certificate: Certificate?

    package init(
        opening: Opening, parent: SignedHeader?, first: SignedHeader, second: SignedHeader?,
        certificate: Certificate?
    ) {
        self.opening = opening
        self.parent = parent
        self.first = first
        self.second = second
        self.certificate = certificate
    }

    fileprivate var wire: WireTermLink {
        var wire = WireTermLink()
        wire.opening = data(opening.bytes)
        if let parent { wire.parent = parent.wire }
        wire.first = first.wire
        if let second { wire.second = second.wire }
        wire.certificate = data(certificate?.bytes ?? [])
        return wire
    }
}

extension SettlementProof {
    /// Puts a proof together; nothing is checked here.
    ///
    /// - Parameters:
    ///   - headers: from the block to a child of the same term as its own parent, ascending.
    ///   - certificate: of the last of them.
    ///   - terms: after the first, up to that of the last header, ascending.
    ///   - transaction: of the first of the headers; nil for a proof of the block alone.
    ///   - network: to which they belong.
    /// - Throws: ``ProofFault/tooLarge(bytes:)``.
    package init(
        headers: [SignedHeader], certificate: Certificate, terms: [HandOver],
        transaction: WireSettledTransaction?, network: NetworkID
    ) throws(ProofFault) {
        var wire = WireSettlementProof()
        wire.network = data(network.digest.bytes)
        wire.headers = headers.map(\.wire)
        wire.certificate = data(certificate.bytes)
        wire.terms = terms.map(\.wire)
        if let transaction { wire.transaction = transaction }
        try self.init(strictly: wire.encoded())
    }
}

/// A transaction with its paths to the roots of its envelope and of its block.
///
/// - Parameters:
///   - id: of the transaction.
///   - block: that contains it.
///   - effects: encoded, one for each transaction of the block, in order.
///   - signerKey: under which its envelope was admitted.
///   - log: where it stands in the log of all; nil to leave that out.
/// - Returns: nil when the block does not contain it, or the effects are not the block's.
package func settledTransaction(
    _ id: TransactionID, in block: Block, effects: [[UInt8]], signerKey: VerifyingKey,
    log: (index: UInt64, path: [Digest])?
) -> WireSettledTransaction? {
    guard effects.count == Int(block.header.transactionCount),
        let place = block.envelopes.firstIndex(where: { $0.id == id.envelope })
    else { return nil }
    let envelope = block.envelopes[place]
    let index = Int(id.index)
    let blockIndex = block.envelopes[..<place].reduce(index) { $0 + $1.transactions.count }
    guard envelope.transactions.indices.contains(index),
        let path = inclusionProof(of: index, in: envelope.transactionBytes.map(leafHash)),
        let effectPath = inclusionProof(of: blockIndex, in: effects.map(leafHash))
    else { return nil }
    var wire = WireSettledTransaction()
    wire.envelopeHeader = data(envelope.headerBytes)
    wire.envelopeSignature = data(envelope.signature.bytes)
    wire.signerKey = data(signerKey.bytes)
    wire.index = id.index
    wire.transaction = data(envelope.transactionBytes[index])
    wire.transactionPath = path.map { data($0.bytes) }
    wire.blockIndex = UInt32(blockIndex)
    wire.effect = data(effects[blockIndex])
    wire.effectPath = effectPath.map { data($0.bytes) }
    if let log {
        wire.log.index = log.index
        wire.log.path = log.path.map { data($0.bytes) }
    }
    return wire
}
