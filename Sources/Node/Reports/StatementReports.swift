import Contracts
package import Ledger
import Storage
import Wire

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
    /// How the rule came to the amount.
    package let arithmetic: String
    /// Height from which the amount counts.
    package let availableFrom: UInt64
    /// Of the account after this posting; of what is available.
    package let balance: String
}

/// One posting of an account in which a member's money is held back, as that account sees it.
package struct EscrowPosting: Codable, Sendable {
    /// Such as `stake/north-1`.
    package let account: String
    package let height: UInt64
    package let time: String
    package let cause: String
    package let rule: String
    /// `credit` or `debit`.
    package let direction: String
    package let amount: String
    package let counterparty: String
    package let arithmetic: String
    /// Of the escrow account after this posting.
    package let balance: String
}

/// An amount that is posted and not yet available.
package struct PendingPosting: Codable, Sendable {
    package let height: UInt64
    package let time: String
    package let cause: String
    package let rule: String
    /// Below zero, `-12.5`, where a reversal takes back what is pending.
    package let amount: String
    package let counterparty: String
    package let arithmetic: String
    package let availableFrom: UInt64
}

/// Every posting of an account with its cause; closing is what is available.
package struct StatementReport: Codable, Sendable {
    package let account: String
    package let fromHeight: UInt64
    /// The last height listed; null: all of them, so that closing is what is available now.
    @OrNull package var toHeight: UInt64?
    package let opening: String
    package let postings: [StatementPosting]
    package let closing: String
    package let pending: [PendingPosting]
    /// Of stake, penalties and payouts asked for, among the heights listed; escrow account by
    /// escrow account.
    package let escrowPostings: [EscrowPosting]
    /// Now, whatever heights are listed.
    package let available: String
    package let pendingAmount: String
    package let escrow: String
    package let settledHeight: UInt64
}

extension Reporter {
    /// The postings of an account in the order in which they became available.
    ///
    /// What counted before the height `from` is the opening, what counts after `to` is left out. A
    /// `to` above the newest settled height lists all there is; a `from` there is refused.
    package func statement(
        of account: AccountID, from: UInt64?, to: UInt64? = nil
    ) throws -> StatementReport {
        try read(isStrict: false) { view in
            try view.requireKnown(account)
            guard try store.snapshot() == nil else { throw ReportError.partial(.statement) }
            if let from, from > view.height {
                throw ReportError.notFound(
                    "there is nothing from height \(from) on: the newest settled height is "
                        + "\(view.height)")
            }
            let postings = try store.postings(of: account).filter { $0.height <= view.tip.height }
            return try view.statement(
                of: account, postings, from: from ?? 0,
                to: to.flatMap { $0 > view.height ? nil : $0 })
        }
    }
}

/// A posting with the height from which it counts.
private struct EffectivePosting {
    let posting: RecordedPosting
    let order: Int
    let isCredit: Bool

    /// A debit counts at once, a credit when it becomes available; a reversal takes from what its
    /// reader waits for, or gives it.
    var height: UInt64 {
        isCredit || (posting.rule == "reversal/1" && posting.debit.role == .annotator)
            ? max(posting.height.value, posting.availableFrom.value) : posting.height.value
    }

    /// What becomes available at a height is there before that height's own postings.
    var rank: (UInt64, Int, Int) { (height, height > posting.height.value ? 0 : 1, order) }
}

extension ReportView {
    /// What an account held before any posting: the reserve got the whole supply.
    private func foundingBalance(of account: AccountID) -> UInt64 {
        account == AccountID(kind: "reserve", name: "consortium") ? foundingSupply : 0
    }

