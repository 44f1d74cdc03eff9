package import Cryptography
package import Ledger
package import Wire

/// What a transaction may know beside the state: nothing a replay does not know.
package struct BlockContext: Sendable {
    package let network: NetworkID
    /// The terms up to the block, its own last.
    package let terms: TermHistory
    package let height: Height
    /// The hash of the block below; the network's id below the first one.
    package let previous: Digest
    /// The opening of the block's term, when it is the first of a term above 1.
    package let opening: Opening?
    /// Rewards as they might have been; nil, as for every block of a chain, as agreed.
    private let policy: WireRewardRule?
    /// The fee of a late answer as it might have been, in microtokens; nil, as agreed.
    private let laterFee: UInt64?

    package init(
        network: NetworkID, terms: TermHistory, height: Height, previous: Digest,
        opening: Opening? = nil, policy: WireRewardRule? = nil,
        laterFee: UInt64? = nil
    ) {
        self.policy = policy
        self.laterFee = laterFee
        self.network = network
        self.terms = terms
        self.height = height
        self.previous = previous
        self.opening = opening
    }

    package var agreement: WireAgreement {
        var agreement = terms.newest.agreement
        if let policy { agreement.rewards = policy }
        if let laterFee { agreement.annotation.laterFeeMicrotokens = laterFee }
        return agreement
    }
    package var voters: VoterSet { terms.newest.voters }
    package var coordinator: AccountID { terms.newest.coordinator }
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
    case .memberRekey(let body): try rekey(body, call, &changes)
    case .memberRevoke(let body): try revoke(body, call, &changes)
    case .evidenceSubmit(let body): try record(body, call, &changes)
    case .seedOpen(let body): try open(body, call, &changes)
    case .itemDispute(let body): try dispute(body, call, &changes)
    case .goldCommit(let body): try commit(body, call, &changes)
    case .goldReveal(let body): try reveal(body, call, &changes)
    case .transfer(let body): try transfer(body, call, &changes)
    case .redemptionRequest(let body): try requestRedemption(body, call, &changes)
    case .redemptionPay(let body): try payRedemption(body, call, &changes)
    case .redemptionAccept(let body): try acceptRedemption(body, call, &changes)
    case .redemptionCancel(let body): try cancelRedemption(body, call, &changes)
    case .claimKey(let body): try setClaimKey(body, call, &changes)
    case .claim(let body): try claim(body, call, &changes)
    case .correction(let body): try correct(body, call, &changes)
    case .revenuePost(let body): try postRevenue(body, call, &changes)
    case nil: throw .malformedField
    }
}

extension TermHistory {
    /// The rule of annotation at a height at which something was decided; nil, or 0 for what is
    /// not decided yet, the rule in force.
    package func annotationRule(at height: UInt64?) -> WireAnnotationRule {
        let decided = height.flatMap { $0 == 0 ? nil : rules(at: Height($0)) }
        return (decided ?? newest).agreement.annotation
    }
}
