import Contracts
package import Ledger
import Messaging
package import Node
import Wire

/// What a transaction takes from an account, for saying why it could not.
struct Spending {
    let account: AccountID
    let amount: TokenAmount

    init(of account: AccountID, _ amount: TokenAmount) {
        self.account = account
        self.amount = amount
    }
}

/// Signs a member's own transaction, hands it in and waits for settlement.
///
/// A node's worker signs it; in a home without a ledger it is signed here and goes to the site. When
/// the account holds less than is needed, its balance is looked up and said.
func send(
    _ transaction: WireTransaction, named name: String, from home: Home, wait: Bool = true,
    spending: Spending? = nil
) async throws -> WriteReport {
    guard !home.isNode else {
        let report = try await LocalNode.connected(to: home) { node in
            try await writeReport(
                of: node.contribute([transaction]), places: [name], wait: wait, via: node.client)
        }
        return try await report.explaining(spending) {
            try reporter(home).balance(of: $0)
        }
    }
    return try await SiteLink.connected(from: home) { link in
        let submitter = Submitter(
            keys: link.keys, network: link.genesis.network, sink: link.client)
        let report = try await writeReport(
            of: submitter.submit([transaction]), places: [name], wait: wait, via: link.client)
        return try await report.explaining(spending) {
            try Node.report(
                BalanceReport.self, json: try await link.report(.balance, [$0.text]))
        }
    }
}

extension WriteReport {
    /// Says of a refusal for want of money which account held how much, and what was needed.
    fileprivate func explaining(
        _ spending: Spending?, _ balance: (AccountID) async throws -> BalanceReport
    ) async throws -> WriteReport {
        let want = Rejection.insufficientBalance.description
        guard let spending, rejected.contains(where: { $0.reason == want }),
            let held = try? await balance(spending.account)
        else { return self }
        var report = self
        report.rejected = rejected.map { row in
            row.reason == want
                ? RejectedRow(
                    row: row.row, reason: shortfallText(want, held, needed: spending.amount))
                : row
        }
        return report
    }
}

/// Which account held less than was needed, with both amounts.
package func shortfallText(
    _ reason: String, _ held: BalanceReport, needed: TokenAmount
) -> String {
    let pending = held.pending == "0.000000" ? "" : ", \(held.pending) more is pending"
    return "\(reason): \(held.account) has \(held.available) available at height "
        + "\(held.settledHeight), \(needed) is needed\(pending)"
}
