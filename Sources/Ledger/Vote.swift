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
            payload(.vote, network: network, statement(slot: slot, block: block)))
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

    package func encoded() -> [UInt8] {
        var wire = WireVote()
        wire.statement = data(statement(slot: slot, block: block))
        wire.voter = voter.text
        wire.signature = data(signature.bytes)
        return wire.encoded()
    }

    package func verify(by voters: VoterSet, network: NetworkID) throws(VoteFault) {
        guard let key = voters.keys[voter] else { throw .notAVoter(voter.text) }
        let message = payload(.vote, network: network, statement(slot: slot, block: block))
        guard key.verifies(signature, of: message) else { throw .badSignature(voter) }
    }
}

/// The signed bytes of a vote.
private func statement(slot: Slot, block: Digest) -> [UInt8] {
    var wire = WireVoteStatement()
    wire.term = slot.term.value
    wire.height = slot.height.value
    wire.block = data(block.bytes)
    return wire.encoded()
}

/// Votes of a quorum for one block; certificates of one block are interchangeable.
package struct Certificate: Hashable, Sendable {
    package let slot: Slot
    package let block: Digest
    package let signatures: [AccountID: Signature]
    package let bytes: [UInt8]

    /// Collects votes for one block.
    package init(slot: Slot, block: Digest, votes: [AccountID: Signature]) {
        self.slot = slot
        self.block = block
        signatures = votes
        var wire = WireCertificate()
        wire.term = slot.term.value
        wire.height = slot.height.value
        wire.block = data(block.bytes)
        wire.signatures = votes.keys.sorted().map { voter in
            var entry = WireVoterSignature()
            entry.voter = voter.text
            entry.signature = data(votes[voter]?.bytes ?? [])
            return entry
        }
        bytes = wire.encoded()
    }

    package init(strictly bytes: [UInt8]) throws(VoteFault) {
        let wire: WireCertificate
        do { wire = try WireCertificate(strictly: bytes) } catch { throw .malformed(error) }
        guard let block = Digest(wire.block) else { throw .malformed(.malformed("certificate")) }
        var signatures: [AccountID: Signature] = [:]
        var last: AccountID?
        for entry in wire.signatures {
            guard let voter = AccountID(entry.voter), let signature = Signature(entry.signature)
            else { throw .notAVoter(entry.voter) }
            if let last, last >= voter { throw .notAscending }
            last = voter
            signatures[voter] = signature
        }
        self.block = block
        self.signatures = signatures
        self.bytes = bytes
        slot = Slot(term: Term(wire.term), height: Height(wire.height))
    }

    package func hash(network: NetworkID) -> Digest {
        payloadHash(.certificate, network: network, bytes)
    }

    /// Checks that a quorum of the set voted for this block.
    package func verify(by voters: VoterSet, network: NetworkID) throws(VoteFault) {
        let message = payload(.vote, network: network, statement(slot: slot, block: block))
        for voter in signatures.keys.sorted() {
            guard let key = voters.keys[voter] else { throw .notAVoter(voter.text) }
            guard let signature = signatures[voter], key.verifies(signature, of: message) else {
                throw .badSignature(voter)
            }
        }
        guard signatures.count >= voters.quorum else {
            throw .tooFew(votes: signatures.count, quorum: voters.quorum)
        }
    }
}
