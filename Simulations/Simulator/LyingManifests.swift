import Contracts
import Cryptography
import Ledger
import Replay
import Wire

/// What a lying site names in its manifests.
extension LiarCore {
    /// The manifest with a record more that this site may not name.
    ///
    /// One without consent comes first: what else is wrong with a record hides it.
    func stretched(_ manifest: WireManifest, openedAt height: UInt64) -> WireManifest {
        let withdrawn = unusable(.noConsent, at: height)
        let others = foreign() + unusable(.otherUse, at: height) + unusable(.duplicate, at: height)
        let ghost = ItemID("\(account.name)/ghost").map {
            WireManifestEntry($0, closedBy: TransactionID(envelope: .zero, index: 0))
        }
        let isPlain = withdrawn.isEmpty || world.adversary.random.chance(200)
        guard
            let stray = world.adversary.random.element(
                of: isPlain ? others + [ghost].compactMap { $0 } : withdrawn)
        else { return manifest }
        world.trace { "\(account) names \(stray.record), which it may not" }
        var more = manifest
        more.entries.append(stray)
        more.entries.sort { $0.record.utf8.lexicographicallyPrecedes($1.record.utf8) }
        return more
    }

    /// Own records that are refused for a reason.
    private func unusable(_ reason: RecordRefusal, at height: UInt64) -> [WireManifestEntry] {
        var changes = ChangeSet(above: disk.state)
        let rule = genesis.agreement.training
        return disk.tables.records.compactMap { held in
            do throws(RecordRefusal) {
                _ = try usableRecord(
                    held.item, of: account, use: .training, openedAt: height, rule, in: &changes)
                return nil
            } catch {
                return error == reason ? entry(held.item, &changes) : nil
            }
        }
    }

    /// Records of other sites.
    private func foreign() -> [WireManifestEntry] {
        var changes = ChangeSet(above: disk.state)
        return changes.entries(in: .records).compactMap { stored in
            guard let text = String(validating: stored.key.key, as: UTF8.self),
                let item = ItemID(text), item.site != account.name
            else { return nil }
            return entry(item, &changes)
        }
    }

    private func entry(_ item: ItemID, _ changes: inout ChangeSet) -> WireManifestEntry {
        let state = changes.value(WireItemState.self, .items, Array(item.text.utf8))
        let envelope = state.flatMap { Digest($0.closeEnvelope) } ?? .zero
        return WireManifestEntry(
            item, closedBy: TransactionID(envelope: envelope, index: state?.closeIndex ?? 0))
    }
}
