import Contracts
package import Ledger
import Storage
import Wire

/// What an account has: usable, waiting, and at stake.
package struct BalanceReport: Codable, Sendable {
    package let account: String
    package let available: String
    package let pending: String
    /// Stake and penalties of an annotator.
    package let escrow: String
    package let settledHeight: UInt64
    /// What the figures stand on: "own ledger", or "checked" when a site's proof was.
    package var proof = "own ledger"
    /// Of the block that a site proved to be settled.
    @OrNull package var provenHeight: UInt64?
    /// The account's newest posting, when a site proved one.
    @OrNull package var provenTransaction: String?

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
    }
}

/// One posting as its account sees it.
package struct StatementPosting: Codable, Sendable {
    package let height: UInt64
    package let time: String
    /// The transaction that caused it.
    package let cause: String
    package let rule: String
    /// `credit` or `debit`.
    package let direction: String
    package let amount: String
    package let counterparty: String
    /// Height from which the amount counts.
    package let availableFrom: UInt64
    /// Of the account after this posting; of what is available.
    package let balance: String
}

/// An amount that is posted and not yet available.
package struct PendingPosting: Codable, Sendable {
    package let height: UInt64
    package let time: String
    package let cause: String
    package let rule: String
    package let amount: String
    package let counterparty: String
    package let availableFrom: UInt64
}

/// Every posting of an account with its cause; closing is what is available.
package struct StatementReport: Codable, Sendable {
    package let account: String
    package let fromHeight: UInt64
    package let opening: String
    package let postings: [StatementPosting]
    package let closing: String
    package let pending: [PendingPosting]
    package let settledHeight: UInt64
}

package struct AccountBalance: Codable, Sendable {
    package let account: String
    package let balance: String
}

/// The trial balance: what was issued is what all accounts hold.
package struct SupplyReport: Codable, Sendable {
    package let issued: String
    package let held: String
    package let balanced: Bool
    package let accounts: [AccountBalance]
    package let settledHeight: UInt64
}

extension Reporter {
    package func balance(of account: AccountID) throws -> BalanceReport {
        try read { view in
            try view.requireKnown(account)
            let state = view.balance(of: account)
            let escrow =
                account.role == .annotator
                ? try escrowAccounts(of: account).reduce(TokenAmount.zero) { sum, part in
                    let held = view.balance(of: part)
                    return try sum.adding(total(of: held))
                } : .zero
            let available = state.available(at: view.moneyHeight)
            let pending = state.pending(at: view.moneyHeight)
            return BalanceReport(
                account: account.text,
                available: TokenAmount(microtokens: available).description,
                pending: TokenAmount(microtokens: pending).description,
                escrow: escrow.description, settledHeight: view.height)
        }
    }

    /// The postings of an account in the order in which they became available.
    ///
    /// What counted before the height `from` is the opening.
    package func statement(of account: AccountID, from: UInt64?) throws -> StatementReport {
        try read(isStrict: false) { view in
            try view.requireKnown(account)
            guard try store.snapshot() == nil else { throw ReportError.partial(.statement) }
            let postings = try store.postings(of: account).filter { $0.height <= view.tip.height }
            return try view.statement(of: account, postings, from: from ?? 0)
        }
    }

    package func supply() throws -> SupplyReport {
        try read { view in
            var held = TokenAmount.zero
            var accounts: [AccountBalance] = []
            for (key, state) in view.all(WireBalanceState.self, .balances) {
                let name = String(decoding: key, as: UTF8.self)
                guard AccountID(name)?.kind != "external" else { continue }
                let amount = try total(of: state)
                held = try held.adding(amount)
                accounts.append(AccountBalance(account: name, balance: amount.description))
            }
            let supply = view.state.value(WireSupplyState.self, .supply, [])
            let issued = TokenAmount(microtokens: supply?.issued ?? 0)
            return SupplyReport(
                issued: issued.description, held: held.description, balanced: issued == held,
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

/// A posting with the height from which it counts.
private struct EffectivePosting {
    let posting: RecordedPosting
    let order: Int
    let isCredit: Bool

    /// A debit counts at once, a credit when it becomes available; a correction takes from what its
    /// account waits for, or gives it.
    var height: UInt64 {
        isCredit || (posting.rule == "correction/1" && posting.debit.role == .annotator)
            ? max(posting.height.value, posting.availableFrom.value) : posting.height.value
    }

    /// What becomes available at a height is there before that height's own postings.
    var rank: (UInt64, Int, Int) { (height, height > posting.height.value ? 0 : 1, order) }
}

extension ReportView {
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
        if account == ConsortiumAccount.commons { return }
        throw ReportError.notFound(
            "there is no account \(account) at height \(height); check the name, or wait until "
                + "its enrolment is settled")
    }

    /// What an account held before any posting: the reserve got the whole supply.
    private func foundingBalance(of account: AccountID) -> UInt64 {
        account == ConsortiumAccount.reserve ? agreement.rewards.supplyMicrotokens : 0
    }

    func statement(
        of account: AccountID, _ recorded: [RecordedPosting], from: UInt64
    ) throws -> StatementReport {
        let postings = recorded.enumerated().flatMap { order, posting in
            let credit = posting.credit == account
            let debit = posting.debit == account
            return [(debit, false), (credit, true)].compactMap { applies, isCredit in
                applies
                    ? EffectivePosting(posting: posting, order: order, isCredit: isCredit) : nil
            }
        }.sorted { $0.rank < $1.rank }
        var balance = TokenAmount(microtokens: foundingBalance(of: account))
        var opening = balance
        var lines: [StatementPosting] = []
        var pending: [PendingPosting] = []
        for entry in postings {
            let posting = entry.posting
            guard entry.height <= moneyHeight else {
                pending.append(pendingPosting(entry))
                continue
            }
            if entry.isCredit {
                balance = try balance.adding(posting.amount)
            } else {
                guard let rest = balance.subtracting(posting.amount) else {
                    throw ReportError.notFound(
                        "the postings of \(account) do not add up at height \(posting.height); "
                            + "run `tally verify`")
                }
                balance = rest
            }
            guard entry.height >= from else {
                opening = balance
                continue
            }
            lines.append(line(entry, balance))
        }
        return StatementReport(
            account: account.text, fromHeight: from, opening: opening.description,
            postings: lines, closing: balance.description, pending: pending,
            settledHeight: height)
    }

    private func line(_ entry: EffectivePosting, _ balance: TokenAmount) -> StatementPosting {
        let posting = entry.posting
        return StatementPosting(
            height: posting.height.value, time: timeText(milliseconds: posting.timeMilliseconds),
            cause: posting.cause.description, rule: posting.rule,
            direction: entry.isCredit ? "credit" : "debit", amount: posting.amount.description,
            counterparty: (entry.isCredit ? posting.debit : posting.credit).text,
            availableFrom: entry.height, balance: balance.description)
    }

    private func pendingPosting(_ entry: EffectivePosting) -> PendingPosting {
        let posting = entry.posting
        return PendingPosting(
            height: posting.height.value, time: timeText(milliseconds: posting.timeMilliseconds),
            cause: posting.cause.description, rule: posting.rule,
            amount: (entry.isCredit ? "" : "-") + posting.amount.description,
            counterparty: (entry.isCredit ? posting.debit : posting.credit).text,
            availableFrom: posting.availableFrom.value)
    }
}
