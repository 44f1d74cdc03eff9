import Contracts
import Ledger
import Storage
import Wire

/// What rounds paid, read once each.
struct RoundSettlements {
    private var known: [AccountID: RoundSettlement] = [:]

    /// What a transaction paid out of a round's pool.
    mutating func settlement(
        of pool: AccountID, by cause: TransactionID, in view: ReportView
    ) throws -> RoundSettlement {
        if let settlement = known[pool] { return settlement }
        let settlement = try RoundSettlement(of: pool, by: cause, in: view)
        known[pool] = settlement
        return settlement
    }
}

/// A round's settlement, as its postings and the recorded weights tell it.
struct RoundSettlement {
    private var shares: [String: TokenAmount] = [:]
    private var annotators: [WireAccountWeight] = []
    private var developers: [WireAccountWeight] = []
    private var countsAlone = true
    private var values = WireRoundValues()

    fileprivate init(
        of pool: AccountID, by cause: TransactionID, in view: ReportView
    ) throws {
        for posting in try view.store.postings(by: cause)
        where posting.debit == pool && posting.credit.kind != "pool" {
            let kind = Self.kind(of: posting.credit)
            shares[kind] = try share(kind).adding(posting.amount)
        }
        let parts = pool.name.split(separator: ".").compactMap { UInt32($0) }
        guard parts.count == 2 else { return }
        var state = view.state
        if let weights = state.weights(parts[0], parts[1]) {
            annotators = weights.annotators
            developers = weights.developers
            countsAlone = weights.countsAlone
        }
        if let round = state.round(parts[0], parts[1]),
            let values = try? WireRoundValues(strictly: [UInt8](round.values))
        {
            self.values = values
        }
    }

    /// What patients waived is part of the patients' share.
    private static func kind(of account: AccountID) -> String {
        account.kind == "commons" ? "patient" : account.kind
    }

    private func share(_ kind: String) -> TokenAmount { shares[kind] ?? .zero }

    private var annotatorWeight: UInt64 { annotators.reduce(0) { $0 &+ $1.weight } }

    /// ⌊share · points / Σ weights⌋ of the annotators' share; zero when nobody has weight.
    func part(_ points: UInt64) -> TokenAmount {
        guard annotatorWeight > 0 else { return .zero }
        let part =
            UInt128(share("annotator").microtokens) * UInt128(points) / UInt128(annotatorWeight)
        return TokenAmount(microtokens: UInt64(clamping: part))
    }

    func partText(_ points: UInt64) -> String {
        "⌊\(share("annotator")) × \(points) / \(annotatorWeight)⌋"
    }

    /// How a posting out of the pool came to its amount.
    func text(of posting: RecordedPosting) -> String {
        let kind = Self.kind(of: posting.credit)
        let (share, name) = (share(kind), posting.credit.text)
        let part =
            switch kind {
            case "patient":
                patientPart(posting.credit)
            case "annotator":
                "\(share) × \(weightText(annotators, name)) micro-points beyond chance"
            case "developer": "\(share) × \(weightText(developers, name)) shares"
            case "site": sitePart(share, name)
            default: ""
            }
        return part.isEmpty || posting.credit.kind == "commons"
            ? part : part + ", and what rounding owed"
    }

    private func patientPart(_ account: AccountID) -> String {
        let all = values.patients.reduce(UInt64(0)) { $0 + UInt64($1.records) }
        guard account.kind != "commons" else {
            return "waived by a patient, of \(share("patient")) for \(all) records"
        }
        let own = values.patients.first { patientAccount([UInt8]($0.patient)) == account }
        return "\(share("patient")) × \(own?.records ?? 0) of \(all) records"
    }

    private func weightText(_ weights: [WireAccountWeight], _ name: String) -> String {
        let all = weights.reduce(UInt64(0)) { $0 &+ $1.weight }
        return "\(weights.first { $0.account == name }?.weight ?? 0) of \(all)"
    }

    private func sitePart(_ share: TokenAmount, _ name: String) -> String {
        let own = values.sites.first { $0.site == name }
        return siteArithmetic(
            share,
            worth: countsAlone
                ? nil
                : (
                    UInt64(max(0, own?.shapley ?? 0)),
                    values.sites.reduce(0) { $0 &+ UInt64(max(0, $1.shapley)) }
                ),
            records: (
                UInt64(own?.verified ?? 0),
                values.sites.reduce(0) { $0 + UInt64($1.verified) }
            ))
    }
}

/// A site's part of a share: half by contribution value and the rest by records, or all by records.
///
/// - Parameters:
///   - share: of all sites.
///   - worth: own and all sites' contribution value; nil where counts alone decide.
///   - records: own and all sites' verified records.
/// - Returns: the products.
func siteArithmetic(
    _ share: TokenAmount, worth: (own: UInt64, all: UInt64)?, records: (own: UInt64, all: UInt64)
) -> String {
    let counts = "\(records.own) of \(records.all) verified records"
    guard let worth else { return "\(share) × \(counts)" }
    let half = TokenAmount(microtokens: share.microtokens / 2)
    return "\(half) × \(worth.own) of \(worth.all) of contribution value and "
        + "\(share.subtracting(half) ?? .zero) × \(counts)"
}
