package import Cryptography
package import Ledger
package import Wire

/// A block as a node keeps it; nothing of it is believed.
package struct StoredBlock: Sendable {
    /// What stands beside the bytes of a settled block.
    package struct Columns: Hashable, Sendable {
        package let hash: [UInt8]
        package let firstIndex: Int64

        package init(hash: [UInt8], firstIndex: Int64) {
            self.hash = hash
            self.firstIndex = firstIndex
        }
    }

    package struct StoredEnvelope: Sendable {
        /// What stands beside the bytes of a settled envelope.
        package struct Columns: Hashable, Sendable {
            package let row: Int64
            package let hash: [UInt8]
            package let height: Int64
            package let firstIndex: Int64

            package init(row: Int64, hash: [UInt8], height: Int64, firstIndex: Int64) {
                self.row = row
                self.hash = hash
                self.height = height
                self.firstIndex = firstIndex
            }
        }

        package let content: [UInt8]
        package let columns: Columns?

        package init(content: [UInt8], columns: Columns?) {
            self.content = content
            self.columns = columns
        }
    }

    /// This node's vote at the block's slot.
    package struct StoredVote: Sendable {
        package let isFirst: Bool
        package let content: [UInt8]

        package init(isFirst: Bool, content: [UInt8]) {
            self.isFirst = isFirst
            self.content = content
        }
    }

    /// Where it is kept, for findings: `table blocks, height 5`.
    package let place: String
    /// Under which it is kept.
    package let height: UInt64
    package let header: [UInt8]
    package let signature: [UInt8]
    package let certificate: [UInt8]
    /// Empty unless the block is the first of a term above 1.
    package let opening: [UInt8]
    package let columns: Columns?
    package let envelopes: [StoredEnvelope]
    package var vote: StoredVote?

    /// A settled block, from its rows.
    package init(
        place: String, height: UInt64, header: [UInt8], signature: [UInt8],
        certificate: [UInt8], opening: [UInt8], columns: Columns, envelopes: [StoredEnvelope]
    ) {
        self.place = place
        self.height = height
        self.header = header
        self.signature = signature
        self.certificate = certificate
        self.opening = opening
        self.columns = columns
        self.envelopes = envelopes
    }

    /// A block kept whole.
    ///
    /// - Throws: what is wrong with bytes that are not the one encoding of a block.
    package init(place: String, height: UInt64, whole bytes: [UInt8]) throws(WireFault) {
        let wire = try WireBlock(strictly: bytes)
        self.place = place
        self.height = height
        header = [UInt8](wire.header)
        signature = [UInt8](wire.signature)
        certificate = [UInt8](wire.parentCertificate)
        opening = [UInt8](wire.opening)
        columns = nil
        envelopes = wire.envelopes.map { StoredEnvelope(content: [UInt8]($0), columns: nil) }
    }

    fileprivate func envelopePlace(_ index: Int) -> String {
        guard let columns = envelopes[index].columns else { return "\(place), envelope \(index)" }
        return "table envelopes, row \(columns.row) (height \(height))"
    }
}

/// What a node keeps as its vote at a block's slot.
package enum OwnVote: Sendable {
    case none
    case unreadable
    case given(by: AccountID)
    /// Its slot and signature are still to be checked.
    case forAnother(Vote, isFirst: Bool)
}

/// A stored block after every check that needs no state, so that blocks can be prepared in any
/// order and at once.
package struct PreparedBlock: Sendable {
    let place: String
    let height: UInt64
    let hash: Digest
    /// Nil when the block breaks a rule of its form.
    let header: BlockHeader?
    let certificate: Certificate?
    /// Nil when one of them is no envelope: the block cannot be executed.
    let envelopes: [Envelope]?
    let places: [String]
    let columns: StoredBlock.Columns?
    let firstIndexes: [Int64?]
    /// The key under which each envelope's signature was found good.
    let verified: [VerifyingKey?]
    let leaves: [Digest]
    let terms: TermPlace
    let vote: OwnVote
    /// Signing keys of members that the block would enrol.
    package let enrolled: [AccountID: VerifyingKey]
    /// Signing keys that members of before would have after it.
    package let renewed: [AccountID: VerifyingKey]
    package let findings: Findings

    /// The ids of the envelopes.
    package var envelopeIDs: [Digest] { envelopes?.map(\.id) ?? [] }

    var acceptedIDs: [Digest] {
        (envelopes ?? []).filter { $0.signer != header?.proposer }.map(\.id)
    }
}

/// Checks a stored block's encodings, hashes and signatures.
///
/// - Parameters:
///   - stored: with this node's vote.
///   - terms: where the block stands among the terms.
///   - network: of the chain.
///   - key: the signing key that a signer probably has; another one costs time only.
/// - Returns: the block as far as it can be read, with what is wrong with it.
package func prepared(
    _ stored: StoredBlock, at terms: TermPlace, network: NetworkID,
    key: (AccountID) -> VerifyingKey?
) -> PreparedBlock {
    var findings = Findings()
    let hash = payloadHash(.block, network: network, stored.header)
    if let columns = stored.columns, columns.hash != hash.bytes {
        findings.add(stored.place, "column hash: it is not the hash of the header, \(hash)")
    }
    let block = decoded(stored, network, &findings)
    if let block { checkSignatures(of: block, stored.place, terms, network, &findings) }
    let envelopes = block?.envelopes ?? salvagedEnvelopes(of: stored, network, &findings)
    var verified: [VerifyingKey?] = []
    var leaves: [Digest] = []
    for (index, envelope) in (envelopes ?? []).enumerated() {
        checkColumns(of: stored, index, envelope, &findings)
        let candidate = key(envelope.signer)
        let isGood = candidate.map { envelope.isSigned(by: $0, network: network) } ?? false
        verified.append(isGood ? candidate : nil)
        for index in envelope.transactions.indices { leaves.append(envelope.logLeaf(index)) }
    }
    let vote = checkVote(of: stored, hash, terms, network, &findings)
    let members = members(in: envelopes ?? [], terms.opening)
    return PreparedBlock(
        place: stored.place, height: stored.height, hash: hash, header: block?.header,
        certificate: block?.parentCertificate, envelopes: envelopes,
        places: stored.envelopes.indices.map(stored.envelopePlace), columns: stored.columns,
        firstIndexes: stored.envelopes.map { $0.columns?.firstIndex }, verified: verified,
        leaves: leaves, terms: terms, vote: vote, enrolled: members.enrolled,
        renewed: members.renewed, findings: findings)
}

