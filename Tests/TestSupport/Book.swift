import Contracts
package import Ledger
package import Wire

/// A second set of books, kept from the postings alone.
package struct Book: Sendable {
    /// Microtokens per account; never below zero when the contracts are right.
    package private(set) var balances: [AccountID: Int128]
    /// What a posting did that none may do.
    package private(set) var faults: [String] = []

    package init(supply: UInt64) {
        balances = [ConsortiumAccount.reserve: Int128(supply)]
    }

    package mutating func post(_ effects: [WireEffect]) {
        for effect in effects {
            if effect.outcome != 0, !effect.postings.isEmpty {
                faults.append("a rejected transaction posted")
            }
            for posting in effect.postings {
                guard let debit = AccountID(posting.debit), let credit = AccountID(posting.credit),
                    posting.microtokens > 0, !posting.rule.isEmpty
                else {
                    faults.append("malformed posting \(posting)")
                    continue
                }
                balances[debit, default: 0] -= Int128(posting.microtokens)
                balances[credit, default: 0] += Int128(posting.microtokens)
                if balances[debit, default: 0] < 0, debit.kind != "external" {
                    faults.append("\(debit) is below zero")
                }
            }
        }
    }
}

extension Consortium {
    /// What is wrong with the money; empty when nothing is.
    ///
    /// Supply conserved, no account below zero, the state as the postings say, and the residuals
    /// of each role summing to zero.
    package func audit() -> [String] {
        var findings = book.faults
        let entries = state.entries(in: .balances, prefix: [], limit: .max)
        var stored: [AccountID: Int128] = [:]
        for entry in entries {
            guard let account = AccountID(String(decoding: entry.key.key, as: UTF8.self)),
                let balance = value(WireBalanceState.self, .balances, entry.key.key)
            else {
                findings.append("unreadable balance")
                continue
            }
            let pending = balance.pending.reduce(Int128(0)) { $0 + Int128($1.microtokens) }
            stored[account] = Int128(balance.available) + pending
            let heights = balance.pending.map(\.availableFrom)
            if zip(heights, heights.dropFirst()).contains(where: { $0 >= $1 }) {
                findings.append("pending amounts of \(account) are out of order")
            }
        }
        let supply = value(WireSupplyState.self, .supply, [])
        let issued = supply?.issued
        let (income, outgo) = (Int128(supply?.revenue ?? 0), Int128(supply?.redeemed ?? 0))
        if Int128(issued ?? 0) != Int128(agreement.rewards.supplyMicrotokens) + income - outgo {
            findings.append("the supply changed")
        }
        if -book.balances[ConsortiumAccount.payers, default: 0] != income
            || book.balances[ConsortiumAccount.payees, default: 0] != outgo
        {
            findings.append("what came in and what left is not what was posted")
        }
        if stored.values.reduce(0, +) != Int128(issued ?? 0) { findings.append("issued ≠ held") }
        let inside = Set(stored.keys).union(book.balances.keys).filter { $0.kind != "external" }
        for account in inside.sorted()
        where stored[account, default: 0] != book.balances[account, default: 0] {
            findings.append(
                "\(account) holds \(stored[account, default: 0]), postings say "
                    + "\(book.balances[account, default: 0])")
        }
        var residuals: [String: Int128] = [:]
        for entry in state.entries(in: .residuals, prefix: [], limit: .max) {
            let role = String(decoding: entry.key.key.prefix { $0 != 0 }, as: UTF8.self)
            let units = value(WireResidualState.self, .residuals, entry.key.key)?.units ?? 0
            residuals[role, default: 0] += Int128(units)
        }
        for (role, sum) in residuals where sum != 0 {
            findings.append("the residuals of \(role) sum to \(sum)")
        }
        return findings.sorted()
    }
}
