import Cryptography
import Ledger
import Wire

/// `evidence.submit`: records, once, that a member broke a rule of the chain.
///
/// Anybody may send it, and it moves no money: what follows from an offence people decide. What
/// needs the chain to convict is left to those who hold one: a contract sees neither the blocks nor
/// the state of the past, so an invalid block is recorded once a quorum of voters found it so.
func record(
    _ body: WireEvidenceSubmit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    guard !body.hasInvalidBlock else { return try claim(body, call, &changes) }
    let network = call.context.network
    let evidence: Evidence
    let offence: Offence
    do {
        evidence = try Evidence(strictly: [UInt8](body.evidence), network: network)
        offence = try evidence.offence { changes.isKey($0, of: $1) }
    } catch {
        switch error {
        case .tooLarge, .malformed, .foreignNetwork, .badPart: throw .evidenceMalformed
        case .needsChain: throw .needsChain
        case .provesNothing, .unknownKey, .badSignature: throw .provesNothing
        }
    }
    let id = offence.id(network: network).bytes
    try call.require(changes.bytes(.evidence, id) == nil, else: .alreadyRecorded)
    var state = WireEvidenceState()
    state.offender = offence.offender.text
    state.offence = offence.kind.rawValue
    state.reporter = call.signer.text
    state.height = call.height
    changes.set(.evidence, id, to: state)
}

/// A voter's word that it re-executed a block and found it invalid.
private func claim(
    _ body: WireEvidenceSubmit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let network = call.context.network
    let voters = call.context.terms.newest.voters
    try call.require(voters.keys[call.signer] != nil, else: .notPermitted)
    let wire = body.invalidBlock
    let signed: SignedHeader
    do {
        signed = try SignedHeader(
            bytes: [UInt8](wire.header), signature: wire.signature, network: network)
    } catch { throw .evidenceMalformed }
    guard body.evidence.isEmpty, let key = VerifyingKey(wire.key) else {
        throw .evidenceMalformed
    }
    let proposer = signed.header.proposer
    try call.require(
        changes.isKey(key, of: proposer) && signed.isSigned(by: key, network: network),
        else: .provesNothing)
    let offence = Offence(
        offender: proposer, key: key, kind: .invalidBlock, term: signed.slot.term,
        height: signed.slot.height)
    let id = offence.id(network: network).bytes
    var state = changes.value(WireEvidenceState.self, .evidence, id) ?? WireEvidenceState()
    try call.require(
        state.height == 0 && !state.claims.contains { $0.voter == call.signer.text },
        else: .alreadyRecorded)
    state.offender = proposer.text
    state.offence = offence.kind.rawValue
    var word = WireVoterWord()
    word.voter = call.signer.text
    word.hash = data(signed.hash.bytes)
    state.claims.append(word)
    if hasQuorum(of: voters, in: state.claims) {
        state.reporter = call.signer.text
        state.height = call.height
    }
    changes.set(.evidence, id, to: state)
}

extension ChangeSet {
    /// Whether a key is, or was, a member's; it stays the member's for ever.
    fileprivate mutating func isKey(_ key: VerifyingKey, of account: AccountID) -> Bool {
        bytes(.keys, key.bytes) == Array(account.text.utf8)
    }
}
