package import Cryptography
import Wire

/// A voter's promise to vote below a term no more, with the highest certificate it knew.
///
/// Signing one is durable and cannot be taken back: `Protocols/settlement.md`, rule *Status*.
package struct Status: Hashable, Sendable {
    package let bytes: [UInt8]
    package let statement: [UInt8]
    package let decision: Digest
    package let term: Term
    /// Nil when the voter never voted.
    package let lastVote: Slot?
    /// Of the highest certificate; genesis when there was none.
    package let highest: Slot
    package let highestBlock: Digest
    package let voter: AccountID
    package let signature: Signature

    package init(
        decision: Decision, lastVote: Slot?, highest: Certificate?, voter: AccountID,
        network: NetworkID, key: SigningKey
    ) throws {
        self.decision = decision.hash
        term = decision.term
        self.lastVote = lastVote
        self.highest = highest?.slot ?? .genesis
        highestBlock = highest?.block ?? network.digest
        self.voter = voter
        var statement = WireStatusStatement()
        statement.decision = data(decision.hash.bytes)
        statement.term = decision.term.value
        statement.lastVoteTerm = lastVote?.term.value ?? 0
        statement.lastVoteHeight = lastVote?.height.value ?? 0
        statement.highestTerm = self.highest.term.value
        statement.highestHeight = self.highest.height.value
        statement.highestBlock = data(highestBlock.bytes)
        self.statement = statement.encoded()
        signature = try key.sign(payload(.status, network: network, self.statement))
        var wire = WireStatus()
        wire.statement = data(self.statement)
        wire.voter = voter.text
        wire.signature = data(signature.bytes)
        bytes = wire.encoded()
    }

    package init(strictly bytes: [UInt8]) throws(TermFault) {
        let wire: WireStatus
        let statement: WireStatusStatement
        do {
            wire = try WireStatus(strictly: bytes)
            statement = try WireStatusStatement(strictly: [UInt8](wire.statement))
        } catch { throw .malformed(error) }
        guard let decision = Digest(statement.decision) else { throw .badField("decision") }
        guard let block = Digest(statement.highestBlock) else { throw .badField("highest block") }
        guard let voter = AccountID(wire.voter) else { throw .badField("voter") }
        guard let signature = Signature(wire.signature) else { throw .badField("signature") }
        self.bytes = bytes
        self.statement = [UInt8](wire.statement)
        self.decision = decision
        term = Term(statement.term)
        let last = Slot(
            term: Term(statement.lastVoteTerm), height: Height(statement.lastVoteHeight))
        lastVote = last == .genesis ? nil : last
        highest = Slot(
            term: Term(statement.highestTerm), height: Height(statement.highestHeight))
        highestBlock = block
        self.voter = voter
        self.signature = signature
    }

    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.status, network: network, statement))
    }

    /// Whether one of the sets lists the key that signed it.
    package func isGood(for sets: [VoterSet], network: NetworkID) -> Bool {
        sets.contains { set in
            set.keys[voter].map { isSigned(by: $0, network: network) } ?? false
        }
    }
}

/// A decision and the statuses of a quorum for exactly it; the first block of a term carries one.
package struct Opening: Hashable, Sendable {
    package let bytes: [UInt8]
    package let hash: Digest
    package let decision: Decision
    package let statuses: [Status]

    package init(decision: Decision, statuses: [Status], network: NetworkID) {
        self.decision = decision
        self.statuses = statuses.sorted(by: Self.precedes)
        var wire = WireOpening()
        wire.decision = data(decision.bytes)
        wire.statuses = self.statuses.map { data($0.bytes) }
        bytes = wire.encoded()
        hash = payloadHash(.opening, network: network, bytes)
    }

    package init(strictly bytes: [UInt8], network: NetworkID) throws(TermFault) {
        let wire: WireOpening
        do { wire = try WireOpening(strictly: bytes) } catch { throw .malformed(error) }
        decision = try Decision(strictly: [UInt8](wire.decision), network: network)
        var statuses: [Status] = []
        for content in wire.statuses {
            let status = try Status(strictly: [UInt8](content))
            if let last = statuses.last, !Self.precedes(last, status) {
                throw .notAscending("statuses")
            }
            statuses.append(status)
        }
        self.statuses = statuses
        self.bytes = bytes
        hash = payloadHash(.opening, network: network, bytes)
    }

    /// Ascending by voter, then by signature.
    package static func precedes(_ lhs: Status, _ rhs: Status) -> Bool {
        guard lhs.voter == rhs.voter else { return lhs.voter < rhs.voter }
        return lhs.signature.bytes.lexicographicallyPrecedes(rhs.signature.bytes)
    }

    /// Checks that this opens its term on a parent.
    ///
    /// Every signature must be good and every status must name this decision; no reported slot may
    /// be above the parent's, and the signers, each key counted once, must be a quorum of every
    /// voter set in force after the parent.
    package func verify(
        above parent: Slot, inForce sets: [VoterSet], network: NetworkID
    ) throws(TermFault) {
        guard decision.term > parent.term else { throw .notAbove(parent.term) }
        guard decision.follows(parent.term) else { throw .tooFarAbove(parent.term) }
        var counted = sets.map { _ in Set<AccountID>() }
        for status in statuses {
            guard status.decision == decision.hash else { throw .otherDecision }
            guard status.term == decision.term else { throw .otherTerm(status.term) }
            guard status.highest <= parent else { throw .higherStatus(status.highest) }
            var isGood = false
            for (index, set) in sets.enumerated() {
                guard let key = set.keys[status.voter] else { continue }
                guard status.isSigned(by: key, network: network) else { continue }
                isGood = true
                counted[index].insert(status.voter)
            }
            guard isGood else { throw .notAVoter(status.voter.text) }
        }
        for (set, voters) in zip(sets, counted) {
            guard voters.count >= set.quorum else {
                throw .tooFew(statuses: voters.count, quorum: set.quorum)
            }
        }
    }
}
