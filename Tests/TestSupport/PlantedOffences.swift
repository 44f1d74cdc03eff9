import Cryptography
package import Ledger
import Wire

extension ProvenChain {
    /// Evidence of every kind that convicts a founder by its statements alone.
    package func plantedOffences() throws -> [Evidence] {
        try [
            twoHeaders(), twoFirstBlocks(), twoVotes(), votesForFirstBlocks(), twoStatuses(),
            hiddenCertificate(), inconsistentHeads(), brokenPromise(after: 0),
            brokenPromise(after: 1),
        ].map { try $0.orThrow("evidence") }
    }

    /// A block of the first coordinator with its header changed, signed again, and nothing else.
    package func altered(
        _ place: Int, _ change: (inout BlockHeader) -> Void
    ) throws -> [UInt8] {
        let header = try signed(place, change)
        var wire = try WireBlock(strictly: blocks[place].bytes)
        wire.header = data(header.bytes)
        wire.signature = data(header.signature.bytes)
        return wire.encoded()
    }

    private func signed(
        _ place: Int, _ change: (inout BlockHeader) -> Void
    ) throws -> SignedHeader {
        var header = blocks[place].header
        change(&header)
        let bytes = header.encoded(network: network)
        return try SignedHeader(
            bytes: bytes,
            signature: signingKey(of: Consortium.coordinator)
                .sign(payload(.block, network: network, bytes)).bytes,
            network: network)
    }

    private func vote(_ header: SignedHeader) throws -> Vote {
        try Vote(
            voter: Consortium.east, slot: header.slot, block: header.hash, network: network,
            key: voteKey(of: Consortium.east))
    }

    private func status(_ reason: String, highest: Certificate? = nil) throws -> Status {
        var wire = WireDecision()
        wire.term = 9
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
        wire.voters = genesis.voters.wire
        wire.reason = reason
        return try Status(
            decision: Decision(strictly: wire.encoded(), network: network), lastVote: nil,
            highest: highest, voter: Consortium.east, network: network,
            key: voteKey(of: Consortium.east))
    }

    private func twoHeaders() throws -> Evidence? {
        .conflict(
            SignedHeader(blocks[1]), try signed(1) { $0.timeMilliseconds += 1 },
            by: try signingKey(of: Consortium.coordinator).verifyingKey, network: network)
    }

    private func twoFirstBlocks() throws -> Evidence? {
        .conflict(
            SignedHeader(blocks[0]),
            try signed(0) { $0.slot = Slot(term: .first, height: Height(2)) },
            by: try signingKey(of: Consortium.coordinator).verifyingKey, network: network)
    }

    private func twoVotes() throws -> Evidence? {
        .conflict(
            try vote(SignedHeader(blocks[1])), try vote(signed(1) { $0.timeMilliseconds += 1 }),
            by: try voteKey(of: Consortium.east).verifyingKey, network: network)
    }

    private func votesForFirstBlocks() throws -> Evidence? {
        let rival = try signed(0) { $0.slot = Slot(term: .first, height: Height(2)) }
        return .conflict(
            try vote(SignedHeader(blocks[0])), try vote(rival),
            headers: (blocks[0].headerBytes, rival.bytes),
            by: try voteKey(of: Consortium.east).verifyingKey, network: network)
    }

    private func twoStatuses() throws -> Evidence? {
        .conflict(
            try status("one"), try status("another"),
            by: try voteKey(of: Consortium.east).verifyingKey, network: network)
    }

    private func hiddenCertificate() throws -> Evidence? {
        .conflict(
            try status("to hide one", highest: certificates[0]),
            try vote(SignedHeader(blocks[2])), header: blocks[2].headerBytes,
            certificate: certificates[1], by: try voteKey(of: Consortium.east).verifyingKey,
            network: network)
    }

    private func inconsistentHeads() throws -> Evidence? {
        let key = try signingKey(of: Consortium.east)
        func head(_ block: Digest) throws -> Head {
            try Head(
                account: Consortium.east, settled: Slot(term: .first, height: Height(1)),
                block: block, logSize: 3, logRoot: .zero, network: network, key: key)
        }
        return .conflict(
            try head(blocks[0].hash), try head(.zero), by: key.verifyingKey, network: network)
    }

    /// An envelope of the north that stands in no block, promised two blocks after a height.
    private func brokenPromise(after height: Int) throws -> Evidence? {
        let envelope = try Envelope(
            strictly: signedEnvelope(
                [.grant(named("forgotten"))], signer: Consortium.north, sequence: 1,
                notAfter: Height(100), network: network, key: signingKey(of: Consortium.north)),
            network: network)
        let key = try signingKey(of: Consortium.coordinator)
        let before = height == 0 ? nil : blocks[height - 1]
        let receipt = try Receipt(
            envelope: envelope.id, acceptedAfter: Height(UInt64(height)),
            block: before?.hash ?? network.digest, promise: 2, network: network, key: key)
        var log = MerkleFrontier()
        for leaf in leaves.prefix(Int(before?.header.logSize ?? 0)) { log.append(leaf) }
        return .brokenPromise(
            receipt.wire, envelopeHeader: envelope.headerBytes, before: before?.headerBytes,
            log: log, blocks: Array(blocks[height..<height + 2]), by: key.verifyingKey,
            network: network)
    }

    /// The chain as `Protocols/ledger.md`, "Exported chain", writes it.
    package func exported(_ blocks: [Block]? = nil) -> [UInt8] {
        Array("tally/chain/v1".utf8) + [0] + network.digest.bytes
            + (blocks ?? self.blocks).flatMap { bigEndian(UInt32($0.bytes.count)) + $0.bytes }
    }
}
