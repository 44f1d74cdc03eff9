import Cryptography
import Ledger
import Wire

/// `evidence.submit`: records, once, that a member broke a rule of the chain.
///
/// Anybody may send it, and it moves no money: what follows from an offence people decide. What
/// needs the chain to convict is left to those who hold one: a contract sees neither the blocks nor
/// the state of the past.
func record(
    _ body: WireEvidenceSubmit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let network = call.context.network
    let evidence: Evidence
    let offence: Offence
    do {
        evidence = try Evidence(strictly: [UInt8](body.evidence), network: network)
        offence = try evidence.offence { key, account in
            // A member's keys stay its own for ever, those of earlier terms included.
            changes.bytes(.keys, key.bytes) == Array(account.text.utf8)
        }
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
