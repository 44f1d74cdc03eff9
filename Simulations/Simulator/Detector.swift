import Cryptography
import Ledger
import Wire

/// Finds statements of one key that contradict each other, whatever else is true.
///
/// Its own few lines say which pairs do, apart from the rules of evidence; for every pair it then
/// asks for the evidence itself. The two must agree, whoever signed.
struct Detector {
    private struct Record {
        var account: AccountID
        var votes: [Slot: [Vote]] = [:]
        var statuses: [Term: [Status]] = [:]
        var headers: [Slot: [SignedHeader]] = [:]
        var firsts: [Term: [SignedHeader]] = [:]
        var heads: [Height: [Head]] = [:]
    }

    private let network: NetworkID
    private var records: [VerifyingKey: Record] = [:]
    private(set) var reasons: [AccountID: String] = [:]
    /// What convicts by itself; one for each offence.
    private(set) var evidence: [Offence: Evidence] = [:]

    init(network: NetworkID) { self.network = network }

    var convicted: Set<AccountID> { Set(reasons.keys) }

    func newestStatus(of key: VerifyingKey) -> Term? { records[key]?.statuses.keys.max() }

    // MARK: statements

    mutating func note(_ vote: Vote, key: VerifyingKey, rules: RuleBook) throws {
        var record = records[key] ?? Record(account: vote.voter)
        let known = record.votes[vote.slot] ?? []
        guard !known.contains(where: { $0.block == vote.block }) else { return }
        record.votes[vote.slot] = known + [vote]
        records[key] = record
        for other in known {
            try weigh(
                Evidence.conflict(other, vote, by: key, network: network), isOffence: true,
                vote.voter, "two votes at \(vote.slot)")
        }
        let others = record.votes.filter { $0.key.term == vote.slot.term && $0.key != vote.slot }
        let header = rules.header(of: vote.block)
        for other in others.sorted(by: { $0.key < $1.key }).flatMap(\.value) {
            guard let header, let otherHeader = rules.header(of: other.block),
                header.isFirst || otherHeader.isFirst
            else { continue }
            try weigh(
                Evidence.conflict(
                    other, vote, headers: (otherHeader.headerBytes, header.headerBytes), by: key,
                    network: network),
                isOffence: header.isFirst && otherHeader.isFirst, vote.voter,
                "votes for two first blocks of term \(vote.slot.term)")
        }
        for status in record.statuses.values.joined() {
            try weigh(status, vote, key: key, rules: rules)
        }
    }

    mutating func note(_ status: Status, key: VerifyingKey, rules: RuleBook) throws {
        var record = records[key] ?? Record(account: status.voter)
        let known = record.statuses[status.term] ?? []
        guard !known.contains(where: { $0.statement == status.statement }) else { return }
        record.statuses[status.term] = known + [status]
        records[key] = record
        for other in known {
            try weigh(
                Evidence.conflict(other, status, by: key, network: network), isOffence: true,
                status.voter, "two statuses for term \(status.term)")
        }
        for vote in record.votes.sorted(by: { $0.key < $1.key }).flatMap(\.value) {
            try weigh(status, vote, key: key, rules: rules)
        }
    }

    /// A vote below a status's term for a block that carries a higher certificate than reported.
    private mutating func weigh(
        _ status: Status, _ vote: Vote, key: VerifyingKey, rules: RuleBook
    ) throws {
        guard let header = rules.header(of: vote.block),
            let certificate = header.parentCertificate
        else { return }
        try weigh(
            Evidence.conflict(
                status, vote, header: header.headerBytes, certificate: certificate, by: key,
                network: network),
            isOffence: vote.slot.term < status.term && certificate.slot > status.highest,
            status.voter,
            "a status for term \(status.term) hides the certificate at \(certificate.slot)")
    }

    mutating func note(_ block: Block, key: VerifyingKey, account: AccountID) throws {
        var record = records[key] ?? Record(account: account)
        let header = SignedHeader(block)
        let known = record.headers[block.slot] ?? []
        guard !known.contains(where: { $0.hash == header.hash }) else { return }
        record.headers[block.slot] = known + [header]
        let firsts = record.firsts[block.slot.term] ?? []
        if block.isFirst { record.firsts[block.slot.term] = firsts + [header] }
        records[key] = record
        for other in known {
            try weigh(
                Evidence.conflict(other, header, by: key, network: network), isOffence: true,
                account, "two headers at \(block.slot)")
        }
        guard block.isFirst else { return }
        for other in firsts where other.slot != header.slot {
            try weigh(
                Evidence.conflict(other, header, by: key, network: network), isOffence: true,
                account, "two first blocks of term \(block.slot.term)")
        }
    }

    mutating func note(_ head: Head, key: VerifyingKey) throws {
        var record = records[key] ?? Record(account: head.account)
        let known = record.heads[head.settled.height] ?? []
        guard !known.contains(head) else { return }
        record.heads[head.settled.height] = known + [head]
        records[key] = record
        for other in known {
            try weigh(
                Evidence.conflict(other, head, by: key, network: network), isOffence: true,
                head.account, "two heads at height \(head.settled.height)")
        }
    }

    // MARK: verdicts

    mutating func weigh(
        _ evidence: Evidence?, isOffence: Bool, _ account: AccountID, _ reason: String
    ) throws {
        guard isOffence == (evidence != nil) else {
            throw Violation(
                "evidence",
                isOffence
                    ? "nothing convicts \(account) of \(reason)"
                    : "\(account), who did nothing, can be convicted: \(reason)")
        }
        guard let evidence else { return }
        try add(evidence, against: account, reason)
    }

    /// Checks evidence as a stranger would who was handed its bytes, and keeps it.
    private mutating func add(
        _ evidence: Evidence, against account: AccountID, _ reason: String
    ) throws {
        let offence: Offence
        do {
            offence = try Evidence(strictly: evidence.bytes, network: network).offence { key, one in
                records[key]?.account == one
            }
        } catch { throw Violation("evidence", "\(reason) of \(account) proves nothing: \(error)") }
        guard offence.offender == account else {
            throw Violation("evidence", "\(reason) of \(account) convicts \(offence.offender)")
        }
        self.evidence[offence] = self.evidence[offence] ?? evidence
        reasons[account] = reasons[account] ?? reason
    }
}
