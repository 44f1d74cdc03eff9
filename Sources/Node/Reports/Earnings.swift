import Contracts
import Ledger
import Storage
import Wire

/// A posting that counts in what somebody earned.
private struct Earned {
    let role: String
    let account: String
    /// Whether it adds; a correction of it does the opposite.
    let adds: Bool
}

extension ReportView {
    /// Microtokens that a run's rounds paid, by role and account; 0 for who could have been paid
    /// and got nothing.
    ///
    /// These are the sites of the roster, readers who were rated by the newest round, developers
    /// whom the agreement listed, and patients who did not waive. What corrections and reversals
    /// moved since counts; penalties, which are of the stake, do not.
    mutating func earnings(of run: WireRunState) throws -> [String: [String: UInt64]] {
        var sums = eligible(in: run).mapValues { accounts in
            Dictionary(accounts.map { ($0, Int128(0)) }, uniquingKeysWith: { first, _ in first })
        }
        var counted: [String: Earned] = [:]
        var windows: Set<UInt64> = []
        for round in 1...run.closed {
            guard let closed = state.round(run.number, round)?.closedHeight,
                let cause = try closing(run.number, round, at: Height(closed))
            else { continue }
            let rules = tip.terms.rules(at: Height(closed)).agreement.rewards
            windows.insert(
                Height(closed).advanced(by: UInt64(rules.appealWindow)).value)
            let pool = ConsortiumAccount.pool(run: run.number, round: round)
            for (place, posting) in try store.postings(by: cause).enumerated()
            where posting.debit == pool && posting.credit.role != nil {
                let account = posting.credit
                counted["\(cause)/\(place)"] = Earned(
                    role: account.kind, account: account.text, adds: true)
                sums[account.kind, default: [:]][account.text, default: 0] +=
                    Int128(posting.amount.microtokens)
            }
        }
        for change in try changes(since: counted, windows) {
            let amount = Int128(change.amount.microtokens)
            sums[change.earned.role, default: [:]][change.earned.account, default: 0] +=
                change.earned.adds ? amount : -amount
        }
        return sums.mapValues { $0.mapValues { UInt64(clamping: $0) } }
    }

    /// Corrections of what was counted, corrections of those, and what reversals moved while the
    /// windows of these rounds were open; the reserve is one side of each.
    private func changes(
        since paid: [String: Earned], _ windows: Set<UInt64>
    ) throws -> [(earned: Earned, amount: TokenAmount)] {
        var counted = paid
        var changes: [(earned: Earned, amount: TokenAmount)] = []
        for posting in try store.postings(of: ConsortiumAccount.reserve)
        where posting.height <= tip.height {
            switch posting.rule {
            case "correction/1":
                guard let corrected = counted[posting.corrects] else { continue }
                let earned = Earned(
                    role: corrected.role, account: corrected.account, adds: !corrected.adds)
                // A correction posts once, in place 0 of its transaction.
                counted["\(posting.cause)/0"] = earned
                changes.append((earned, posting.amount))
            case "reversal/1" where windows.contains(posting.availableFrom.value):
                let adds = posting.debit == ConsortiumAccount.reserve
                let account = adds ? posting.credit : posting.debit
                guard account.role == .annotator else { continue }
                let earned = Earned(role: account.kind, account: account.text, adds: adds)
                let place = try store.postings(by: posting.cause).firstIndex(of: posting)
                counted["\(posting.cause)/\(place ?? 0)"] = earned
                changes.append((earned, posting.amount))
            default: continue
            }
        }
        return changes
    }

    /// Who could have been paid by a run's closed rounds, by role.
    private mutating func eligible(in run: WireRunState) -> [String: Set<String>] {
        var accounts: [String: Set<String>] = ["site": Set(run.roster)]
        var newest: UInt64 = 0
        for number in 1...run.closed {
            guard let round = state.round(run.number, number), round.isClosed,
                let values = try? WireRoundValues(strictly: [UInt8](round.values)),
                let weights = state.weights(run.number, number)
            else { continue }
            newest = round.closedHeight
            accounts["developer", default: []].formUnion(weights.developers.map(\.account))
            let waived = Set(weights.waived)
            accounts["patient", default: []].formUnion(
                values.patients.map(\.patient).filter { !waived.contains($0) }
                    .map { patientAccount([UInt8]($0)).text })
        }
        accounts["annotator"] = ratedReaders(by: newest)
        return accounts.filter { !$0.value.isEmpty }
    }

    /// Readers whose answers were rated in a period that closed by a height.
    private mutating func ratedReaders(by height: UInt64) -> Set<String> {
        var readers: Set<String> = []
        for number in 1..<max(1, state.openPeriod().number) {
            let prefix = bigEndian(number)
            guard let period = state.value(WirePeriodState.self, .periods, prefix),
                period.closedHeight <= height
            else { continue }
            for (key, pay) in all(WirePayState.self, .pay, prefix: prefix) where pay.rated {
                readers.insert(String(decoding: key.dropFirst(prefix.count), as: UTF8.self))
            }
        }
        return readers
    }
}
