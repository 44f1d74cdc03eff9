import Cryptography
package import Ledger
package import Wire

/// What members tell each other of terms to come, beside what is kept on disk.
///
/// Statuses of others are not kept: whoever signed one tells it again until its term is open.
struct TermNews: Sendable {
    /// More of one voter than it has keys says nothing; a flood is refused.
    static let statusesPerDecision = 64

    /// Statuses with the certificates that they name, by decision.
    private(set) var reports: [Digest: [Status: WireStatusReport]] = [:]

    mutating func keep(_ report: WireStatusReport) {
        guard let status = try? Status(strictly: [UInt8](report.status)) else { return }
        keep(report, of: status)
    }

    mutating func keep(_ report: WireStatusReport, of status: Status) {
        guard reports[status.decision, default: [:]].count < Self.statusesPerDecision else {
            return
        }
        reports[status.decision, default: [:]][status] = report
    }

    /// Reports for a decision, ascending by voter.
    func reports(for decision: Digest) -> [(status: Status, report: WireStatusReport)] {
        (reports[decision] ?? [:]).map { (status: $0.key, report: $0.value) }
            .sorted {
                ($0.status.voter, $0.status.signature.bytes.description)
                    < ($1.status.voter, $1.status.signature.bytes.description)
            }
    }

    /// Forgets what is not above an opened term.
    mutating func forget(upTo term: Term) {
        reports = reports.filter { entry in entry.value.keys.contains { $0.term > term } }
    }
}

/// Members that may connect, and where those listen that other nodes ask.
package struct MemberDirectory: Sendable {
    package struct Node: Hashable, Sendable {
        package let account: AccountID
        package let endpoint: String
        package let transportKey: [UInt8]
    }

    /// CURVE public key (32 bytes) → account.
    package private(set) var allowed: [[UInt8]: String] = [:]
    /// Sites and coordinators that listen, by account.
    package private(set) var nodes: [AccountID: Node] = [:]

    package init() {}

    /// Adds a member; a later document of an account stands beside the earlier one's key.
    package mutating func add(_ document: WireMemberDocument) {
        guard let account = AccountID(document.account) else { return }
        let key = [UInt8](document.transportKey)
        allowed[key] = account.text
        guard account.role?.votes == true, !document.endpoint.isEmpty else { return }
        nodes[account] = Node(
            account: account, endpoint: document.endpoint, transportKey: key)
    }
}
