import Contracts
package import Cryptography
import Federation
package import Ledger
import Storage
import Wire

/// An offence that this node knows, and whether the chain has recorded it.
package struct KnownOffence: Sendable {
    package let id: Digest
    package let offence: Offence
    package let evidence: Evidence
    package let isRecorded: Bool
    /// Whether this node claimed it on the chain, where others must claim it as well.
    package let isClaimed: Bool
    /// Whether another node, or an earlier run of this one, showed it.
    package let wasShown: Bool
}

/// Finding out who signed what no honest member signs.
///
/// Blocks that this node takes are noted as they are; what others show of their chains is noted when
/// it differs from this node's. `Protocols/evidence.md` says what convicts.
extension NodeCore {
    /// Ids of evidence told at one heartbeat.
    static let evidenceLimit = 16

    // MARK: the own chain

    /// Notes a vote for another block than the head, which no honest voter gives beside it.
    func noteForeign(_ vote: Vote) {
        guard vote.block != replica.head.hash else { return }
        noteVotes([vote])
    }

    /// The block of this node's chain at a height, settled or above.
    private func ownHash(at slot: Slot) throws -> Digest? {
        guard slot.height > replica.settled.height else { return try store.hash(at: slot.height) }
        return replica.unsettled.first { $0.tip.slot == slot }?.tip.hash
    }

    /// Notes what this node's chain holds at a height that another chain reaches as well.
    private func noteOwn(at height: Height) throws {
        guard height <= replica.settled.height else { return }
        if let header = try store.signedHeader(at: height) {
            evidence.note(header, key: terms.rules(at: height).coordinatorKey)
        }
        let certificate = try store.parentCertificate(at: height.next)
        if let certificate = try? Certificate(strictly: certificate) {
            noteVotes(certificate.votes)
        }
    }

    // MARK: what others show

    /// Notes what another node tells of its chain.
    func noteStatements(in exchange: WireExchange) throws {
        if let head = try? Head(strictly: [UInt8](exchange.head)) { note(head) }
        if exchange.hasNewest, let header = try? SignedHeader(exchange.newest, network: network) {
            try note(header)
        }
        if let certificate = try? Certificate(strictly: [UInt8](exchange.certificate)) {
            try note(certificate)
        }
        var bad = 0
        for bytes in exchange.statuses.prefix(TermDesk.signatureLimit)
        where bad < TermDesk.badLimit {
            guard let report = try? WireStatusReport(strictly: [UInt8](bytes)),
                let status = try? Status(strictly: [UInt8](report.status))
            else { continue }
            if !note(status) { bad += 1 }
        }
    }

    private var network: NetworkID { genesis.network }

    private func note(_ head: Head) {
        let keys = members.keys(of: head.account)
        guard !keys.contains(where: { evidence.knows(head, key: $0) }),
            let key = keys.first(where: { head.isSigned(by: $0, network: network) })
        else { return }
        evidence.note(head, key: key)
    }

    /// - Returns: whether a member signed it.
    private func note(_ status: Status) -> Bool {
        let keys = members.keys(of: status.voter)
        guard !keys.contains(where: { evidence.knows(status, key: $0) }) else { return true }
        guard let key = keys.first(where: { status.isSigned(by: $0, network: network) }) else {
            return false
        }
        evidence.note(status, key: key)
        return true
    }

    /// Notes a header of another chain than this node's.
    private func note(_ header: SignedHeader) throws {
        guard try ownHash(at: header.slot) != header.hash,
            let key = members.keys(of: header.header.proposer).first(where: {
                evidence.knows(header, key: $0) || header.isSigned(by: $0, network: network)
            })
        else { return }
        try noteOwn(at: header.slot.height)
        if header.isFirst, let rules = terms.rules(of: header.slot.term) {
            try noteOwn(at: rules.firstHeight)
        }
        evidence.note(header, key: key)
    }

    /// Notes the votes for a block of another chain than this node's.
    private func note(_ certificate: Certificate) throws {
        guard try ownHash(at: certificate.slot) != certificate.block else { return }
        try noteOwn(at: certificate.slot.height)
        noteVotes(Array(certificate.votes.prefix(TermDesk.signatureLimit)))
    }

    /// Notes votes whose keys are not known yet; one that nobody signed is left out.
    private func noteVotes(_ votes: [Vote]) {
        var bad = 0
        for vote in votes where bad < TermDesk.badLimit {
            let key = members.keys(of: vote.voter).first {
                vote.isSigned(by: $0, network: network)
            }
            if let key { evidence.note(vote, key: key) } else { bad += 1 }
        }
    }

    // MARK: blocks that break a rule