    fileprivate mutating func statement(
        of account: AccountID, _ recorded: [RecordedPosting], from: UInt64, to: UInt64?
    ) throws -> StatementReport {
        let postings = recorded.enumerated().flatMap { order, posting in
            let credit = posting.credit == account
            let debit = posting.debit == account
            return [(debit, false), (credit, true)].compactMap { applies, isCredit in
                applies
                    ? EffectivePosting(posting: posting, order: order, isCredit: isCredit) : nil
            }
        }.sorted { $0.rank < $1.rank }
        var arithmetic = Arithmetic()
        var balance = TokenAmount(microtokens: foundingBalance(of: account))
        var (opening, closing) = (balance, balance)
        var lines: [StatementPosting] = []
        var pending: [PendingPosting] = []
        for entry in postings {
            let posting = entry.posting
            guard entry.height <= moneyHeight else {
                pending.append(
                    pendingPosting(entry, try arithmetic.text(of: posting, in: &self)))
                continue
            }
            balance = try balance.after(entry, of: account)
            guard entry.height >= from else {
                (opening, closing) = (balance, balance)
                continue
            }
            guard entry.height <= to ?? .max else { continue }
            closing = balance
            lines.append(line(entry, balance, try arithmetic.text(of: posting, in: &self)))
        }
        let now = parts(of: self.balance(of: account))
        let held = try escrowLines(of: account, from...(to ?? .max), &arithmetic)
        return StatementReport(
            account: account.text, fromHeight: from, toHeight: to,
            opening: opening.description, postings: lines, closing: closing.description,
            pending: pending, escrowPostings: held, available: now.available.description,
            pendingAmount: now.pending.description, escrow: try escrow(of: account).description,
            settledHeight: height)
    }

    /// What moved in the accounts in which a member's money is held back; it is never pending there.
    private mutating func escrowLines(
        of member: AccountID, _ heights: ClosedRange<UInt64>, _ arithmetic: inout Arithmetic
    ) throws -> [EscrowPosting] {
        var lines: [EscrowPosting] = []
        for account in escrowAccounts(of: member) {
            var balance = TokenAmount.zero
            for posting in try store.postings(of: account) where posting.height <= tip.height {
                let entry = EffectivePosting(
                    posting: posting, order: 0, isCredit: posting.credit == account)
                balance = try balance.after(entry, of: account)
                guard heights.contains(posting.height.value) else { continue }
                lines.append(
                    EscrowPosting(
                        account: account.text, height: posting.height.value,
                        time: timeText(milliseconds: posting.timeMilliseconds),
                        cause: posting.cause.description, rule: posting.rule,
                        direction: entry.isCredit ? "credit" : "debit",
                        amount: posting.amount.description,
                        counterparty: (entry.isCredit ? posting.debit : posting.credit).text,
                        arithmetic: try arithmetic.text(of: posting, in: &self),
                        balance: balance.description))
            }
        }
        return lines
    }

    private func line(
        _ entry: EffectivePosting, _ balance: TokenAmount, _ arithmetic: String
    ) -> StatementPosting {
        let posting = entry.posting
        return StatementPosting(
            height: posting.height.value, time: timeText(milliseconds: posting.timeMilliseconds),
            cause: posting.cause.description, rule: posting.rule,
            direction: entry.isCredit ? "credit" : "debit", amount: posting.amount.description,
            counterparty: (entry.isCredit ? posting.debit : posting.credit).text,
            arithmetic: arithmetic, availableFrom: entry.height, balance: balance.description)
    }

    private func pendingPosting(
        _ entry: EffectivePosting, _ arithmetic: String
    ) -> PendingPosting {
        let posting = entry.posting
        return PendingPosting(
            height: posting.height.value, time: timeText(milliseconds: posting.timeMilliseconds),
            cause: posting.cause.description, rule: posting.rule,
            amount: (entry.isCredit ? "" : "-") + posting.amount.description,
            counterparty: (entry.isCredit ? posting.debit : posting.credit).text,
            arithmetic: arithmetic, availableFrom: posting.availableFrom.value)
    }
}

extension TokenAmount {
    fileprivate func after(_ entry: EffectivePosting, of account: AccountID) throws -> Self {
        if entry.isCredit { return try adding(entry.posting.amount) }
        guard let rest = subtracting(entry.posting.amount) else {
            throw ReportError.notFound(
                "the postings of \(account) do not add up at height \(entry.posting.height); "
                    + "run `tally verify`")
        }
        return rest
    }
}
