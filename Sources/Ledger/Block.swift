package import Cryptography
package import Wire

/// Why bytes are not a block, before anything is executed.
package enum BlockFault: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case malformed(WireFault)
    case unknownVersion(UInt32)
    case foreignNetwork
    case badField(String)
    case badEnvelope(index: Int, EnvelopeFault)
    case wrongCount(stated: UInt32, found: Int)
    case badCertificate(VoteFault)
    case certificateOfAnother
    case badOpening(TermFault)
    case openingOfAnother
    case badSignature

    package var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the block has \(bytes) bytes, at most \(Block.maximumBytes) are admitted"
        case .malformed(let fault): "the block is malformed: \(fault)"
        case .unknownVersion(let version):
            "the block has version \(version), this program knows 1; install a newer one"
        case .foreignNetwork: "the block belongs to another network"
        case .badField(let name): "the header's \(name) is not well formed"
        case .badEnvelope(let index, let fault): "envelope \(index) of the block: \(fault)"
        case .wrongCount(let stated, let found):
            "the header counts \(stated) transactions, the block holds \(found)"
        case .badCertificate(let fault): "the certificate that the block carries: \(fault)"
        case .certificateOfAnother:
            "the certificate that the block carries is not that of its parent"
        case .badOpening(let fault): "the opening that the block carries: \(fault)"
        case .openingOfAnother: "the opening that the block carries is not the one its header names"
        case .badSignature: "the coordinator's signature is not good"
        }
    }
}

/// A block header in the ledger's own types.
package struct BlockHeader: Hashable, Sendable {
    package var slot: Slot
    package var previous: Digest
    package var timeMilliseconds: UInt64
    package var proposer: AccountID
    package var transactionCount: UInt32
    package var logSize: UInt64
    package var logRoot: Digest
    package var effectsRoot: Digest
    package var stateRoot: Digest
    package var voters: Digest
    package var parentCertificate: Digest
    /// Set in the first block of a term.
    package var opening: Digest?

    package init(
        slot: Slot, previous: Digest, timeMilliseconds: UInt64, proposer: AccountID,
        transactionCount: UInt32, logSize: UInt64, logRoot: Digest, effectsRoot: Digest,
        stateRoot: Digest, voters: Digest, parentCertificate: Digest, opening: Digest?
    ) {
        self.slot = slot
        self.previous = previous
        self.timeMilliseconds = timeMilliseconds
        self.proposer = proposer
        self.transactionCount = transactionCount
        self.logSize = logSize
        self.logRoot = logRoot
        self.effectsRoot = effectsRoot
        self.stateRoot = stateRoot
        self.voters = voters
        self.parentCertificate = parentCertificate
        self.opening = opening
    }

    package init(strictly bytes: [UInt8], network: NetworkID) throws(BlockFault) {
        let wire: WireBlockHeader
        do { wire = try WireBlockHeader(strictly: bytes) } catch { throw .malformed(error) }
        guard wire.version == 1 else { throw .unknownVersion(wire.version) }
        guard [UInt8](wire.network) == network.digest.bytes else { throw .foreignNetwork }
        func digest(_ bytes: some Collection<UInt8>, _ name: String) throws(BlockFault) -> Digest {
            guard let digest = Digest(bytes) else { throw .badField(name) }
            return digest
        }
        guard let proposer = AccountID(wire.proposer) else { throw .badField("proposer") }
        try self.init(
            slot: Slot(term: Term(wire.term), height: Height(wire.height)),
            previous: digest(wire.previous, "previous"), timeMilliseconds: wire.timeMs,
            proposer: proposer, transactionCount: wire.transactionCount, logSize: wire.logSize,
            logRoot: digest(wire.logRoot, "log root"),
            effectsRoot: digest(wire.effectsRoot, "effects root"),
            stateRoot: digest(wire.stateRoot, "state root"), voters: digest(wire.voters, "voters"),
            parentCertificate: digest(wire.parentCertificate, "parent certificate"),
            opening: wire.opening.isEmpty ? nil : digest(wire.opening, "opening"))
    }

    package func encoded(network: NetworkID) -> [UInt8] {
        var wire = WireBlockHeader()
        wire.version = 1
        wire.network = data(network.digest.bytes)
        wire.term = slot.term.value
        wire.height = slot.height.value
        wire.previous = data(previous.bytes)
        wire.timeMs = timeMilliseconds
        wire.proposer = proposer.text
        wire.transactionCount = transactionCount
        wire.logSize = logSize
        wire.logRoot = data(logRoot.bytes)
        wire.effectsRoot = data(effectsRoot.bytes)
        wire.stateRoot = data(stateRoot.bytes)
        wire.voters = data(voters.bytes)
        wire.parentCertificate = data(parentCertificate.bytes)
        wire.opening = data(opening?.bytes ?? [])
        return wire.encoded()
    }
}

