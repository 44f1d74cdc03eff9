package import Cryptography
package import Wire

/// Why a proof does not show that a block is settled.
package enum ProofFault: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case malformed(WireFault)
    case foreignNetwork
    /// A part of it that is not well formed, and what is wrong.
    case badPart(String, String)
    case badTerm(Term, String)
    case badHeader(Slot, String)
    case badCertificate(VoteFault)
    case notSettled
    case noCheckpoint(Height)
    case badTransaction(String)

    package var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the proof has \(bytes) bytes, at most \(SettlementProof.maximumBytes) are admitted"
        case .malformed(let fault): "the proof is malformed: \(fault)"
        case .foreignNetwork: "the proof belongs to another network than the genesis document"
        case .badPart(let part, let reason): "the \(part) in the proof: \(reason)"
        case .badTerm(let term, let reason): "the hand-over to term \(term): \(reason)"
        case .badHeader(let slot, let reason): "the header at \(slot): \(reason)"
        case .badCertificate(let fault): "the certificate of the last header: \(fault)"
        case .notSettled:
            "the last header has no parent of its own term in the proof, so it settles nothing"
        case .noCheckpoint(let height): "block \(height) states no root of the state"
        case .badTransaction(let reason): "the transaction: \(reason)"
        }
    }
}

/// What a proof shows to be settled.
package struct SettledBlock: Hashable, Sendable {
    package let slot: Slot
    package let hash: Digest
    package let timeMilliseconds: UInt64
    /// Nil when the proof is of the block alone.
    package let transaction: SettledTransaction?
}

/// A transaction that stands in a settled block, and what it did there.
package struct SettledTransaction: Hashable, Sendable {
    package let id: TransactionID
    package let signer: AccountID
    package let content: WireTransaction
    package let effect: WireEffect
    /// Of the transaction in the log of all; nil when the proof does not show it.
    package let logIndex: UInt64?
}

/// A proof, for whoever holds the genesis document alone, that a block is settled.
///
/// It holds the headers from the block to a child that was certified in the same term as its own
/// parent, the certificate, and of every later term its opening and the certificate of its second
/// block: until then a quorum of the voters before must agree to those after.
package struct SettlementProof: Hashable, Sendable {
    package static let maximumBytes = 8 << 20

    package let bytes: [UInt8]
    let wire: WireSettlementProof

    package init(strictly bytes: [UInt8]) throws(ProofFault) {
        guard bytes.count <= Self.maximumBytes else { throw .tooLarge(bytes: bytes.count) }
        do {
            wire = try WireSettlementProof(strictly: bytes)
        } catch { throw .malformed(error) }
        self.bytes = bytes
    }

    /// Checks the whole proof.
    ///
    /// - Parameter genesis: all that is trusted.
    /// - Returns: what is settled.
    /// - Throws: the first thing that does not hold.
    package func check(genesis: Genesis) throws(ProofFault) -> SettledBlock {
        let (block, _) = try provenBlock(genesis: genesis)
        return SettledBlock(
            slot: block.slot, hash: block.hash, timeMilliseconds: block.header.timeMilliseconds,
            transaction: wire.hasTransaction
                ? try settled(wire.transaction, in: block, network: genesis.network) : nil)
    }

    /// Checks that the first of the headers is settled.
    ///
    /// - Returns: its block, and the terms up to the last header.
    func provenBlock(
        genesis: Genesis
    ) throws(ProofFault) -> (block: SignedHeader, terms: TermHistory) {
        let network = genesis.network
        guard [UInt8](wire.network) == network.digest.bytes else { throw .foreignNetwork }
        var chain = ProvenTerms(genesis: genesis)
        for link in wire.terms { try chain.follow(link) }
        let headers = try headers(network)
        try chain.check(headers)
        guard let block = headers.first, let last = headers.last, headers.count > 1,
            headers[headers.count - 2].slot.term == last.slot.term,
            last.slot.term == chain.history.newest.term
        else { throw .notSettled }
        let certificate: Certificate
        do {
            certificate = try Certificate(strictly: [UInt8](wire.certificate))
        } catch { throw .badPart("certificate", "\(error)") }
        guard certificate.block == last.hash, certificate.slot == last.slot else {
            throw .badPart("certificate", "it is of another block than the last header")
        }
        let sets = try chain.certifying(last)
        do {
            try certificate.verify(by: sets, network: network)
        } catch { throw .badCertificate(error) }
        return (block, chain.history)
    }

    private func headers(_ network: NetworkID) throws(ProofFault) -> [SignedHeader] {
        var headers: [SignedHeader] = []
        for (index, content) in wire.headers.enumerated() {
            do {
                headers.append(try SignedHeader(content, network: network))
            } catch { throw .badPart("header \(index + 1)", "\(error)") }
        }
        return headers
    }

    private func settled(
        _ wire: WireSettledTransaction, in block: SignedHeader, network: NetworkID
    ) throws(ProofFault) -> SettledTransaction {
        let header: WireEnvelopeHeader
        let content: WireTransaction
        let effect: WireEffect
        let transaction = [UInt8](wire.transaction)
        do {
            header = try WireEnvelopeHeader(strictly: [UInt8](wire.envelopeHeader))
            content = try WireTransaction(strictly: transaction)
            effect = try WireEffect(strictly: [UInt8](wire.effect))
        } catch { throw .badPart("transaction", "\(error)") }
        guard let signer = AccountID(header.signer), let key = VerifyingKey(wire.signerKey),
            let signature = Signature(wire.envelopeSignature),
            let root = Digest(header.transactionsRoot)
        else { throw .badPart("envelope", "a field is not well formed") }
        let message = payload(.envelope, network: network, [UInt8](wire.envelopeHeader))
        guard key.verifies(signature, of: message) else {
            throw .badTransaction("its envelope is not signed by the key stated")
        }
        let id = TransactionID(envelope: Digest.sha256(message), index: wire.index)
        guard
            verifiesInclusion(
                of: leafHash(transaction), at: UInt64(wire.index),
                size: UInt64(header.transactionCount), path: try digests(wire.transactionPath),
                root: root)
        else { throw .badTransaction("it is not one of its envelope") }
        guard effect.envelope == data(id.envelope.bytes), effect.index == id.index else {
            throw .badTransaction("the effect is of another transaction")
        }
        guard
            verifiesInclusion(
                of: leafHash([UInt8](wire.effect)), at: UInt64(wire.blockIndex),
                size: UInt64(block.header.transactionCount), path: try digests(wire.effectPath),
                root: block.header.effectsRoot)
        else { throw .badTransaction("the effect is not one of the block") }
        if wire.hasLog {
            let before = block.header.logSize.subtractingReportingOverflow(
                UInt64(block.header.transactionCount))
            guard !before.overflow,
                before.partialValue &+ UInt64(wire.blockIndex) == wire.log.index,
                verifiesInclusion(
                    of: logLeaf(id.envelope, id.index, transaction), at: wire.log.index,
                    size: block.header.logSize, path: try digests(wire.log.path),
                    root: block.header.logRoot)
            else { throw .badTransaction("it does not stand there in the log") }
        }
        return SettledTransaction(
            id: id, signer: signer, content: content, effect: effect,
            logIndex: wire.hasLog ? wire.log.index : nil)
    }

    private func digests(_ path: [some Collection<UInt8>]) throws(ProofFault) -> [Digest] {
        let digests = path.compactMap { Digest($0) }
        guard digests.count == path.count else {
            throw .badPart("path", "a hash has not 32 bytes")
        }
        return digests
    }
}
