package import Ledger
package import Wire

/// The consortium's own accounts; members' are `role/name`.
package enum ConsortiumAccount {
    package static let reserve = AccountID(kind: "reserve", name: "consortium")
    package static let commons = AccountID(kind: "commons", name: "consortium")

    package static func pool(run: UInt32, round: UInt32) -> AccountID {
        AccountID(kind: "pool", name: "\(run).\(round)")
    }

    /// What the reserve advanced to a reader; lost by commitments that are never revealed and by
    /// answers worse than chance.
    package static func stake(of reader: AccountID) -> AccountID {
        AccountID(kind: "stake", name: reader.name)
    }

    /// Penalties of a reader while they can be appealed.
    package static func appeal(of reader: AccountID) -> AccountID {
        AccountID(kind: "appeal", name: reader.name)
    }

    /// What a member has put aside to be paid out.
    package static func redemption(of member: AccountID) -> AccountID {
        AccountID(kind: "redemption-\(member.kind)", name: member.name)
    }

    /// Who put aside what stands in a redemption's account; nil for any other account.
    static func owner(redemption: AccountID) -> AccountID? {
        guard redemption.kind.hasPrefix("redemption-") else { return nil }
        return AccountID("\(redemption.kind.dropFirst("redemption-".count))/\(redemption.name)")
            .flatMap { $0.role == nil ? nil : $0 }
    }

    /// Income from outside while it is divided.
    static func income(_ reference: String) -> AccountID {
        AccountID(kind: "revenue", name: reference)
    }

    /// What is outside the books: where income comes from and where redeemed tokens go.
    package static let outside = "external"
    package static let payers = AccountID(kind: outside, name: "revenue")
    package static let payees = AccountID(kind: outside, name: "redemptions")
}

/// The names of the rules that move money.
enum MoneyRule {
    static let stake = "stake/1"
    static let annotation = "annotation/1"
    static let pay = "pay/1"
    static let split = "split/1"
    static let reversal = "reversal/1"
    static let transfer = "transfer/1"
    static let redemption = "redemption/1"
    static let claim = "claim/1"
    static let correction = "correction/1"
    static let revenue = "revenue/1"
}

extension WireBalanceState {
    /// What may be used at a height: the available amount and every pending one that has come due.
    package func available(at height: UInt64) -> UInt64 {
        pending.filter { $0.availableFrom <= height }.reduce(available) { sum, amount in
            sum.addingReportingOverflow(amount.microtokens).partialValue
        }
    }

    package func pending(at height: UInt64) -> UInt64 {
        pending.filter { $0.availableFrom > height }.reduce(0) { sum, amount in
            sum.addingReportingOverflow(amount.microtokens).partialValue
        }
    }

    fileprivate mutating func mature(at height: UInt64) {
        available = available(at: height)
        pending.removeAll { $0.availableFrom <= height }
    }

    /// Adds an amount; all amounts together never exceed the supply, so no sum overflows.
    fileprivate mutating func add(_ microtokens: UInt64, from height: UInt64) {
        if let place = pending.firstIndex(where: { $0.availableFrom >= height }) {
            if pending[place].availableFrom == height {
                pending[place].microtokens += microtokens
                return
            }
            pending.insert(amount(microtokens, height), at: place)
        } else {
            pending.append(amount(microtokens, height))
        }
    }

    private func amount(_ microtokens: UInt64, _ height: UInt64) -> WirePendingAmount {
        var amount = WirePendingAmount()
        amount.microtokens = microtokens
        amount.availableFrom = height
        return amount
    }
}

extension ChangeSet {
    package mutating func balance(of account: AccountID, at height: UInt64) -> TokenAmount {
        let state = value(WireBalanceState.self, .balances, Array(account.text.utf8))
        return TokenAmount(microtokens: state?.available(at: height) ?? 0)
    }

