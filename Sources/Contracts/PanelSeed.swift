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

/// A site's secret for an item, from a key that only the site holds.
package func panelSecret(secret: [UInt8], network: NetworkID, item: ItemID) -> [UInt8] {
    hmacSHA256(key: secret, network.digest.bytes + Array(item.text.utf8)).bytes
}

extension WireItemState {
    /// Whether the panel waits for the site's secret.
    package var awaitsSeed: Bool { !seedCommitment.isEmpty && seed.isEmpty }

    /// Whether it ended because its site can open the secret no more.
    package var isSecretLost: Bool { outcome != .open && awaitsSeed }
}

/// The key of the block after a registration; its value is the block's hash, empty until known.
package func beaconKey(_ height: UInt64) -> [UInt8] { bigEndian(height) }

/// The keys of a site's items whose secret is awaited, by the height of their registration.
package func seedKeys(of site: String, registered height: UInt64? = nil) -> [UInt8] {
    Array("\(site)/".utf8) + (height.map { bigEndian($0) } ?? [])
}

/// Under it the secrets that a site has not opened in time are counted, as a sequence.
private func overdueKey(_ site: AccountID) -> [UInt8] { Array("secrets of \(site)".utf8) }

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

    /// How many secrets a site has not opened in time.
    ///
    /// It registers nothing and submits no update until it has: who could leave a panel that it
    /// dislikes, and register the record again for another one, would choose its readers.
    mutating func overdueSecrets(of site: AccountID) -> UInt64 {
        value(WireSequenceState.self, .sequences, overdueKey(site))?.last ?? 0
    }

    private mutating func countOverdue(_ site: AccountID, _ change: (UInt64) -> UInt64) {
        var state = WireSequenceState()
        state.last = change(overdueSecrets(of: site))
        set(.sequences, overdueKey(site), to: state)
    }

    /// Marks a secret as overdue; the item leaves its period, which waits for it no longer.
    mutating func setOverdue(_ item: ItemID, _ state: inout WireItemState, _ call: Call) {
        countOverdue(AccountID(.site, item.site)) { $0 + 1 }
        state.secretOverdue = true
        set(.periodItems, periodItemKey(state.period, item), nil)
        state.period = 0
        var period = openPeriod()
        period.items -= min(1, period.items)
        openGoldWindow(of: &period, call)
        setOpenPeriod(period)
    }

    /// Takes an item whose secret opens late into the open period.
    fileprivate mutating func resume(_ item: ItemID, _ state: inout WireItemState, _ call: Call) {
        countOverdue(AccountID(.site, item.site)) { $0 - min(1, $0) }
        state.secretOverdue = false
        join(item, &state, call)
    }

    /// Ends items whose overdue secret nobody can open any more, without an answer.
    ///
    /// Their site has new keys or has left, by a decision of the voters, or the study asks for
    /// answers of another kind now.
    ///
    /// - Parameters:
    ///   - site: whose items; nil for all sites'.
    ///   - height: of the term's first block.
    mutating func endOverdue(of site: AccountID?, height: Height) {
        for entry in entries(in: .seeds, prefix: site.map { seedKeys(of: $0.name) } ?? []) {
            // Site, slash, height and item, whose site is the same.
            guard let slash = entry.key.key.firstIndex(of: UInt8(ascii: "/")),
                let text = String(validatingUTF8Bytes: entry.key.key.dropFirst(slash + 9)),
                let item = ItemID(text), var state = self.item(item), state.secretOverdue
            else { continue }
            set(.seeds, entry.key.key, nil)
            countOverdue(AccountID(.site, item.site)) { $0 - min(1, $0) }
            state.outcome = .tooFew
            state.closedHeight = height.value
            set(.items, Array(item.text.utf8), to: state)
        }
    }
}

/// `seed.open`: the registering site opens its secret, and the item's first wave is drawn.
///
/// Nothing is left to choose by now: the block's hash and the secret are both fixed, and however
/// late it opens, the panel is the same.
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
    let secret = [UInt8](body.secret)
    try call.require(
        seedCommitment(network: call.context.network, item: item, secret: secret).bytes
            == [UInt8](state.seedCommitment), else: .seedDoesNotOpen)
    let was = closableFrom(state)
    changes.forgetSeed(of: item, state, call)
    if state.secretOverdue { changes.resume(item, &state, call) }
    state.seed = data(
        panelSeed(network: call.context.network, item: item, secret: secret, beacon: beacon))
    let rule = call.context.agreement.annotation
    state.readers = changes.draw(
        item, state, count: Int(rule.waves.first ?? 0), credential: rule.credential, call)
    state.openWindows(call)
    changes.setItem(item, to: state, was: was)
}
