package import Cryptography
package import Ledger
package import Wire

/// Why a block cannot be executed; its proposer broke a rule, or the state cannot be read.
package enum ExecutionFault: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownSigner(AccountID)
    case badSignature(AccountID, envelope: Digest)
    case sequenceUsed(AccountID, sequence: UInt64, next: UInt64)
    case sequenceTooFar(AccountID, sequence: UInt64, last: UInt64)
    case expired(envelope: Digest, notAfter: UInt64)
    case impossibleDecision(Rejection)
    case state(StateFault)

    package var description: String {
        switch self {
        case .unknownSigner(let account): "\(account) is not registered"
        case .badSignature(let account, let envelope):
            "the signature of \(account) over envelope \(envelope) is not good"
        case .sequenceUsed(let account, let sequence, let next):
            "sequence \(sequence) of \(account) is used; the next free one is \(next)"
        case .sequenceTooFar(let account, let sequence, let last):
            "sequence \(sequence) of \(account) is more than \(largestSequenceStep) above the last "
                + "one, \(last); the next free one is \(nextSequence(after: last))"
        case .expired(let envelope, let notAfter):
            "envelope \(envelope) was valid to height \(notAfter) only"
        case .impossibleDecision(let rejection):
            "the decision that opens the term cannot be carried out: \(rejection)"
        case .state(let fault): "\(fault)"
        }
    }
}

/// What a block did.
package struct Execution: Sendable {
    /// One effect per transaction, in order.
    package let effects: [WireEffect]
    /// RFC 6962 root over the encoded effects.
    package let effectsRoot: Digest
    package let changes: StateChanges
    /// Whether the block's header must carry the state root.
    package let isCheckpoint: Bool
}

/// Checks an envelope against the state it would be executed on.
package func admit(
    _ envelope: Envelope, in context: BlockContext, to changes: inout ChangeSet,
    isVerified: (Envelope, VerifyingKey) -> Bool
) throws(ExecutionFault) {
    let member = changes.activeMember(envelope.signer)
    let last = changes.lastSequence(of: envelope.signer)
    // A state that cannot be read says nothing of the signer, nor of the block's proposer.
    if let fault = changes.fault { throw .state(fault) }
    guard let key = member.flatMap({ VerifyingKey($0.document.signingKey) }) else {
        throw .unknownSigner(envelope.signer)
    }
    guard isVerified(envelope, key) else {
        throw .badSignature(envelope.signer, envelope: envelope.id)
    }
    guard envelope.header.sequence > last else {
        throw .sequenceUsed(
            envelope.signer, sequence: envelope.header.sequence,
            next: nextSequence(after: last))
    }
    guard envelope.header.sequence - last <= largestSequenceStep else {
        throw .sequenceTooFar(
            envelope.signer, sequence: envelope.header.sequence, last: last)
    }
    guard context.height.value <= envelope.header.notAfterHeight else {
        throw .expired(envelope: envelope.id, notAfter: envelope.header.notAfterHeight)
    }
}

/// How far above its signer's last sequence the next one may be.
///
/// Whoever got hold of a key for a moment could else use up all of its sequences at once.
package let largestSequenceStep: UInt64 = 1 << 20

/// The sequence after another; the last one there is has no successor, so it stands for itself.
package func nextSequence(after last: UInt64) -> UInt64 { last == .max ? last : last + 1 }

extension ChangeSet {
    package mutating func lastSequence(of account: AccountID) -> UInt64 {
        value(WireSequenceState.self, .sequences, Array(account.text.utf8))?.last ?? 0
    }
}

/// Executes the envelopes of one block above a state.
///
/// A transaction that a contract rejects stays in the block and changes nothing; an envelope that
/// is not admissible makes the block invalid.
///
/// Whether an envelope's signature is the key's is asked of `isVerified`, since a node remembers
/// what it has checked.
package func execute(
    _ envelopes: [Envelope], in context: BlockContext, on state: any StateView,
    isVerified: (Envelope, VerifyingKey) -> Bool
) throws(ExecutionFault) -> Execution {
    var changes = ChangeSet(above: state)
    var effects: [WireEffect] = []
    var leaves: [Digest] = []
    let interval = UInt64(context.agreement.chain.checkpointInterval)
    var isCheckpoint = context.height.value % interval == 0
    changes.keepBeacon(context)
    if let fault = changes.fault { throw .state(fault) }
    _ = changes.commit()
    if let opening = context.opening {
        do throws(Rejection) {
            let before = Height(context.height.value &- 1)
            try changes.open(
                opening.decision, height: context.height,
                inForce: context.terms.rules(at: before).agreement)
        } catch {
            if let fault = changes.fault { throw .state(fault) }
            throw .impossibleDecision(error)
        }
        if let fault = changes.fault { throw .state(fault) }
        _ = changes.commit()
    }
    for envelope in envelopes {
        try admit(envelope, in: context, to: &changes, isVerified: isVerified)
        var sequence = WireSequenceState()
        sequence.last = envelope.header.sequence
        changes.set(.sequences, Array(envelope.signer.text.utf8), to: sequence)
        _ = changes.commit()
        for (index, transaction) in envelope.transactions.enumerated() {
            let id = TransactionID(envelope: envelope.id, index: UInt32(index))
            var effect = WireEffect()
            effect.envelope = data(envelope.id.bytes)
            effect.index = id.index
            do throws(Rejection) {
                try apply(
                    transaction, id: id, signer: envelope.signer, in: context, to: &changes)
                effect.postings = changes.postings
                effect.changes = data(changes.commit().bytes)
                if case .roundClose = transaction.body { isCheckpoint = true }
            } catch {
                changes.rollBack()
                effect.outcome = error.rawValue
                effect.changes = data(Digest.zero.bytes)
            }
            leaves.append(leafHash(effect.encoded()))
            effects.append(effect)
        }
        if let fault = changes.fault { throw .state(fault) }
    }
    return Execution(
        effects: effects, effectsRoot: merkleRoot(leaves), changes: changes.changes,
        isCheckpoint: isCheckpoint)
}