    /// Moves an amount from one account to another; a zero amount leaves no trace.
    ///
    /// `delay` is the blocks until the credited side may use it; 0 for the consortium's own
    /// accounts, whose money no member can take away before the block is settled. What comes from
    /// or goes to the outside changes the supply instead of a balance.
    mutating func post(
        from debit: AccountID, to credit: AccountID, _ amount: TokenAmount, rule: String,
        delay: UInt64 = 0, corrects: String = "", _ call: Call
    ) throws(Rejection) {
        guard amount > .zero else { return }
        if debit.kind == ConsortiumAccount.outside {
            try bringIn(amount, isPaidOut: debit == ConsortiumAccount.payees)
        } else {
            let from = Array(debit.text.utf8)
            var payer = value(WireBalanceState.self, .balances, from) ?? WireBalanceState()
            payer.mature(at: call.height)
            guard payer.available >= amount.microtokens else { throw .insufficientBalance }
            payer.available -= amount.microtokens
            set(.balances, from, to: payer)
        }
        let availableFrom = delay == 0 ? 0 : call.context.height.advanced(by: delay).value
        if credit.kind == ConsortiumAccount.outside {
            try takeOut(amount, isIncome: credit == ConsortiumAccount.payers)
        } else {
            let to = Array(credit.text.utf8)
            var payee = value(WireBalanceState.self, .balances, to) ?? WireBalanceState()
            payee.mature(at: call.height)
            if delay == 0 {
                let (sum, overflow) = payee.available.addingReportingOverflow(amount.microtokens)
                guard !overflow else { throw .amountOverflow }
                payee.available = sum
            } else {
                payee.add(amount.microtokens, from: availableFrom)
            }
            set(.balances, to, to: payee)
        }
        var posting = WirePosting()
        posting.corrects = corrects
        posting.debit = debit.text
        posting.credit = credit.text
        posting.microtokens = amount.microtokens
        posting.rule = rule
        posting.availableFrom = availableFrom
        record(posting)
    }

    /// Takes back what an account waits for, at most all of it; it moves as pending as it was.
    mutating func takeBack(
        from debit: AccountID, to credit: AccountID, _ amount: TokenAmount,
        pendingUntil height: UInt64, _ call: Call
    ) throws(Rejection) {
        let from = Array(debit.text.utf8)
        let to = Array(credit.text.utf8)
        var payer = value(WireBalanceState.self, .balances, from) ?? WireBalanceState()
        guard let place = payer.pending.firstIndex(where: { $0.availableFrom == height }) else {
            return
        }
        let moved = min(amount.microtokens, payer.pending[place].microtokens)
        guard moved > 0, height > call.height else { return }
        payer.pending[place].microtokens -= moved
        if payer.pending[place].microtokens == 0 { payer.pending.remove(at: place) }
        payer.mature(at: call.height)
        set(.balances, from, to: payer)
        var payee = value(WireBalanceState.self, .balances, to) ?? WireBalanceState()
        payee.mature(at: call.height)
        payee.add(moved, from: height)
        set(.balances, to, to: payee)
        var posting = WirePosting()
        posting.debit = debit.text
        posting.credit = credit.text
        posting.microtokens = moved
        posting.rule = MoneyRule.reversal
        posting.availableFrom = height
        record(posting)
    }

    /// Income comes in, or what had been paid out comes back.
    private mutating func bringIn(_ amount: TokenAmount, isPaidOut: Bool) throws(Rejection) {
        var supply = value(WireSupplyState.self, .supply, []) ?? WireSupplyState()
        let (issued, overflow) = supply.issued.addingReportingOverflow(amount.microtokens)
        guard !overflow, issued <= largestSupply else { throw .supplyExceeded }
        supply.issued = issued
        if isPaidOut {
            guard supply.redeemed >= amount.microtokens else { throw .insufficientBalance }
            supply.redeemed -= amount.microtokens
        } else {
            let (revenue, tooMuch) = supply.revenue.addingReportingOverflow(amount.microtokens)
            guard !tooMuch else { throw .amountOverflow }
            supply.revenue = revenue
        }
        set(.supply, [], to: supply)
    }

    /// Tokens are paid out, or an income leaves that never should have come.
    private mutating func takeOut(_ amount: TokenAmount, isIncome: Bool) throws(Rejection) {
        var supply = value(WireSupplyState.self, .supply, []) ?? WireSupplyState()
        guard supply.issued >= amount.microtokens else { throw .insufficientBalance }
        supply.issued -= amount.microtokens
        if isIncome {
            guard supply.revenue >= amount.microtokens else { throw .insufficientBalance }
            supply.revenue -= amount.microtokens
        } else {
            let (redeemed, overflow) = supply.redeemed.addingReportingOverflow(amount.microtokens)
            guard !overflow else { throw .amountOverflow }
            supply.redeemed = redeemed
        }
        set(.supply, [], to: supply)
    }

    /// Residuals of a role, read from and written back to the state.
    mutating func residuals(of role: String, _ accounts: some Sequence<AccountID>)
        -> [AccountID: Int64]
    {
        var result: [AccountID: Int64] = [:]
        for account in accounts {
            let state = value(WireResidualState.self, .residuals, residualKey(role, account))
            result[account] = state?.units ?? 0
        }
        return result
    }

    mutating func setResiduals(_ residuals: [AccountID: Int64], of role: String) {
        for account in residuals.keys.sorted() {
            var state = WireResidualState()
            state.units = residuals[account] ?? 0
            set(.residuals, residualKey(role, account), to: state)
        }
    }
}

private func residualKey(_ role: String, _ account: AccountID) -> [UInt8] {
    Array(role.utf8) + [0] + Array(account.text.utf8)
}
