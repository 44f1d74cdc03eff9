import Contracts
import Cryptography
import Ledger
import Wire

/// A request for a payout, and what became of it.
package struct RedemptionEntry: Codable, Sendable {
    /// The transaction that asked for it.
    package let request: String
    package let account: String
    package let amount: String
    /// `open`, `accepted`, `paid` or `given up`.
    package let state: String
    /// Of the payment outside; empty unless paid.
    package let reference: String
    /// Of the block that closed it; 0 while it is open.
    package let closedHeight: UInt64
}

package struct RedemptionsReport: Codable, Sendable {
    package let redemptions: [RedemptionEntry]
    package let settledHeight: UInt64
}

extension Reporter {
    /// All requests for the treasurer and the nodes; a member's own for itself.
    func redemptions(for asker: AccountID?) throws -> RedemptionsReport {
        try read(isStrict: false) { view in
            let seesAll =
                asker.map { $0.role?.votes == true || $0.text == view.agreement.rewards.treasurer }
                ?? true
            let entries = view.all(WireRedemptionState.self, .redemptions).compactMap {
                key, state -> RedemptionEntry? in
                guard seesAll || state.account == asker?.text,
                    let envelope = Digest(key.prefix(32)), key.count == 36
                else { return nil }
                let index = key.dropFirst(32).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return RedemptionEntry(
                    request: TransactionID(envelope: envelope, index: index).description,
                    account: state.account,
                    amount: TokenAmount(microtokens: state.microtokens).description,
                    state: state.closedHeight == 0
                        ? (state.acceptedHeight == 0 ? "open" : "accepted")
                        : (state.cancelled ? "given up" : "paid"),
                    reference: state.reference, closedHeight: state.closedHeight)
            }
            return RedemptionsReport(redemptions: entries, settledHeight: view.height)
        }
    }
}
