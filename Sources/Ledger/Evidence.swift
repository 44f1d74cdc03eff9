package import Cryptography
package import Wire

/// Why evidence proves nothing.
package enum EvidenceFault: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case malformed(WireFault)
    case foreignNetwork
    /// A part of it that is not well formed, and what is wrong.
    case badPart(String, String)
    /// All is well formed, but an honest member could have signed it.
    case provesNothing(String)
    case unknownKey(AccountID)
    case badSignature(AccountID)
    /// It convicts only whoever re-executes the block above the chain that it extends.
    case needsChain

    package var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the evidence has \(bytes) bytes, at most \(Evidence.maximumBytes) are admitted"
        case .malformed(let fault): "the evidence is malformed: \(fault)"
        case .foreignNetwork: "the evidence belongs to another network"
        case .badPart(let part, let reason): "the \(part) in the evidence: \(reason)"
        case .provesNothing(let reason): "it proves nothing: \(reason)"
        case .unknownKey(let account): "the key is not known to be one of \(account)"
        case .badSignature(let account):
            "a statement in the evidence is not signed by the key of \(account)"
        case .needsChain:
            "an invalid block convicts by re-execution only; check it above the chain that it "
                + "extends"
        }
    }
}

/// Statements that a member signed and that no honest one signs both, or all.
///
/// It convicts by itself: whoever knows that the key is the member's needs to trust nobody else.
/// Rules: `Protocols/evidence.md`.
package struct Evidence: Hashable, Sendable {
    /// Eight blocks of the largest size, and as much again for longer promises of smaller ones.
    package static let maximumBytes = 64 << 20

    package let bytes: [UInt8]
    package let network: NetworkID
    package let offender: AccountID
    /// The key under which it signed.
    package let key: VerifyingKey
    package let kind: OffenceKind
    let body: WireEvidence.OneOf_Body

    package init(strictly bytes: [UInt8], network: NetworkID) throws(EvidenceFault) {
        guard bytes.count <= Self.maximumBytes else { throw .tooLarge(bytes: bytes.count) }
        let wire: WireEvidence
        do { wire = try WireEvidence(strictly: bytes) } catch { throw .malformed(error) }
        guard [UInt8](wire.network) == network.digest.bytes else { throw .foreignNetwork }
        guard let offender = AccountID(wire.offender), offender.role != nil else {
            throw .badPart("offender", "it is not a member's account")
        }
        guard let key = VerifyingKey(wire.key) else {
            throw .badPart("key", "it has not 32 bytes")
        }
        guard let body = wire.body else { throw .provesNothing("it states no offence") }
        self.bytes = bytes
        self.network = network
        self.offender = offender
        self.key = key
        self.body = body
        kind = body.kind
    }

    package static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.network == rhs.network && lhs.bytes == rhs.bytes
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(network)
        hasher.combine(bytes)
    }

    /// What the evidence convicts its offender of.
    ///
    /// - Parameter isKey: whether a key is, or was, one of an account's own; what the checker trusts.
    /// - Returns: the offence.
    /// - Throws: why it proves nothing.
    package func offence(
        isKey: (VerifyingKey, AccountID) -> Bool
    ) throws(EvidenceFault) -> Offence {
        let charge = try charge()
        guard isKey(key, offender) else { throw .unknownKey(offender) }
        for statement in charge.statements {
            let message = payload(statement.kind, network: network, statement.bytes)
            guard key.verifies(statement.signature, of: message) else {
                throw .badSignature(offender)
            }
        }
        guard kind != .invalidBlock else { throw .needsChain }
        return charge.offence
    }

    package func offence(keys: KnownKeys) throws(EvidenceFault) -> Offence {
        try offence { keys.isKey($0, of: $1) }
    }

    /// The signed header and the bytes of an invalid block, once it is known who signed it.
    package func invalidBlock(keys: KnownKeys) throws(EvidenceFault) -> SuspectBlock {
        guard case .invalidBlock(let wire) = body else {
            throw .provesNothing("it is no evidence of an invalid block")
        }
        do {
            _ = try offence(keys: keys)
        } catch {
            guard error == .needsChain else { throw error }
        }
        return try SuspectBlock(strictly: [UInt8](wire.block), network: network)
    }

    /// The header of an invalid block; nil for evidence of another kind.
    package var signedInvalidBlock: SignedHeader? {
        guard case .invalidBlock(let wire) = body else { return nil }
        return try? SuspectBlock(strictly: [UInt8](wire.block), network: network).signed
    }

    /// What an invalid block amounts to, once its re-execution has shown the rule that it breaks.
    package func offence(by suspect: SuspectBlock) -> Offence {
        offence(term: suspect.signed.slot.term, height: suspect.signed.slot.height)
    }

    /// What it amounts to if every statement in it was signed by the offender.
    private func charge() throws(EvidenceFault) -> Charge {
        switch body {
        case .twoHeaders(let body): try charge(body)
        case .twoVotes(let body): try charge(body)
        case .twoStatuses(let body): try charge(body)
        case .hiddenCertificate(let body): try charge(body)
        case .inconsistentHeads(let body): try charge(body)
        case .brokenPromise(let body): try charge(body)
        case .invalidBlock(let body): try charge(body)
        }
    }

    func offence(term: Term, height: Height, envelope: Digest? = nil) -> Offence {
        Offence(
            offender: offender, key: key, kind: kind, term: term, height: height,
            envelope: envelope)
    }
}

/// An offence, and the statements that the offender must have signed for it to be one.
struct Charge {
    struct Statement {
        let kind: PayloadKind
        let bytes: [UInt8]
        let signature: Signature
    }

    let offence: Offence
    let statements: [Statement]
}

extension WireEvidence.OneOf_Body {
    fileprivate var kind: OffenceKind {
        switch self {
        case .twoHeaders: .twoHeaders
        case .twoVotes: .twoVotes
        case .twoStatuses: .twoStatuses
        case .hiddenCertificate: .hiddenCertificate
        case .invalidBlock: .invalidBlock
        case .inconsistentHeads: .inconsistentHeads
        case .brokenPromise: .brokenPromise
        }
    }
}
