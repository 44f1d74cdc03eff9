package import Cryptography
package import Wire

/// A block's header with its coordinator's signature: all that a block is named by.
package struct SignedHeader: Hashable, Sendable {
    package let header: BlockHeader
    package let bytes: [UInt8]
    package let signature: Signature
    package let hash: Digest

    package var slot: Slot { header.slot }
    /// Whether it is of the first block of its term.
    package var isFirst: Bool { header.opening != nil }

    package init(_ block: Block) {
        header = block.header
        bytes = block.headerBytes
        signature = block.signature
        hash = block.hash
    }

    package init(_ wire: WireSignedHeader, network: NetworkID) throws(BlockFault) {
        try self.init(
            bytes: [UInt8](wire.header), signature: wire.signature, network: network)
    }

    package init(
        bytes: [UInt8], signature: some Collection<UInt8>, network: NetworkID
    ) throws(BlockFault) {
        header = try BlockHeader(strictly: bytes, network: network)
        guard let signature = Signature(signature) else { throw .badField("signature") }
        self.bytes = bytes
        self.signature = signature
        hash = payloadHash(.block, network: network, bytes)
    }

    package var wire: WireSignedHeader {
        var wire = WireSignedHeader()
        wire.header = data(bytes)
        wire.signature = data(signature.bytes)
        return wire
    }

    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.block, network: network, bytes))
    }
}
