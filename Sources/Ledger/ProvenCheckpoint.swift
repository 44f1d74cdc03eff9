package import Cryptography
import Wire

/// A checkpoint that is proven to be settled, for whoever holds the genesis document alone.
///
/// Its header states the root of all contract state, so that a state can be taken from anybody.
package struct ProvenCheckpoint: Hashable, Sendable {
    package let proof: SettlementProof
    package let header: BlockHeader
    package let hash: Digest
    /// Up to the checkpoint's block.
    package let terms: TermHistory
    /// Of all transactions up to the checkpoint's block.
    package let log: MerkleFrontier

    package var height: Height { header.slot.height }

    /// Checks a proof that a peer sent.
    ///
    /// - Parameters:
    ///   - proof: of the checkpoint's block.
    ///   - logPeaks: roots of the log's complete subtrees, largest first, 32 bytes each.
    ///   - genesis: all that is trusted.
    /// - Throws: the first thing that does not hold.
    package init(
        _ proof: SettlementProof, logPeaks: [UInt8], genesis: Genesis
    ) throws(ProofFault) {
        let (block, history) = try proof.provenBlock(genesis: genesis)
        let header = block.header
        guard header.stateRoot != .zero else { throw .noCheckpoint(header.slot.height) }
        guard let log = MerkleFrontier(size: header.logSize, peaks: logPeaks),
            log.root == header.logRoot
        else { throw .badPart("log", "its subtrees do not come to the header's root") }
        self.proof = proof
        self.header = header
        self.log = log
        hash = block.hash
        terms = TermHistory(
            genesis: genesis, openings: history.openings(upTo: header.slot.height),
            upTo: header.slot.height)
    }

    /// The openings of the terms after the first that begin at or below a height, ascending.
    ///
    /// Nothing is checked; for whoever checked the proof before.
    ///
    /// - Throws: ``ProofFault`` when a part of it is malformed.
    package static func openings(
        in proof: SettlementProof, upTo height: Height, network: NetworkID
    ) throws(ProofFault) -> [(height: Height, opening: Opening)] {
        var openings: [(height: Height, opening: Opening)] = []
        for link in proof.wire.terms {
            do {
                let first = try SignedHeader(link.first, network: network)
                guard first.slot.height <= height else { break }
                openings.append(
                    (
                        first.slot.height,
                        try Opening(strictly: [UInt8](link.opening), network: network)
                    ))
            } catch { throw .badPart("opening", "\(error)") }
        }
        return openings
    }
}

extension MerkleFrontier {
    /// A stored or received frontier; nil unless there is one peak per set bit of `size`.
    ///
    /// - Parameters:
    ///   - size: number of leaves.
    ///   - peaks: roots of the complete subtrees, largest first, 32 bytes each.
    package init?(size: UInt64, peaks: [UInt8]) {
        guard peaks.count == size.nonzeroBitCount * 32 else { return nil }
        self.init(
            size: size,
            peaks: stride(from: 0, to: peaks.count, by: 32).compactMap {
                Digest(peaks[$0..<$0 + 32])
            })
    }
}

extension TermHistory {
    fileprivate func openings(upTo height: Height) -> [(height: Height, opening: Opening)] {
        terms.compactMap { rules in
            rules.firstHeight <= height ? rules.opening.map { (rules.firstHeight, $0) } : nil
        }
    }
}
