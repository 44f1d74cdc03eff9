package import Cryptography
package import Wire

/// Why a member document is not accepted.
package enum MemberFault: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(WireFault)
    case badAccount(String)
    case badKey(String)
    case missingVoteKey(AccountID)
    case needlessVoteKey(AccountID)
    case badProof(AccountID)

    package var description: String {
        switch self {
        case .malformed(let fault): "the member document is malformed: \(fault)"
        case .badAccount(let text): "\"\(text)\" is not a member's account (role/name)"
        case .badKey(let name): "the \(name) has not the right length"
        case .missingVoteKey(let account): "\(account) votes, but its document has no vote key"
        case .needlessVoteKey(let account): "\(account) does not vote, but states a vote key"
        case .badProof(let account):
            "\(account) does not prove that it holds its keys; make the document anew with "
                + "`tally key new`"
        }
    }
}

/// A member's public keys, with a proof of possession that was checked.
package struct Member: Hashable, Sendable {
    package let account: AccountID
    package let signingKey: VerifyingKey
    package let voteKey: VerifyingKey?
    /// X25519, 32 bytes: the CurveZMQ public key.
    package let transportKey: [UInt8]
    /// Empty when the member does not listen.
    package let endpoint: String
    package let document: WireMemberDocument
    /// The signed document.
    package let bytes: [UInt8]

    package init(strictly bytes: [UInt8]) throws(MemberFault) {
        let wire: WireSignedMember
        let document: WireMemberDocument
        do {
            wire = try WireSignedMember(strictly: bytes)
            document = try WireMemberDocument(strictly: [UInt8](wire.document))
        } catch { throw .malformed(error) }
        guard let account = AccountID(document.account), let role = account.role else {
            throw .badAccount(document.account)
        }
        guard let signingKey = VerifyingKey(document.signingKey) else {
            throw .badKey("signing key")
        }
        guard document.transportKey.count == 32 else { throw .badKey("transport key") }
        let message = payload(.member, network: .none, [UInt8](wire.document))
        guard let proof = Signature(wire.signingProof), signingKey.verifies(proof, of: message)
        else { throw .badProof(account) }
        if role.votes {
            guard !document.voteKey.isEmpty else { throw .missingVoteKey(account) }
            guard let key = VerifyingKey(document.voteKey) else { throw .badKey("vote key") }
            guard let proof = Signature(wire.voteProof), key.verifies(proof, of: message) else {
                throw .badProof(account)
            }
            voteKey = key
        } else {
            guard document.voteKey.isEmpty, wire.voteProof.isEmpty else {
                throw .needlessVoteKey(account)
            }
            voteKey = nil
        }
        self.account = account
        self.signingKey = signingKey
        self.document = document
        self.bytes = bytes
        transportKey = [UInt8](document.transportKey)
        endpoint = document.endpoint
    }
}

/// Signs a member document with the keys that it names.
package func signedMember(
    account: AccountID, signing: SigningKey, vote: SigningKey?, transport: [UInt8],
    endpoint: String
) throws -> [UInt8] {
    var document = WireMemberDocument()
    document.account = account.text
    document.signingKey = data(signing.verifyingKey.bytes)
    document.voteKey = data(vote?.verifyingKey.bytes ?? [])
    document.transportKey = data(transport)
    document.endpoint = endpoint
    let bytes = document.encoded()
    let message = payload(.member, network: .none, bytes)
    var wire = WireSignedMember()
    wire.document = data(bytes)
    wire.signingProof = data(try signing.sign(message).bytes)
    if let vote { wire.voteProof = data(try vote.sign(message).bytes) }
    return wire.encoded()
}
