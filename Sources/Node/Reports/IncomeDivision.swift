import Contracts
import Cryptography
import Ledger
import Storage
import Wire

/// How an income was divided: what each run on the way back kept, and in it each role.
///
/// The weights stand on the chain and change no more, so the walk that divided the income is walked
/// again; what a run kept says which postings are its own.
struct IncomeDivision {
    /// A run's part.
    private struct Part {
        let segment: LineageSegment
        let kept: TokenAmount
        var shares: [RewardRole: TokenAmount] = [:]
        var postings: [RecordedPosting] = []
    }

    private let amount: TokenAmount
    private let name: String
    private let passedOn: UInt64
    private var parts: [Part] = []

    /// - Throws: An error of the store.
    init(of cause: TransactionID, in view: inout ReportView) throws {
        let postings = try view.store.postings(by: cause)
        let income = postings.first { $0.debit.kind == ConsortiumAccount.outside }
        amount = income?.amount ?? .zero
        name = income?.credit.name ?? ""
        let height = income?.height ?? .genesis
        let rules = view.tip.terms.rules(at: height).agreement.rewards
        passedOn = UInt64(min(rules.parentBasisPoints, 10_000))
        guard let model = try Self.model(of: cause, at: height, in: view),
            let segments = try? view.state.lineage(of: model)
        else { return }
        var left = amount
        var paid = postings.filter { $0.debit == income?.credit }[...]
        for (place, segment) in segments.enumerated() {
            let rest = place == segments.count - 1 ? .zero : left.portion(passedOn, of: 10_000)
            var part = Part(segment: segment, kept: left.subtracting(rest) ?? .zero)
            var sum = TokenAmount.zero
            while sum < part.kept, let posting = paid.popFirst() {
                sum = try sum.adding(posting.amount)
                if let role = Self.role(of: posting.credit) {
                    part.shares[role] = try (part.shares[role] ?? .zero).adding(posting.amount)
                }
                part.postings.append(posting)
            }
            parts.append(part)
            left = rest
        }
    }

    /// The model for which an income was posted.
    private static func model(
        of cause: TransactionID, at height: Height, in view: ReportView
    ) throws -> Digest? {
        let envelope = try view.store.block(at: height)?.envelopes
            .first { $0.id == cause.envelope }
        guard let envelope, envelope.transactions.indices.contains(Int(cause.index)) else {
            return nil
        }
        return Digest(envelope.transactions[Int(cause.index)].revenuePost.model)
    }

    private static func role(of account: AccountID) -> RewardRole? {
        switch account.kind {
        case "annotator": .annotators
        case "developer": .developers
        case "patient", "commons": .patients
        case "site": .sites
        default: nil
        }
    }

    /// How a posting came to its amount; of two runs that paid an account the same, both are named.
    func text(of posting: RecordedPosting) -> String {
        let texts = parts.filter { $0.postings.contains(posting) }
            .compactMap { text(of: posting.credit, in: $0) }
        let head = "income \(name) of \(amount)"
        guard !texts.isEmpty else { return head }
        return head + ": " + texts.joined(separator: "; or ") + ", and what rounding owed"
    }

    private func text(of account: AccountID, in part: Part) -> String? {
        guard let role = Self.role(of: account), let share = part.shares[role] else { return nil }
        let segment = part.segment
        let points = segment.divisible
        let own = points[AccountID(kind: "role", name: role.rawValue)] ?? 0
        let passing =
            parts.count > 1 ? ", each run passing on \(passedOn) of 10000 to the one before it" : ""
        let head =
            "run \(segment.run) kept \(part.kept)\(passing), of it \(role.rawValue) "
            + "\(own) of \(sum(points.values)) = \(share); "
        let weights = segment.weights(of: role)
        let (weight, all) = (weights[account] ?? 0, sum(weights.values))
        switch role {
        case .annotators: return head + "× \(weight) of \(all) micro-points beyond chance"
        case .developers: return head + "× \(weight) of \(all) shares"
        case .patients:
            let waived = account.kind == "commons" ? "waived, " : ""
            return head + "\(waived)× \(weight) of \(all) records"
        case .sites:
            let worth = segment.worth.mapValues { UInt64(max(0, $0)) }
            let decides = !segment.countsAlone && worth.values.contains { $0 > 0 }
            return head
                + siteArithmetic(
                    share, worth: decides ? (worth[account] ?? 0, sum(worth.values)) : nil,
                    records: (weight, all))
        }
    }

    private func sum(_ weights: some Sequence<UInt64>) -> UInt64 { weights.reduce(0) { $0 &+ $1 } }
}
