import Cryptography
package import Ledger
package import Wire

func framedHash(_ tag: String, _ fields: [UInt8]...) -> Digest {
    Digest.sha256(([Array(tag.utf8)] + fields).flatMap { bigEndian(UInt64($0.count)) + $0 })
}

/// An annotator as panels see it.
struct EnrolledAnnotator: Sendable {
    let account: AccountID
    let organisation: AccountID
    let credentials: [String]
    let enrolledHeight: UInt64
    /// From which its keys are void; 0 while they are in force.
    let endedHeight: UInt64

    func wasInForce(at height: UInt64) -> Bool {
        enrolledHeight <= height && (endedHeight == 0 || endedHeight > height)
    }
}

/// A reader who may be drawn, and the organisation that enrolled it.
package struct Candidate: Hashable, Sendable {
    package let account: AccountID
    package let organisation: AccountID

    package init(account: AccountID, organisation: AccountID) {
        self.account = account
        self.organisation = organisation
    }
}

/// The order in which a seed asks candidates: by the hash of seed and account, but none of an
/// organisation before every other organisation has given as many.
///
/// - Parameters:
///   - candidates: in any order, each once.
///   - seed: of the item.
///   - given: how many readers organisations have on the item already.
/// - Returns: all candidates.
package func drawOrder(
    _ candidates: [Candidate], seed: [UInt8], given: [AccountID: Int] = [:]
) -> [AccountID] {
    let hashed = candidates.map { candidate in
        (candidate, framedHash("tally/panel/v1", seed, Array(candidate.account.text.utf8)).bytes)
    }.sorted { one, other in
        one.1 == other.1
            ? one.0.account < other.0.account : one.1.lexicographicallyPrecedes(other.1)
    }
    var given = given
    let ranked = hashed.enumerated().map { place, entry in
        let rank = given[entry.0.organisation, default: 0]
        given[entry.0.organisation] = rank + 1
        return (rank: rank, place: place, account: entry.0.account)
    }
    return ranked.sorted { ($0.rank, $0.place) < ($1.rank, $1.place) }.map(\.account)
}

extension WireAnnotationRule {
    /// Whether panels are drawn instead of listed by the registering site.
    package var isDrawn: Bool { !waves.isEmpty }

    /// Whether panels are of the item's own site.
    package var isOwnSite: Bool { panel == "own-site" }
}

extension ChangeSet {
    mutating func registeredHeight(of item: ItemID) -> UInt64? {
        value(WireRecordState.self, .records, Array(item.text.utf8))?.registeredHeight
    }

    /// Draws readers that an item has not been given yet.
    ///
    /// Only who was enrolled with its credential when the item was registered, and had not left,
    /// can be drawn: whoever knows the seed early can add and remove nobody. After the first wave
    /// whoever has left meanwhile is passed over, in the same order: it could not answer.
    ///
    /// - Parameters:
    ///   - item: with its seed known.
    ///   - state: of the item.
    ///   - count: how many are wanted.
    ///   - credential: that they need.
    ///   - call: the transaction at hand.
    /// - Returns: at most so many accounts, ascending.
    mutating func draw(
        _ item: ItemID, _ state: WireItemState, count: Int, credential: String, _ call: Call
    ) -> [String] {
        guard count > 0, !credential.isEmpty, !state.seed.isEmpty,
            let registered = registeredHeight(of: item)
        else { return [] }
        let rule = call.context.agreement.annotation
        let site = AccountID(.site, item.site)
        let asked = Set(state.everyReader)
        var given: [AccountID: Int] = [:]
        var candidates: [Candidate] = []
        for annotator in enrolledAnnotators() {
            if asked.contains(annotator.account.text) {
                given[annotator.organisation, default: 0] += 1
                continue
            }
            let isConflicted =
                rule.isOwnSite
                ? annotator.organisation != site
                : annotator.organisation == site
                    || annotator.organisation.text == rule.goldOrganisation
            guard annotator.wasInForce(at: registered), !isConflicted,
                annotator.credentials.contains(credential)
            else { continue }
            candidates.append(
                Candidate(account: annotator.account, organisation: annotator.organisation))
        }
        let order = drawOrder(candidates, seed: [UInt8](state.seed), given: given)
        let present = state.isBeforeFirstWave ? order : order.filter { activeMember($0) != nil }
        return present.prefix(count).sorted().map(\.text)
    }
}
