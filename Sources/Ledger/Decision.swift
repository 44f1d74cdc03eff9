package import Cryptography
package import Wire

/// Why a document of governance proves nothing.
package enum TermFault: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(WireFault)
    case tooLarge(bytes: Int)
    case badField(String)
    case badReason
    case badMember(index: Int, MemberFault)
    case notAscending(String)
    case badSignature(String)
    case notAVoter(String)
    case otherDecision
    case otherTerm(Term)
    case higherStatus(Slot)
    case tooFew(statuses: Int, quorum: Int)
    case notAbove(Term)
    case tooFarAbove(Term)

    package var description: String {
        switch self {
        case .malformed(let fault): "\(fault)"
        case .tooLarge(let bytes):
            "it has \(bytes) bytes, a decision has at most \(Decision.maximumBytes)"
        case .badField(let name): "its \(name) is not well formed"
        case .badReason:
            "its reason is not well formed: at most 1,000 bytes, no control characters"
        case .badMember(let index, let fault): "its member \(index + 1): \(fault)"
        case .notAscending(let name): "its \(name) do not stand in ascending order, each once"
        case .badSignature(let account): "the signature of \(account) is not good"
        case .notAVoter(let account): "\(account) is not a voter of the set in force"
        case .otherDecision: "a status names another decision"
        case .otherTerm(let term): "it is for term \(term)"
        case .higherStatus(let slot):
            "a status reports a certificate at \(slot), above the block it is opened on"
        case .tooFew(let statuses, let quorum): "\(statuses) statuses, a quorum is \(quorum)"
        case .notAbove(let term): "its term is not above term \(term)"
        case .tooFarAbove(let term):
            "its term is more than \(Decision.termReach) above term \(term)"
        }
    }
}

/// The document that names a new term: its number, coordinator, voters, and what else changes.
///
/// A decision states what is to be, not what is to change: coordinator and voters in full, members
/// that enter or have new keys, accounts that leave, the agreement when it changes.
package struct Decision: Hashable, Sendable {
    /// The highest number; people never get there, and it fits wherever a number is kept.
    package static let lastTerm = UInt64(UInt32.max)
    /// How far the number may be above the term that it follows: nobody may use the numbers up.
    package static let termReach: UInt64 = 1_000
    /// Several must fit into one message beside heads, certificates and statuses.
    package static let maximumBytes = 256 << 10

    package let bytes: [UInt8]
    package let hash: Digest
    package let term: Term
    package let coordinator: AccountID
    package let coordinatorKey: VerifyingKey
    package let voters: VoterSet
    package let members: [Member]
    package let leaving: [AccountID]
    /// Nil: as before.
    package let agreement: WireAgreement?
    package let reason: String

    package init(strictly bytes: [UInt8], network: NetworkID) throws(TermFault) {
        guard bytes.count <= Self.maximumBytes else { throw .tooLarge(bytes: bytes.count) }
        let wire: WireDecision
        do { wire = try WireDecision(strictly: bytes) } catch { throw .malformed(error) }
        guard (2...Self.lastTerm).contains(wire.term) else { throw .badField("term") }
        guard let coordinator = AccountID(wire.coordinator), coordinator.role == .coordinator
        else { throw .badField("coordinator") }
        guard let key = VerifyingKey(wire.coordinatorKey) else {
            throw .badField("coordinator's key")
        }
        guard let voters = VoterSet(wire.voters) else { throw .badField("voter set") }
        var members: [Member] = []
        for (index, content) in wire.members.enumerated() {
            let member: Member
            do {
                member = try Member(strictly: [UInt8](content))
            } catch { throw .badMember(index: index, error) }
            if let last = members.last, last.account >= member.account {
                throw .notAscending("members")
            }
            members.append(member)
        }
        var leaving: [AccountID] = []
        for text in wire.leaving {
            guard let account = AccountID(text) else { throw .badField("leaving account") }
            if let last = leaving.last, last >= account { throw .notAscending("leaving accounts") }
            leaving.append(account)
        }
        if wire.hasAgreement {
            do { try validate(wire.agreement) } catch { throw .badField("agreement: \(error)") }
        }
        guard wire.reason.utf8.count <= 1_000, !hasControlCharacters(wire.reason) else {
            throw .badReason
        }
        self.bytes = bytes
        hash = payloadHash(.decision, network: network, bytes)
        term = Term(wire.term)
        self.coordinator = coordinator
        coordinatorKey = key
        self.voters = voters
        self.members = members
        self.leaving = leaving
        agreement = wire.hasAgreement ? wire.agreement : nil
        reason = wire.reason
    }
}

extension Decision {
    /// Whether its number may follow on a term: above it, and not out of reach.
    package func follows(_ term: Term) -> Bool {
        self.term > term && self.term.value - term.value <= Self.termReach
    }
}

/// Whether a text could move a terminal's cursor or turn its lines about: C0 and C1 controls, line
/// and paragraph separators, and the marks that change the direction of writing.
package func hasControlCharacters(_ text: String) -> Bool {
    text.unicodeScalars.contains(where: isControlCharacter)
}

package func isControlCharacter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
}

/// Whether a quorum of every voter set is for a decision.
///
/// A ballot is the word of an organisation, under whichever of its keys: a voter whose key changes
/// stands in two sets with two keys and has one opinion.
///
/// - Parameters:
///   - ballots: for one decision.
///   - sets: those in force.
///   - network: of the chain.
/// - Returns: whether the voters who signed with a key of one of the sets are a quorum of each.
package func isAgreed(_ ballots: [Ballot], by sets: [VoterSet], network: NetworkID) -> Bool {
    let voters = Set(ballots.filter { $0.isGood(for: sets, network: network) }.map(\.voter))
    return sets.allSatisfy { set in set.accounts.count { voters.contains($0) } >= set.quorum }
}

/// A voter's organisation saying that it is for a decision.
///
/// It is not taken back: with those of a quorum its worker signs a status by itself.
package struct Ballot: Hashable, Sendable {
    package let bytes: [UInt8]
    package let decision: Digest
    package let voter: AccountID
    package let signature: Signature

    package init(
        decision: Digest, voter: AccountID, network: NetworkID, key: SigningKey
    ) throws {
        self.decision = decision
        self.voter = voter
        signature = try key.sign(payload(.ballot, network: network, decision.bytes))
        var wire = WireBallot()
        wire.decision = data(decision.bytes)
        wire.voter = voter.text
        wire.signature = data(signature.bytes)
        bytes = wire.encoded()
    }

    package init(strictly bytes: [UInt8]) throws(TermFault) {
        let wire: WireBallot
        do { wire = try WireBallot(strictly: bytes) } catch { throw .malformed(error) }
        guard let decision = Digest(wire.decision) else { throw .badField("decision") }
        guard let voter = AccountID(wire.voter) else { throw .badField("voter") }
        guard let signature = Signature(wire.signature) else { throw .badField("signature") }
        self.bytes = bytes
        self.decision = decision
        self.voter = voter
        self.signature = signature
    }

    /// Whether one of the sets lists the key that signed it.
    package func isGood(for sets: [VoterSet], network: NetworkID) -> Bool {
        let message = payload(.ballot, network: network, decision.bytes)
        return sets.contains { $0.keys[voter]?.verifies(signature, of: message) == true }
    }
}
