import Cryptography
import Ledger
import Wire

/// Finds statements of one key that contradict each other, whatever else is true.
struct Detector {
    private struct Record {
        var account: AccountID
        var votes: [Slot: Set<Digest>] = [:]
        var statuses: [Term: Set<[UInt8]>] = [:]
        /// Of each status the highest certificate that it reports.
        var reported: [(term: Term, highest: Slot)] = []
        var headers: [Slot: Set<Digest>] = [:]
        var firsts: [Term: Set<Digest>] = [:]
    }

    private var records: [VerifyingKey: Record] = [:]
    private var reasons: [AccountID: String] = [:]

    var convicted: Set<AccountID> { Set(reasons.keys) }

    func reason(for account: AccountID) -> String { reasons[account] ?? "" }

    func newestStatus(of key: VerifyingKey) -> Term? { records[key]?.statuses.keys.max() }

    private mutating func convict(_ account: AccountID, _ reason: String) {
        reasons[account] = reasons[account] ?? reason
    }

    mutating func note(_ vote: Vote, key: VerifyingKey, rules: RuleBook) {
        var record = records[key] ?? Record(account: vote.voter)
        guard record.votes[vote.slot, default: []].insert(vote.block).inserted else { return }
        records[key] = record
        if record.votes[vote.slot, default: []].count > 1 {
            convict(vote.voter, "two votes at \(vote.slot)")
        }
        let term = vote.slot.term
        if rules.isFirst(vote.block) {
            let firsts = record.votes.filter { $0.key.term == term }.flatMap(\.value)
                .filter { rules.isFirst($0) }
            if Set(firsts).count > 1 {
                convict(vote.voter, "votes for two first blocks of term \(term)")
            }
        }
        hidden(record, rules)
    }

    mutating func note(_ status: Status, key: VerifyingKey, rules: RuleBook) {
        var record = records[key] ?? Record(account: status.voter)
        guard record.statuses[status.term, default: []].insert(status.statement).inserted else {
            return
        }
        record.reported.append((status.term, status.highest))
        records[key] = record
        if record.statuses[status.term, default: []].count > 1 {
            convict(status.voter, "two statuses for term \(status.term)")
        }
        hidden(record, rules)
    }

    /// A vote below a status's term for a block that carries a higher certificate than reported.
    private mutating func hidden(_ record: Record, _ rules: RuleBook) {
        for status in record.reported {
            for (slot, blocks) in record.votes where slot.term < status.term {
                for block in blocks {
                    guard let carried = rules.carried(by: block), carried > status.highest else {
                        continue
                    }
                    convict(
                        record.account,
                        "a status for term \(status.term) hides the certificate at \(carried)")
                }
            }
        }
    }

    mutating func note(_ block: Block, key: VerifyingKey, account: AccountID) {
        var record = records[key] ?? Record(account: account)
        record.headers[block.slot, default: []].insert(block.hash)
        if block.isFirst { record.firsts[block.slot.term, default: []].insert(block.hash) }
        records[key] = record
        if record.headers[block.slot, default: []].count > 1 {
            convict(account, "two headers at \(block.slot)")
        }
        if record.firsts[block.slot.term, default: []].count > 1 {
            convict(account, "two first blocks of term \(block.slot.term)")
        }
    }
}
