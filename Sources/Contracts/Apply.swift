package import Ledger
package import Wire

/// What a transaction may know beside the state: nothing a replay does not know.
package struct BlockContext: Sendable {
    package let network: NetworkID
    package let agreement: WireAgreement
    package let voters: VoterSet
    package let coordinator: AccountID
    package let height: Height

    package init(
        network: NetworkID, agreement: WireAgreement, voters: VoterSet, coordinator: AccountID,
        height: Height
    ) {
        self.network = network
        self.agreement = agreement
        self.voters = voters
        self.coordinator = coordinator
        self.height = height
    }
}

/// One transaction on its way through the contracts: who signed it, in which block.
struct Call {
    let context: BlockContext
    let id: TransactionID
    let signer: AccountID

    var height: UInt64 { context.height.value }

    func require(_ holds: Bool, else rejection: Rejection) throws(Rejection) {
        guard holds else { throw rejection }
    }
}

/// Applies one transaction: every check first, then the writes.
///
/// - Precondition: the signer is registered and the envelope's signature is good.
package func apply(
    _ transaction: WireTransaction, id: TransactionID, signer: AccountID, in context: BlockContext,
    to changes: inout ChangeSet
) throws(Rejection) {
    let call = Call(context: context, id: id, signer: signer)
    switch transaction.body {
    case .memberEnrol(let body): try enrol(body, call, &changes)
    case .consentGrant(let body): try grant(body, call, &changes)
    case .consentWithdraw(let body): try withdraw(body, call, &changes)
    case .recordRegister(let body): try register(body, call, &changes)
    case .answerCommit(let body): try commit(body, call, &changes)
    case .answerReveal(let body): try reveal(body, call, &changes)
    case .itemClose(let body): try close(body, call, &changes)
    case .periodClose(let body): try close(body, call, &changes)
    case .runStart(let body): try start(body, call, &changes)
    case .runStop(let body): try stop(body, call, &changes)
    case .referenceOffer(let body): try offer(body, call, &changes)
    case .referenceFix(let body): try fix(body, call, &changes)
    case .roundOpen(let body): try open(body, call, &changes)
    case .updateSubmit(let body): try submit(body, call, &changes)
    case .roundChecked(let body): try check(body, call, &changes)
    case .roundClose(let body): try close(body, call, &changes)
    case .windowExpire(let body): try expire(body, call, &changes)
    case nil: throw .malformedField
    }
}
