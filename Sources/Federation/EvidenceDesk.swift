package import Contracts
package import Cryptography
package import Ledger

/// What members signed, as far as this node saw it, and the offences that it amounts to.
///
/// Statements are compared with others of the same key only. No signature is checked here: whoever
/// notes a statement knows that the key made it. Rules: `Protocols/evidence.md`.
package struct EvidenceDesk: Sendable {
    /// Statements of one kind and key that are remembered; of the lowest places are forgotten first.
    static let memory = 1_024
    /// Offences of one kind that are kept against one key: who lies once may lie for ever.
    static let perKind = 16

    private let network: NetworkID
    private var headers = Memory<Slot, SignedHeader>(limit: memory)
    private var firsts = Memory<Term, SignedHeader>(limit: memory)
    private var votes = Memory<Slot, Vote>(limit: memory)
    private var statuses = Memory<Term, Status>(limit: memory)
    private var heads = Memory<Height, Head>(limit: memory)
    /// Headers of blocks by their hash, with the certificate that each carries.
    private var blocks: [Digest: (header: SignedHeader, certificate: Certificate?)] = [:]
    private var cases: [Digest: (offence: Offence, evidence: Evidence)] = [:]

    package init(network: NetworkID) { self.network = network }

    /// Everything found, ascending by term, height and id.
    package var found: [(id: Digest, offence: Offence, evidence: Evidence)] {
        cases.map { (id: $0.key, offence: $0.value.offence, evidence: $0.value.evidence) }
            .sorted {
                ($0.offence.term, $0.offence.height, $0.id)
                    < ($1.offence.term, $1.offence.height, $1.id)
            }
    }

    package subscript(id: Digest) -> Evidence? { cases[id]?.evidence }

    // MARK: noting

    /// Notes a block of the chain that this node follows, or of a branch of it.
    package mutating func note(_ block: Block, key: VerifyingKey) {
        let header = SignedHeader(block)
        note(header, key: key)
        blocks[header.hash] = (header, block.parentCertificate)
        if blocks.count > Self.memory {
            let lowest = blocks.sorted { $0.value.header.slot < $1.value.header.slot }
            for (hash, _) in lowest.prefix(Self.memory / 2) { blocks[hash] = nil }
        }
        for (key, votes) in votes.byKey {
            guard let vote = votes[header.slot], vote.block == header.hash else { continue }
            compareFirstVotes(vote, key: key)
            compareStatuses(vote, key: key)
        }
    }

    /// Notes a block that the own replica executed, and the votes for its parent, which it verified.
    package mutating func note(_ executed: ExecutedBlock, above parent: Tip) {
        note(executed.block, key: executed.tip.terms.newest.coordinatorKey)
        for vote in executed.block.parentCertificate?.votes ?? [] {
            let keys = Set(parent.terms.certifying.compactMap { $0.keys[vote.voter] })
            // Of a voter with two keys the vote counts under the one that made it.
            let key =
                keys.count == 1
                ? keys.first : keys.first { vote.isSigned(by: $0, network: network) }
            if let key { note(vote, key: key) }
        }
    }

    package mutating func note(_ header: SignedHeader, key: VerifyingKey) {
        if let other = headers.note(header, at: header.slot, key), other != header {
            add(.conflict(other, header, by: key, network: network))
        }
        guard header.isFirst else { return }
        if let other = firsts.note(header, at: header.slot.term, key), other != header {
            add(.conflict(other, header, by: key, network: network))
        }
    }

    package mutating func note(_ vote: Vote, key: VerifyingKey) {
        if let other = votes.note(vote, at: vote.slot, key) {
            guard other.block != vote.block else { return }
            add(.conflict(other, vote, by: key, network: network))
        }
        compareFirstVotes(vote, key: key)
        compareStatuses(vote, key: key)
    }

    package mutating func note(_ status: Status, key: VerifyingKey) {
        if let other = statuses.note(status, at: status.term, key) {
            guard other.statement != status.statement else { return }
            add(.conflict(other, status, by: key, network: network))
        }
        for vote in votes[key].values { compare(status, vote, key: key) }
    }

    package mutating func note(_ head: Head, key: VerifyingKey) {
        if let other = heads.note(head, at: head.settled.height, key), other != head {
            add(.conflict(other, head, by: key, network: network))
        }
    }

    /// Whether a header is remembered already, so that its signature need not be checked again.
    package func knows(_ header: SignedHeader, key: VerifyingKey) -> Bool {
        headers[key][header.slot] == header
    }

    package func knows(_ status: Status, key: VerifyingKey) -> Bool {
        statuses[key][status.term]?.bytes == status.bytes
    }

    package func knows(_ head: Head, key: VerifyingKey) -> Bool {
        heads[key][head.settled.height]?.bytes == head.bytes
    }

    /// Two votes of one term for different first blocks, when their headers are known.
    private mutating func compareFirstVotes(_ vote: Vote, key: VerifyingKey) {
        guard let header = blocks[vote.block]?.header, header.isFirst else { return }
        for other in votes[key].values
        where other.slot.term == vote.slot.term && other.slot != vote.slot {
            guard let second = blocks[other.block]?.header, second.isFirst else { continue }
            add(
                .conflict(
                    vote, other, headers: (header.bytes, second.bytes), by: key, network: network))
        }
    }

    private mutating func compareStatuses(_ vote: Vote, key: VerifyingKey) {
        for status in statuses[key].values { compare(status, vote, key: key) }
    }

    /// A status that hides the certificate of a block for whose child its voter had voted.
    private mutating func compare(_ status: Status, _ vote: Vote, key: VerifyingKey) {
        guard vote.slot.term < status.term, let known = blocks[vote.block],
            let certificate = known.certificate, certificate.slot > status.highest
        else { return }
        add(
            .conflict(
                status, vote, header: known.header.bytes, certificate: certificate, by: key,
                network: network))
    }

    // MARK: cases

    /// Takes evidence whose offence was established, its own or another node's.
    ///
    /// - Returns: whether it is new and kept.
    @discardableResult
    package mutating func add(_ evidence: Evidence, of offence: Offence) -> Bool {
        let id = offence.id(network: network)
        let alike = cases.values.count {
            $0.offence.key == offence.key && $0.offence.kind == offence.kind
        }
        guard cases[id] == nil, alike < Self.perKind else { return false }
        cases[id] = (offence, evidence)
        return true
    }

    private mutating func add(_ evidence: Evidence?) {
        guard let evidence, let offence = try? evidence.offence(isKey: { _, _ in true }) else {
            return
        }
        add(evidence, of: offence)
    }
}

/// Statements of many keys, one for each key and place.
///
/// Each key has its own share, so that no member can crowd out what another signed.
private struct Memory<Place: Comparable & Hashable & Sendable, Statement: Sendable>: Sendable {
    private let limit: Int
    private(set) var byKey: [VerifyingKey: [Place: Statement]] = [:]

    init(limit: Int) { self.limit = limit }

    subscript(key: VerifyingKey) -> [Place: Statement] { byKey[key] ?? [:] }

    /// - Returns: the statement that stood there before, which stays; nil when there was none.
    mutating func note(_ statement: Statement, at place: Place, _ key: VerifyingKey) -> Statement? {
        var own = byKey[key] ?? [:]
        if let known = own[place] { return known }
        own[place] = statement
        if own.count > limit {
            for place in own.keys.sorted().prefix(limit / 2) { own[place] = nil }
        }
        byKey[key] = own
        return nil
    }
}
