package import Cryptography
package import Ledger
package import Wire

/// What a site commits to when it registers an item of a drawn panel: SHA-256 over tag, network,
/// item and a secret of 32 bytes, each framed by its length.
package func seedCommitment(network: NetworkID, item: ItemID, secret: [UInt8]) -> Digest {
    framedHash("tally/seed-secret/v1", network.digest.bytes, Array(item.text.utf8), secret)
}

/// The seed of an item's panels.
///
/// The site fixed its secret before the block existed whose hash is in it, and nobody else knew
/// the secret while that block was made: neither can choose the seed alone.
///
/// - Parameters:
///   - network: of the chain.
///   - item: whose panel is drawn.
///   - secret: 32 bytes, as committed to in the registration.
///   - beacon: the hash of the block after the registration.
/// - Returns: SHA-256 over tag, network, item, secret and beacon, each framed by its length.
package func panelSeed(
    network: NetworkID, item: ItemID, secret: [UInt8], beacon: [UInt8]
) -> [UInt8] {
    framedHash(
        "tally/panel-seed/v1", network.digest.bytes, Array(item.text.utf8), secret, beacon
    ).bytes
}

/// A site's secret for an item, from what only its signing key can give.
package func panelSecret(secret: [UInt8], network: NetworkID, item: ItemID) -> [UInt8] {
    hmacSHA256(key: secret, network.digest.bytes + Array(item.text.utf8)).bytes
}

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

/// The key of the block after a registration; its value is the block's hash, empty until known.
package func beaconKey(_ height: UInt64) -> [UInt8] { bigEndian(height) }

/// The keys of a site's items whose secret is awaited, by the height of their registration.
package func seedKeys(of site: String, registered height: UInt64? = nil) -> [UInt8] {
    Array("\(site)/".utf8) + (height.map { bigEndian($0) } ?? [])
}

extension ChangeSet {
    /// Keeps the hash of the block below, when an item was registered in the block below that.
    mutating func keepBeacon(_ context: BlockContext) {
        let key = beaconKey(context.height.value &- 1)
        guard let beacon = bytes(.beacons, key), beacon.isEmpty else { return }
        set(.beacons, key, context.previous.bytes)
    }

    mutating func awaitSeed(
        of item: ItemID, _ state: inout WireItemState, _ commitment: [UInt8], _ call: Call
    ) {
        let window = UInt64(call.context.agreement.annotation.secretWindow)
        state.seedCommitment = data(commitment)
        state.seedUntil = call.context.height.next.advanced(by: window).value
        set(.seeds, seedKeys(of: item.site, registered: call.height) + item.text.utf8, [1])
        let beacon = beaconKey(call.context.height.next.value)
        if bytes(.beacons, beacon) == nil { set(.beacons, beacon, []) }
    }

    /// Ends the wait for a secret that was withheld.
    mutating func forgetSeed(of item: ItemID, _ state: WireItemState, _ call: Call) {
        guard state.awaitsSeed, let height = registeredHeight(of: item) else { return }
        set(.seeds, seedKeys(of: item.site, registered: height) + item.text.utf8, nil)
    }

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

/// `seed.open`: the registering site opens its secret, and the item's first wave is drawn.
///
/// Nothing is left to choose by now: the block's hash and the secret are both fixed. A secret that
/// is withheld ends the item without a reader.
func open(_ body: WireSeedOpen, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let item = ItemID(body.item), body.secret.count == 32 else { throw .malformedField }
    guard var state = changes.item(item), let registered = changes.registeredHeight(of: item)
    else { throw .unknownItem }
    try call.require(
        call.signer == AccountID(.site, item.site), else: .notPermitted)
    try call.require(state.isUnderWay, else: .itemClosed)
    try call.require(state.awaitsSeed, else: .seedNotAwaited)
    guard let beacon = changes.bytes(.beacons, beaconKey(registered + 1)), !beacon.isEmpty else {
        throw .seedTooEarly
    }
    try call.require(call.height <= state.seedUntil, else: .seedWindowOver)
    let secret = [UInt8](body.secret)
    try call.require(
        seedCommitment(network: call.context.network, item: item, secret: secret).bytes
            == [UInt8](state.seedCommitment), else: .seedDoesNotOpen)
    let was = closableFrom(state)
    changes.forgetSeed(of: item, state, call)
    state.seed = data(
        panelSeed(network: call.context.network, item: item, secret: secret, beacon: beacon))
    let rule = call.context.agreement.annotation
    state.readers = changes.draw(
        item, state, count: Int(rule.waves.first ?? 0), credential: rule.credential, call)
    state.openWindows(call)
    changes.setItem(item, to: state, was: was)
}
