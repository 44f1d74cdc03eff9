package import Cryptography
package import Wire

/// Why a vote or a certificate proves nothing.
package enum VoteFault: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(WireFault)
    case notAVoter(String)
    case badSignature(AccountID)
    case notAscending
    case tooFew(votes: Int, quorum: Int)

    package var description: String {
        switch self {
        case .malformed(let fault): "malformed vote or certificate: \(fault)"
        case .notAVoter(let account): "\(account) is not a voter of the set in force"
        case .badSignature(let account): "the vote signature of \(account) is not good"
        case .notAscending: "the votes do not stand in ascending order of their voters"
        case .tooFew(let votes, let quorum): "\(votes) votes, a quorum is \(quorum)"
        }
    }
}

/// What a voter says of a block, by its vote key.
package struct Vote: Hashable, Sendable {
    package let voter: AccountID
    package let slot: Slot
    package let block: Digest
    package let signature: Signature

    package init(
        voter: AccountID, slot: Slot, block: Digest, network: NetworkID, key: SigningKey
    ) throws {
        self.voter = voter
        self.slot = slot
        self.block = block
        signature = try key.sign(
            payload(.vote, network: network, voteStatement(slot: slot, block: block)))
    }

    fileprivate init(_ entry: Certificate.Entry, slot: Slot, block: Digest) {
        voter = entry.voter
        self.slot = slot
        self.block = block
        signature = entry.signature
    }

    package init(strictly bytes: [UInt8]) throws(VoteFault) {
        do {
            let wire = try WireVote(strictly: bytes)
            let statement = try WireVoteStatement(strictly: [UInt8](wire.statement))
            guard let voter = AccountID(wire.voter), let block = Digest(statement.block),
                let signature = Signature(wire.signature)
            else { throw VoteFault.notAVoter(wire.voter) }
            self.voter = voter
            self.block = block
            self.signature = signature
            slot = Slot(term: Term(statement.term), height: Height(statement.height))
        } catch let fault as WireFault {
            throw .malformed(fault)
        } catch let fault as VoteFault {
            throw fault
        } catch {
            throw .malformed(.malformed("vote"))
        }
    }

    /// The bytes that were signed.
    var statement: [UInt8] { voteStatement(slot: slot, block: block) }

    package func encoded() -> [UInt8] {
        var wire = WireVote()
        wire.statement = data(statement)
        wire.voter = voter.text
        wire.signature = data(signature.bytes)
        return wire.encoded()
    }

    /// Checks that one of the voter sets lists the key that signed it.
    package func verify(by sets: [VoterSet], network: NetworkID) throws(VoteFault) {
        let keys = sets.compactMap { $0.keys[voter] }
        guard !keys.isEmpty else { throw .notAVoter(voter.text) }
        guard keys.contains(where: { isSigned(by: $0, network: network) }) else {
            throw .badSignature(voter)
        }
    }

    package func isSigned(by key: VerifyingKey, network: NetworkID) -> Bool {
        key.verifies(signature, of: payload(.vote, network: network, statement))
    }
}

/// The signed bytes of a vote.
private func voteStatement(slot: Slot, block: Digest) -> [UInt8] {
    var wire = WireVoteStatement()
    wire.term = slot.term.value
    wire.height = slot.height.value
    wire.block = data(block.bytes)
    return wire.encoded()
}

/// Votes of a quorum for one block; certificates of one block are interchangeable.
///
/// A voter that changes its key may stand in it twice, once with each.
package struct Certificate: Hashable, Sendable {
    package struct Entry: Hashable, Sendable, Comparable {
        package let voter: AccountID
        package let signature: Signature

        package init(voter: AccountID, signature: Signature) {
            self.voter = voter
            self.signature = signature
        }

        package static func < (lhs: Self, rhs: Self) -> Bool {
            guard lhs.voter == rhs.voter else { return lhs.voter < rhs.voter }
            return lhs.signature.bytes.lexicographicallyPrecedes(rhs.signature.bytes)
        }
    }

    package let slot: Slot
    package let block: Digest
    /// Ascending.
    package let entries: [Entry]
    package let bytes: [UInt8]

    /// Collects votes for one block.
    package init(slot: Slot, block: Digest, entries: some Sequence<Entry>) {
        self.slot = slot
        self.block = block
        self.entries = Set(entries).sorted()
        var wire = WireCertificate()
        wire.term = slot.term.value
        wire.height = slot.height.value
        wire.block = data(block.bytes)
        wire.signatures = self.entries.map { entry in
            var signature = WireVoterSignature()
            signature.voter = entry.voter.text
            signature.signature = data(entry.signature.bytes)
            return signature
        }
        bytes = wire.encoded()
    }

    package init(strictly bytes: [UInt8]) throws(VoteFault) {
        let wire: WireCertificate
        do { wire = try WireCertificate(strictly: bytes) } catch { throw .malformed(error) }
        guard let block = Digest(wire.block) else { throw .malformed(.malformed("certificate")) }
        var entries: [Entry] = []
        for signature in wire.signatures {
            guard let voter = AccountID(signature.voter),
                let content = Signature(signature.signature)
            else { throw .notAVoter(signature.voter) }
            let entry = Entry(voter: voter, signature: content)
            if let last = entries.last, last >= entry { throw .notAscending }
            entries.append(entry)
        }
        self.block = block
        self.entries = entries
        self.bytes = bytes
        slot = Slot(term: Term(wire.term), height: Height(wire.height))
    }

    /// The votes that it is made of.
    package var votes: [Vote] { entries.map { Vote($0, slot: slot, block: block) } }

    package func hash(network: NetworkID) -> Digest {
        payloadHash(.certificate, network: network, bytes)
    }

    /// Checks that a quorum of every set that the block needs voted for it.
    ///
    /// Every signature must be good; one counts for each set that lists the key that made it.
    package func verify(by sets: [VoterSet], network: NetworkID) throws(VoteFault) {
        let message = payload(.vote, network: network, voteStatement(slot: slot, block: block))
        var counted = sets.map { _ in Set<AccountID>() }
        // The same key in two sets is checked once.
        var good: [Entry: VerifyingKey] = [:]
        for entry in entries {
            let keys = Set(sets.compactMap { $0.keys[entry.voter] })
            guard !keys.isEmpty else { throw .notAVoter(entry.voter.text) }
            guard let key = keys.first(where: { $0.verifies(entry.signature, of: message) }) else {
                throw .badSignature(entry.voter)
            }
            good[entry] = key
        }
        for (entry, key) in good {
            for (index, set) in sets.enumerated() where set.keys[entry.voter] == key {
                counted[index].insert(entry.voter)
            }
        }
        for (set, voters) in zip(sets, counted) where voters.count < set.quorum {
            throw .tooFew(votes: voters.count, quorum: set.quorum)
        }
    }
}