/// The opening that a block carries; nil in term 1, which the genesis document opens.
private func openingCarried(
    by wire: WireBlock, _ header: BlockHeader, network: NetworkID
) throws(BlockFault) -> Opening? {
    var opening: Opening?
    if !wire.opening.isEmpty {
        do {
            opening = try Opening(strictly: [UInt8](wire.opening), network: network)
        } catch { throw .badOpening(error) }
    }
    let isGenesisOpening = header.slot == Slot(term: .first, height: Height(1))
    guard header.opening == (isGenesisOpening ? network.digest : opening?.hash),
        opening?.decision.term ?? header.slot.term == header.slot.term,
        !isGenesisOpening || opening == nil
    else { throw .openingOfAnother }
    return opening
}

/// A proposed block: header, the coordinator's signature, envelopes, its parent's certificate.
package struct Block: Hashable, Sendable {
    package static let maximumBytes = 4 << 20

    package let bytes: [UInt8]
    package let hash: Digest
    package let header: BlockHeader
    package let headerBytes: [UInt8]
    package let signature: Signature
    package let envelopes: [Envelope]
    /// Nil at height 1, whose parent is certified by definition.
    package let parentCertificate: Certificate?
    /// Of the first block of a term above 1.
    package let opening: Opening?

    package var slot: Slot { header.slot }
    package var height: Height { header.slot.height }
    /// Whether it is the first block of its term.
    package var isFirst: Bool { header.opening != nil }

    /// Signs a header over its envelopes.
    package init(
        header: BlockHeader, envelopes: [Envelope], parentCertificate: Certificate?,
        opening: Opening? = nil, network: NetworkID, key: SigningKey
    ) throws {
        self.header = header
        self.envelopes = envelopes
        self.parentCertificate = parentCertificate
        self.opening = opening
        headerBytes = header.encoded(network: network)
        hash = payloadHash(.block, network: network, headerBytes)
        signature = try key.sign(payload(.block, network: network, headerBytes))
        var wire = WireBlock()
        wire.header = data(headerBytes)
        wire.signature = data(signature.bytes)
        wire.envelopes = envelopes.map { data($0.bytes) }
        wire.parentCertificate = data(parentCertificate?.bytes ?? [])
        wire.opening = data(opening?.bytes ?? [])
        bytes = wire.encoded()
    }

    package init(strictly bytes: [UInt8], network: NetworkID) throws(BlockFault) {
        guard bytes.count <= Self.maximumBytes else { throw .tooLarge(bytes: bytes.count) }
        let wire: WireBlock
        do { wire = try WireBlock(strictly: bytes) } catch { throw .malformed(error) }
        headerBytes = [UInt8](wire.header)
        header = try BlockHeader(strictly: headerBytes, network: network)
        guard let signature = Signature(wire.signature) else { throw .badField("signature") }
        self.signature = signature
        var envelopes: [Envelope] = []
        for (index, content) in wire.envelopes.enumerated() {
            do {
                envelopes.append(try Envelope(strictly: [UInt8](content), network: network))
            } catch { throw .badEnvelope(index: index, error) }
        }
        let count = envelopes.reduce(0) { $0 + $1.transactions.count }
        guard count == Int(header.transactionCount) else {
            throw .wrongCount(stated: header.transactionCount, found: count)
        }
        self.envelopes = envelopes
        if wire.parentCertificate.isEmpty {
            parentCertificate = nil
        } else {
            do {
                parentCertificate = try Certificate(strictly: [UInt8](wire.parentCertificate))
            } catch { throw .badCertificate(error) }
        }
        let carried = parentCertificate?.hash(network: network) ?? .zero
        guard carried == header.parentCertificate,
            (parentCertificate == nil) == (header.slot.height.value == 1),
            parentCertificate?.block ?? header.previous == header.previous
        else { throw .certificateOfAnother }
        opening = try openingCarried(by: wire, header, network: network)
        self.bytes = bytes
        hash = payloadHash(.block, network: network, headerBytes)
    }

    package func verifySignature(by key: VerifyingKey, network: NetworkID) throws(BlockFault) {
        let message = payload(.block, network: network, headerBytes)
        guard key.verifies(signature, of: message) else { throw .badSignature }
    }
}
