import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// A status that this node signed, as it is kept.
struct StatusRow: Sendable {
    let place: String
    let status: Status
    /// Nil: genesis.
    let certificate: Certificate?
}

/// Reads the statuses that a node signed; what is malformed is a finding and left out.
func statusRows(_ rows: LedgerRows, _ findings: inout Findings) throws -> [StatusRow] {
    var result: [StatusRow] = []
    var next: (term: Int64?, number: Int64) = (nil, 0)
    let stored = try rows.rows(of: .statuses)
    while let row = try stored.next() {
        let place = "table statuses, term \(row[0].shown), number \(row[1].shown)"
        next = (row[0].integer, row[0].integer == next.term ? next.number &+ 1 : 0)
        if row[1].integer != next.number {
            findings.add(place, "column number: it should be \(next.number)")
        }
        do {
            let report = try WireStatusReport(strictly: row[2].bytes ?? [])
            let status = try Status(strictly: [UInt8](report.status))
            let certificate =
                report.certificate.isEmpty
                ? nil : try Certificate(strictly: [UInt8](report.certificate))
            if row[0].integer.flatMap({ UInt64(exactly: $0) }) != status.term.value {
                findings.add(place, "column term: the status is for term \(status.term)")
            }
            result.append(StatusRow(place: place, status: status, certificate: certificate))
        } catch { findings.add(place, "column report: \(error)") }
    }
    return result
}

/// Checks what a ledger file holds of the making of terms: statuses, decisions and ballots.
struct GovernanceAudit {
    let genesis: Genesis
    let rows: LedgerRows
    let home: HomeVoter?
    /// Of the chain up to its newest block.
    let terms: TermHistory
    /// Every voter set that this node knows of.
    let sets: Set<VoterSet>
    private(set) var findings = Findings()
    /// Those that are kept, whether their term was opened or not.
    private(set) var decisions: [Decision] = []

    init(
        genesis: Genesis, rows: LedgerRows, home: HomeVoter?, terms: TermHistory,
        sets: Set<VoterSet>
    ) {
        self.genesis = genesis
        self.rows = rows
        self.home = home
        self.terms = terms
        self.sets = sets
    }

    private var network: NetworkID { genesis.network }

    // MARK: statuses

    /// Checks the statuses of this node.
    ///
    /// - Parameters:
    ///   - statuses: as they are kept.
    ///   - account: of the home, when it can be told.
    mutating func check(_ statuses: [StatusRow], account: AccountID?) {
        for row in statuses {
            let status = row.status
            if let account, status.voter != account {
                findings.add(
                    row.place, "column report: it is a status of \(status.voter), not of \(account)"
                )
            }
            if !isSigned(status) {
                findings.add(
                    row.place,
                    "column report: no voter set lists a key of \(status.voter) that signed it")
            }
            if row.certificate?.slot ?? .genesis != status.highest
                || row.certificate?.block ?? network.digest != status.highestBlock
            {
                findings.add(
                    row.place, "column report: its certificate is not the one that it names")
            }
            if let certificate = row.certificate { check(certificate, row.place) }
        }
        let kept = Set(statuses.map(\.status))
        for rules in terms.terms {
            for status in rules.opening?.statuses ?? [] where isOwn(status) {
                guard !kept.contains(status) else { continue }
                findings.add(
                    "table statuses, term \(status.term)",
                    "the status is missing that this node gave for the opening of the term")
            }
        }
    }

    private func isSigned(_ status: Status) -> Bool {
        status.isGood(for: Array(sets), network: network) || isOwn(status)
    }

    /// Whether it was signed with a key of this home.
    private func isOwn(_ status: Status) -> Bool {
        guard let home, status.voter == home.account else { return false }
        return home.keys.contains { status.isSigned(by: $0, network: network) }
    }

    /// Checks the signatures of a certificate, whose block may be gone by now.
    ///
    /// Every block needs a quorum of its own term's voters.
    private mutating func check(_ certificate: Certificate, _ place: String) {
        guard let voters = terms.rules(of: certificate.slot.term)?.voters else { return }
        func finding(_ text: String) {
            findings.add(place, "column report: the certificate in it: \(text)")
        }
        var counted: Set<AccountID> = []
        for vote in certificate.votes {
            let keys = Set(sets.compactMap { $0.keys[vote.voter] })
            guard let key = keys.first(where: { vote.isSigned(by: $0, network: network) }) else {
                return finding("\(VoteFault.badSignature(vote.voter))")
            }
            if voters.keys[vote.voter] == key { counted.insert(vote.voter) }
        }
        if counted.count < voters.quorum {
            finding("\(VoteFault.tooFew(votes: counted.count, quorum: voters.quorum))")
        }
    }

    // MARK: decisions and ballots

    mutating func checkDecisions() throws {
        let stored = try rows.rows(of: .decisions)
        while let row = try stored.next() {
            let place = "table decisions, term \(row[1].shown)"
            do throws(TermFault) {
                let decision = try Decision(strictly: row[2].bytes ?? [], network: network)
                if row[0].bytes != decision.hash.bytes {
                    findings.add(
                        place, "column hash: it is not the decision's hash, \(decision.hash)")
                }
                if row[1].integer.flatMap({ UInt64(exactly: $0) }) != decision.term.value {
                    findings.add(place, "column term: the decision is for term \(decision.term)")
                }
                decisions.append(decision)
            } catch { findings.add(place, "column content: \(error)") }
        }
    }

    mutating func checkBallots() throws {
        let stored = try rows.rows(of: .ballots)
        while let row = try stored.next() {
            let voter = String(decoding: row[1].bytes ?? [], as: UTF8.self)
            let place = "table ballots, ballot of \(voter)"
            do throws(TermFault) {
                let ballot = try Ballot(strictly: row[2].bytes ?? [])
                if row[0].bytes != ballot.decision.bytes {
                    findings.add(place, "column decision: the ballot is for another decision")
                }
                if voter != ballot.voter.text {
                    findings.add(place, "column voter: the ballot is of \(ballot.voter)")
                }
                if !ballot.isGood(for: Array(sets), network: network) {
                    findings.add(
                        place,
                        "column content: no voter set lists a key of \(ballot.voter) that signed it"
                    )
                }
            } catch { findings.add(place, "column content: \(error)") }
        }
    }
}