    /// Notes a refused block: it may be the second at its slot, or invalid.
    func noteRefused(_ bytes: [UInt8], _ refusal: BlockRefusal) throws {
        guard let suspect = try? SuspectBlock(strictly: bytes, network: network) else { return }
        let signed = suspect.signed
        try note(signed)
        guard refusal.isOffence,
            let key = members.keys(of: signed.header.proposer).first(where: {
                signed.isSigned(by: $0, network: network)
            }),
            let found = Evidence.invalidBlock(bytes, by: key, network: network)
        else { return }
        do throws(ReexecutionFault) {
            _ = try replica.brokenRule(by: suspect)
        } catch { return }
        evidence.add(found, of: found.offence(by: suspect))
    }

    // MARK: broken promises

    /// Looks for envelopes that the coordinator had promised to include by now and did not.
    package func checkPromises() throws {
        guard account.role != .coordinator else { return }
        for envelope in try store.waitingEnvelopes()
        where !judgedPromises.contains(envelope.id) && !replica.holds(envelope.id) {
            guard let wire = try store.receipt(of: envelope.id),
                let (receipt, key) = try receipt(wire),
                receipt.includedBy <= replica.settled.height
            else { continue }
            judgedPromises.insert(envelope.id)
            guard let found = try brokenPromise(receipt, envelope, key) else { continue }
            let offence = try found.offence { _, _ in true }
            evidence.add(found, of: offence)
        }
    }

    /// A receipt with the key of the coordinator that gave it above a block of this chain.
    private func receipt(
        _ wire: WireReceipt
    ) throws -> (receipt: Receipt, key: VerifyingKey)? {
        for key in Set(terms.terms.map(\.coordinatorKey)) {
            guard let receipt = Receipt(wire, coordinator: key, network: network) else { continue }
            return (receipt, key)
        }
        return nil
    }

    private func brokenPromise(
        _ receipt: Receipt, _ envelope: Envelope, _ key: VerifyingKey
    ) throws -> Evidence? {
        let after = receipt.acceptedAfter
        let before = after == .genesis ? nil : try store.signedHeader(at: after)
        guard try store.snapshot() == nil, receipt.block == before?.hash ?? network.digest,
            receipt.includedBy.value - after.value <= Self.promiseLimit
        else { return nil }
        var blocks: [Block] = []
        var height = after
        while height < receipt.includedBy {
            height = height.next
            guard let block = try store.block(at: height) else { return nil }
            blocks.append(block)
        }
        return .brokenPromise(
            receipt.wire, envelopeHeader: envelope.headerBytes, before: before?.bytes,
            log: try store.log(upTo: before?.header.logSize ?? 0), blocks: blocks, by: key,
            network: network)
    }

    /// Blocks that evidence of a broken promise can hold; an agreement promises fewer.
    private static let promiseLimit: UInt64 = 10_000

    // MARK: cases

    /// Every offence known here, those that the chain has not recorded yet included.
    package func offences() throws -> [KnownOffence] {
        let state = SQLiteState(store)
        return try evidence.found.map { entry in
            let known = try state.value(at: StateKey(.evidence, entry.id.bytes))
                .map { try WireEvidenceState(strictly: $0) }
            return KnownOffence(
                id: entry.id, offence: entry.offence, evidence: entry.evidence,
                isRecorded: known.map { $0.height > 0 } ?? false,
                isClaimed: known?.claims.contains { $0.voter == account.text } ?? false,
                wasShown: shownOffences.contains(entry.id))
        }
    }

    func evidence(of offence: Digest) -> Evidence? { evidence[offence] }

    /// Offences of which this node holds no evidence and has not refused any.
    func unknown(of told: [Digest]) -> [Digest] {
        told.filter { evidence[$0] == nil && !ignoredOffences.contains($0) }
    }

    /// Takes note that evidence of an offence was asked for; again only when a minute has passed.
    ///
    /// A block that this node could not re-execute yet may be one that it can by then.
    func ignore(_ offence: Digest) {
        if clock() &- ignoredSince > 60_000 {
            ignoredOffences = []
            ignoredSince = clock()
        }
        ignoredOffences.insert(offence)
    }

    /// Takes evidence that another node shows, or that was kept before a restart.
    ///
    /// - Returns: whether it is new.
    /// - Throws: ``EvidenceFault`` or ``ReexecutionFault`` when it convicts nobody.
    @discardableResult
    package func take(evidence bytes: [UInt8]) throws -> Bool {
        let shown = try Evidence(strictly: bytes, network: network)
        let offence: Offence
        if shown.kind == .invalidBlock {
            let suspect = try shown.invalidBlock(keys: members)
            _ = try replica.brokenRule(by: suspect)
            offence = shown.offence(by: suspect)
        } else {
            offence = try shown.offence(keys: members)
        }
        let isNew = evidence.add(shown, of: offence)
        let id = offence.id(network: network)
        if isNew { shownOffences.insert(id) }
        return isNew
    }
}