/// Signing keys that a block would bring, as far as its bytes tell.
private func members(
    in envelopes: [Envelope], _ opening: Opening?
) -> (enrolled: [AccountID: VerifyingKey], renewed: [AccountID: VerifyingKey]) {
    var enrolled: [AccountID: VerifyingKey] = [:]
    var renewed: [AccountID: VerifyingKey] = [:]
    for member in opening?.decision.members ?? [] { renewed[member.account] = member.signingKey }
    for envelope in envelopes {
        for transaction in envelope.transactions {
            switch transaction.body {
            case .memberEnrol(let body):
                guard let (account, key) = signingKey(in: [UInt8](body.member)) else { continue }
                enrolled[account] = key
            case .memberRekey(let body):
                guard let (account, key) = signingKey(in: [UInt8](body.member)),
                    account == envelope.signer
                else { continue }
                renewed[account] = key
            default: continue
            }
        }
    }
    return (enrolled, renewed)
}

private func signingKey(in member: [UInt8]) -> (AccountID, VerifyingKey)? {
    guard let signed = try? WireSignedMember(strictly: member),
        let document = try? WireMemberDocument(strictly: [UInt8](signed.document)),
        let account = AccountID(document.account), let key = VerifyingKey(document.signingKey)
    else { return nil }
    return (account, key)
}

private func decoded(
    _ stored: StoredBlock, _ network: NetworkID, _ findings: inout Findings
) -> Block? {
    var wire = WireBlock()
    wire.header = data(stored.header)
    wire.signature = data(stored.signature)
    wire.parentCertificate = data(stored.certificate)
    wire.opening = data(stored.opening)
    wire.envelopes = stored.envelopes.map { data($0.content) }
    do throws(BlockFault) {
        return try Block(strictly: wire.encoded(), network: network)
    } catch {
        // A bad envelope is named by its own row.
        if case .badEnvelope = error { return nil }
        findings.add(stored.place, "\(error)")
        return nil
    }
}

/// The envelopes of a block that is otherwise broken; nil when one of them is, too.
private func salvagedEnvelopes(
    of stored: StoredBlock, _ network: NetworkID, _ findings: inout Findings
) -> [Envelope]? {
    var envelopes: [Envelope] = []
    for (index, envelope) in stored.envelopes.enumerated() {
        do {
            envelopes.append(try Envelope(strictly: envelope.content, network: network))
        } catch { findings.add(stored.envelopePlace(index), "column content: \(error)") }
    }
    return envelopes.count == stored.envelopes.count ? envelopes : nil
}

private func checkSignatures(
    of block: Block, _ place: String, _ terms: TermPlace, _ network: NetworkID,
    _ findings: inout Findings
) {
    do throws(BlockFault) {
        try block.verifySignature(by: terms.rules.coordinatorKey, network: network)
    } catch { findings.add(place, "\(error)") }
    do throws(VoteFault) {
        try block.parentCertificate?.verify(by: terms.before.certifying, network: network)
    } catch { findings.add(place, "the certificate of its parent: \(error)") }
}

private func checkColumns(
    of stored: StoredBlock, _ index: Int, _ envelope: Envelope, _ findings: inout Findings
) {
    guard let columns = stored.envelopes[index].columns else { return }
    let place = stored.envelopePlace(index)
    if columns.hash != envelope.id.bytes {
        findings.add(place, "column hash: it is not the envelope's id, \(envelope.id)")
    }
    if UInt64(exactly: columns.height) != stored.height {
        findings.add(
            place, "column height: it says \(columns.height), the block is \(stored.height)")
    }
}

/// Checks this node's vote, if it is one for the block.
private func checkVote(
    of stored: StoredBlock, _ hash: Digest, _ terms: TermPlace, _ network: NetworkID,
    _ findings: inout Findings
) -> OwnVote {
    guard let row = stored.vote else { return .none }
    let slot = Slot(term: terms.rules.term, height: Height(stored.height))
    let place = "table votes, term \(slot.term), height \(slot.height)"
    let vote: Vote
    do throws(VoteFault) {
        vote = try Vote(strictly: row.content)
        guard vote.block == hash else { return .forAnother(vote, isFirst: row.isFirst) }
        try vote.verify(by: terms.after.certifying, network: network)
    } catch {
        findings.add(place, "column content: \(error)")
        return .unreadable
    }
    if vote.slot != slot {
        findings.add(place, "column content: it is a vote at another slot")
    }
    if row.isFirst != terms.isFirst {
        findings.add(place, "column isFirst: it does not fit the block")
    }
    return .given(by: vote.voter)
}
