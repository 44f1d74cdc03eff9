package import Cryptography
package import Wire

/// Evidence from statements that a node came to see; nil where they are no offence.
///
/// Whether the key is the member's is for the caller to know.
extension Evidence {
    package static func conflict(
        _ first: SignedHeader, _ second: SignedHeader, by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        var body = WireTwoHeaders()
        let (lower, higher) = ordered((first.bytes, first), (second.bytes, second))
        body.first = lower.wire
        body.second = higher.wire
        return make(.twoHeaders(body), first.header.proposer, key, network)
    }

    /// Headers are needed of votes at two slots only: those of the blocks voted for.
    package static func conflict(
        _ first: Vote, _ second: Vote, headers: ([UInt8], [UInt8])? = nil, by key: VerifyingKey,
        network: NetworkID
    ) -> Self? {
        var body = WireTwoVotes()
        let isOneSlot = first.slot == second.slot
        let (lower, higher) = ordered(
            (first.encoded(), (first, headers?.0)), (second.encoded(), (second, headers?.1)))
        body.first = data(lower.0.encoded())
        body.second = data(higher.0.encoded())
        if !isOneSlot {
            body.firstHeader = data(lower.1 ?? [])
            body.secondHeader = data(higher.1 ?? [])
        }
        return make(.twoVotes(body), first.voter, key, network)
    }

    package static func conflict(
        _ first: Status, _ second: Status, by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        var body = WireTwoStatuses()
        let (lower, higher) = ordered((first.bytes, first.bytes), (second.bytes, second.bytes))
        body.first = data(lower)
        body.second = data(higher)
        return make(.twoStatuses(body), first.voter, key, network)
    }

    /// A status against a vote for a block, with that block's header and the certificate in it.
    package static func conflict(
        _ status: Status, _ vote: Vote, header: [UInt8], certificate: Certificate,
        by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        var body = WireHiddenCertificate()
        body.status = data(status.bytes)
        body.vote = data(vote.encoded())
        body.header = data(header)
        body.certificate = data(certificate.bytes)
        return make(.hiddenCertificate(body), status.voter, key, network)
    }

    package static func conflict(
        _ first: Head, _ second: Head, by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        var body = WireInconsistentHeads()
        let (lower, higher) = ordered((first.bytes, first.bytes), (second.bytes, second.bytes))
        body.first = data(lower)
        body.second = data(higher)
        return make(.inconsistentHeads(body), first.account, key, network)
    }

    /// A receipt against the blocks in which its envelope had to stand.
    ///
    /// - Parameters:
    ///   - receipt: of the coordinator.
    ///   - envelopeHeader: what the envelope's id hashes.
    ///   - before: header of the block that the receipt names; nil for genesis.
    ///   - log: after that block.
    ///   - blocks: all up to the promised height, ascending.
    ///   - key: the coordinator's.
    ///   - network: to which they belong.
    /// - Returns: nil when the promise was kept, or could not be.
    package static func brokenPromise(
        _ receipt: WireReceipt, envelopeHeader: [UInt8], before: [UInt8]?, log: MerkleFrontier,
        blocks: [Block], by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        guard let coordinator = blocks.first?.header.proposer else { return nil }
        var body = WireBrokenPromise()
        body.receipt = data(receipt.encoded())
        body.envelopeHeader = data(envelopeHeader)
        body.before = data(before ?? [])
        body.logPeaks = log.peaks.map { data($0.bytes) }
        body.blocks = blocks.map { data($0.bytes) }
        return make(.brokenPromise(body), coordinator, key, network)
    }

    /// A block that a voter refused as an offence; it convicts by re-execution.
    package static func invalidBlock(
        _ block: [UInt8], by key: VerifyingKey, network: NetworkID
    ) -> Self? {
        guard let suspect = try? SuspectBlock(strictly: block, network: network) else { return nil }
        var body = WireInvalidBlock()
        body.block = data(block)
        return make(.invalidBlock(body), suspect.signed.header.proposer, key, network)
    }

    private static func make(
        _ body: WireEvidence.OneOf_Body, _ offender: AccountID, _ key: VerifyingKey,
        _ network: NetworkID
    ) -> Self? {
        var wire = WireEvidence()
        wire.network = data(network.digest.bytes)
        wire.offender = offender.text
        wire.key = data(key.bytes)
        wire.body = body
        guard let evidence = try? Self(strictly: wire.encoded(), network: network) else {
            return nil
        }
        do {
            _ = try evidence.offence { _, _ in true }
        } catch {
            guard error == .needsChain else { return nil }
        }
        return evidence
    }

    private static func ordered<Content>(
        _ first: ([UInt8], Content), _ second: ([UInt8], Content)
    ) -> (Content, Content) {
        second.0.lexicographicallyPrecedes(first.0) ? (second.1, first.1) : (first.1, second.1)
    }
}
