package import Cryptography
import Wire

/// A block that may break any rule of its body: a header, and what the header binds.
///
/// The signature covers the header alone, and whoever shows the block could have changed the rest.
/// What the header's hashes bind counts against the proposer: certificate, opening, and, once the
/// log root was recomputed, headers and transactions of the envelopes. Signatures of envelopes are
/// bound by nothing.
package struct SuspectBlock: Hashable, Sendable {
    package let signed: SignedHeader
    /// Empty at height 1.
    package let certificate: [UInt8]
    /// Empty unless the header names one.
    package let opening: [UInt8]
    /// Encoded envelopes, each with a signature of zero bytes.
    package let envelopes: [[UInt8]]
    /// Of every transaction, in order.
    package let logLeaves: [Digest]

    package init(strictly bytes: [UInt8], network: NetworkID) throws(EvidenceFault) {
        guard bytes.count <= Block.maximumBytes else {
            throw .badPart("block", "\(BlockFault.tooLarge(bytes: bytes.count))")
        }
        let wire: WireBlock
        do { wire = try WireBlock(strictly: bytes) } catch { throw .badPart("block", "\(error)") }
        do {
            signed = try SignedHeader(
                bytes: [UInt8](wire.header), signature: wire.signature, network: network)
        } catch { throw .badPart("block", "\(error)") }
        certificate = [UInt8](wire.parentCertificate)
        opening = [UInt8](wire.opening)
        let carried =
            certificate.isEmpty
            ? .zero : payloadHash(.certificate, network: network, certificate)
        guard carried == signed.header.parentCertificate else {
            throw .provesNothing("the header binds another certificate")
        }
        if opening.isEmpty {
            // The genesis document opens term 1; it travels in no block.
            guard [nil, network.digest].contains(signed.header.opening) else {
                throw .provesNothing("the header binds an opening")
            }
        } else {
            guard payloadHash(.opening, network: network, opening) == signed.header.opening else {
                throw .provesNothing("the header binds another opening")
            }
        }
        var envelopes: [[UInt8]] = []
        var leaves: [Digest] = []
        for content in wire.envelopes {
            var envelope: WireEnvelope
            do {
                envelope = try WireEnvelope(strictly: [UInt8](content))
            } catch { throw .badPart("block", "\(error)") }
            let id = payloadHash(.envelope, network: network, [UInt8](envelope.header))
            for (index, transaction) in envelope.transactions.enumerated() {
                leaves.append(logLeaf(id, UInt32(index), [UInt8](transaction)))
            }
            envelope.signature = data([UInt8](repeating: 0, count: 64))
            envelopes.append(envelope.encoded())
        }
        self.envelopes = envelopes
        logLeaves = leaves
    }
}
