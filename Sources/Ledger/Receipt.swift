package import Cryptography
package import Wire

/// The coordinator's signed promise to order an envelope by a height.
///
/// It names the block above which it was given: a term change that drops that block drops the
/// promise with it.
package struct Receipt: Hashable, Sendable {
    package let envelope: Digest
    package let acceptedAfter: Height
    package let includedBy: Height
    /// The network's id at height 0.
    package let block: Digest
    package let wire: WireReceipt

    package init(
        envelope: Digest, acceptedAfter: Height, block: Digest, promise: UInt64,
        network: NetworkID, key: SigningKey
    ) throws {
        self.envelope = envelope
        self.acceptedAfter = acceptedAfter
        self.block = block
        includedBy = acceptedAfter.advanced(by: promise)
        var statement = WireReceiptStatement()
        statement.envelope = data(envelope.bytes)
        statement.acceptedAfterHeight = acceptedAfter.value
        statement.includedByHeight = includedBy.value
        statement.acceptedAfterBlock = data(block.bytes)
        let bytes = statement.encoded()
        var wire = WireReceipt()
        wire.statement = data(bytes)
        wire.signature = data(try key.sign(payload(.receipt, network: network, bytes)).bytes)
        self.wire = wire
    }

    /// Reads a receipt and checks its signature.
    ///
    /// - Returns: nil when it is malformed or not the coordinator's.
    package init?(_ wire: WireReceipt, coordinator: VerifyingKey, network: NetworkID) {
        let bytes = [UInt8](wire.statement)
        guard let statement = try? WireReceiptStatement(strictly: bytes),
            let envelope = Digest(statement.envelope),
            let block = Digest(statement.acceptedAfterBlock),
            let signature = Signature(wire.signature),
            coordinator.verifies(signature, of: payload(.receipt, network: network, bytes))
        else { return nil }
        self.envelope = envelope
        self.block = block
        acceptedAfter = Height(statement.acceptedAfterHeight)
        includedBy = Height(statement.includedByHeight)
        self.wire = wire
    }
}
