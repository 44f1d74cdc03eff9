import Contracts
package import Ledger
import Storage
import Wire

/// What an account has: usable, waiting, and at stake.
package struct BalanceReport: Codable, Sendable {
    package let account: String
    package let available: String
    package let pending: String
    /// Stake and penalties of an annotator, and what waits to be paid out.
    package let escrow: String
    package let settledHeight: UInt64
    /// What the figures stand on, in a sentence: "own ledger", or what of a site's answer is proven
    /// and what is its word.
    package var proof = "own ledger"
    /// The settled height, when a site proved that it is settled.
    @OrNull package var provenHeight: UInt64?
    /// The account's newest posting, when a site proved one, and the height of its block.
    @OrNull package var provenTransaction: String?
    @OrNull package var provenPostingHeight: UInt64?

    package init(
        account: String, available: String, pending: String, escrow: String,
        settledHeight: UInt64
    ) {
        self.account = account
        self.available = available
        self.pending = pending
        self.escrow = escrow
        self.settledHeight = settledHeight
        provenHeight = nil
        provenTransaction = nil
        provenPostingHeight = nil
    }
}

package struct AccountBalance: Codable, Sendable {
    package let account: String
    package let balance: String
    /// Of the balance: what cannot be used yet.
    package let pending: String
}

/// What the accounts of one kind hold together.
package struct AccountSection: Codable, Sendable {
    package let kind: String
    package let accounts: Int
    package let balance: String
}

/// The trial balance: what was issued is what all accounts hold.
package struct SupplyReport: Codable, Sendable {
    /// The founding supply, with all income, without all that was redeemed.
    package let issued: String
    package let held: String
    package let balanced: Bool
    /// What was in the reserve when the network was founded.
    package let founded: String
    package let revenue: String
    package let redeemed: String
    /// Held by patients who are no members, until they claim it.
    package let unclaimed: String
    package let sections: [AccountSection]
    package let accounts: [AccountBalance]
    package let settledHeight: UInt64
}

extension Reporter {
    package func balance(of account: AccountID) throws -> BalanceReport {
        try read { view in
            try view.requireKnown(account)
            let state = view.balance(of: account)
            let escrow = try view.escrow(of: account)
            let available = state.available(at: view.moneyHeight)
            let pending = state.pending(at: view.moneyHeight)
            return BalanceReport(
                account: account.text,
                available: TokenAmount(microtokens: available).description,
                pending: TokenAmount(microtokens: pending).description,
                escrow: escrow.description, settledHeight: view.height)
        }
    }

    package func supply() throws -> SupplyReport {
        try read { view in
            var (held, unclaimed) = (TokenAmount.zero, TokenAmount.zero)
            var accounts: [AccountBalance] = []
            var sections: [String: (count: Int, sum: TokenAmount)] = [:]
            for (key, state) in view.all(WireBalanceState.self, .balances) {
                let name = String(decoding: key, as: UTF8.self)
                let amount = try total(of: state)
                held = try held.adding(amount)
                let account = AccountID(name)
                let section = sections[account?.kind ?? name] ?? (0, .zero)
                sections[account?.kind ?? name] = (
                    section.count + 1, try section.sum.adding(amount)
                )
                if let account, account.role == .patient, view.state.member(account) == nil {
                    unclaimed = try unclaimed.adding(amount)
                }
                let pending = view.parts(of: state).pending
                accounts.append(
                    AccountBalance(
                        account: name, balance: amount.description,
                        pending: pending.description))
            }
            let supply = view.state.value(WireSupplyState.self, .supply, []) ?? WireSupplyState()
            func text(_ microtokens: UInt64) -> String {
                TokenAmount(microtokens: microtokens).description
            }
            return SupplyReport(
                issued: text(supply.issued), held: held.description,
                balanced: TokenAmount(microtokens: supply.issued) == held,
                founded: text(view.foundingSupply), revenue: text(supply.revenue),
                redeemed: text(supply.redeemed), unclaimed: unclaimed.description,
                sections: sections.sorted { $0.key < $1.key }.map {
                    AccountSection(
                        kind: $0.key, accounts: $0.value.count,
                        balance: $0.value.sum.description)
                },
                accounts: accounts, settledHeight: view.height)
        }
    }
}

/// Available and pending together.
private func total(of state: WireBalanceState) throws -> TokenAmount {
    try state.pending.reduce(TokenAmount(microtokens: state.available)) { sum, amount in
        try sum.adding(TokenAmount(microtokens: amount.microtokens))
    }
}

extension ReportView {
    /// What the reserve got before any posting.
    var foundingSupply: UInt64 { store.genesis.agreement.rewards.supplyMicrotokens }

    /// Stake and penalties of a reader, and what a member has put aside to be paid out.
    mutating func escrow(of account: AccountID) throws -> TokenAmount {
        var sum = TokenAmount.zero
        for part in escrowAccounts(of: account) {
            sum = try sum.adding(total(of: balance(of: part)))
        }
        return sum
    }

    /// Available and pending at the height at which balances are looked at.
    func parts(of state: WireBalanceState) -> (available: TokenAmount, pending: TokenAmount) {
        (
            TokenAmount(microtokens: state.available(at: moneyHeight)),
            TokenAmount(microtokens: state.pending(at: moneyHeight))
        )
    }

    mutating func balance(of account: AccountID) -> WireBalanceState {
        state.value(WireBalanceState.self, .balances, Array(account.text.utf8))
            ?? WireBalanceState()
    }

    /// Refuses an account that nobody ever heard of, so that a misspelt name is not a zero balance.
    mutating func requireKnown(_ account: AccountID) throws {
        let key = Array(account.text.utf8)
        if state.member(account) != nil || state.bytes(.balances, key) != nil { return }
        if account.role == .patient, let pseudonym = patientPseudonym(account),
            state.bytes(.consents, pseudonym) != nil
        {
            return
        }
        if account.kind == "stake" || account.kind == "appeal",
            state.member(AccountID(.annotator, account.name)) != nil
        {
            return
        }
        if account.kind.hasPrefix("redemption-"),
            state.member(
                AccountID(kind: String(account.kind.dropFirst(11)), name: account.name)) != nil
        {
            return
        }
        if account == ConsortiumAccount.commons { return }
        throw ReportError.notFound(
            "there is no account \(account) at height \(height); check the name, or wait until "
                + "its enrolment is settled")
    }
}
