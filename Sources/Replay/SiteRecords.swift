package import Contracts
import Cryptography
package import Ledger
package import Wire

/// What a site holds that it may use in something that was opened at a height.
package struct SiteRecords: Sendable {
    package typealias Usable = (held: HeldRecord, record: UsableRecord)

    /// In the order in which they were held.
    package private(set) var usable: [Usable] = []
    /// Held under the name of a registered record, and not that record.
    package private(set) var others: [ItemID] = []

    /// Chooses by the rule by which voters check a manifest or an offer.
    ///
    /// A site that restored an older store of its patients may hold another record than the
    /// registered one: consent and label are that one's, so nothing else may be used.
    ///
    /// - Parameters:
    ///   - held: all that the site holds.
    ///   - site: whose they are.
    ///   - use: what for.
    ///   - height: at which the run or the round was opened.
    ///   - rule: of the run's agreement.
    ///   - contentKey: of the study, under which content is tagged.
    ///   - changes: the state; its fault, if any, is the caller's to look at.
    package init(
        _ held: [HeldRecord], of site: AccountID, use: WireRecordUse, openedAt height: UInt64,
        _ rule: WireTrainingRule, contentKey: [UInt8], in changes: inout ChangeSet
    ) {
        for held in held where held.isTraining == (use == .training) {
            guard
                let record = try? usableRecord(
                    held.item, of: site, use: use, openedAt: height, rule, in: &changes)
            else { continue }
            if held.pseudonym == record.patient,
                hmacSHA256(key: contentKey, held.content).bytes == record.contentTag
            {
                usable.append((held, record))
            } else {
                others.append(held.item)
            }
        }
    }

    /// Leaves out the records of all patients but the first so many.
    ///
    /// - Returns: how many records are left out.
    package mutating func keep(patients most: Int) -> Int {
        var named: Set<[UInt8]> = []
        let count = usable.count
        usable = usable.filter { _, record in
            guard named.contains(record.patient) || named.count < most else { return false }
            named.insert(record.patient)
            return true
        }
        return count - usable.count
    }

    /// What the site offers for the reference set.
    package var offer: WireReferenceRecords {
        var offer = WireReferenceRecords()
        offer.records = usable.map { held, usable in
            var record = WireReferenceRecord()
            record.item = held.item.text
            record.content = data(held.content)
            record.label = usable.label
            return record
        }
        return offer
    }

    /// What the site names as trained on.
    package var manifest: WireManifest {
        var manifest = WireManifest()
        manifest.entries = usable.map { held, record in
            WireManifestEntry(held.item, closedBy: record.closedBy)
        }
        return manifest
    }
}

extension WireManifestEntry {
    /// A record, and the transaction that gave it its label.
    package init(_ item: ItemID, closedBy: TransactionID) {
        self.init()
        record = item.text
        self.item = item.text
        closeEnvelope = data(closedBy.envelope.bytes)
        closeIndex = closedBy.index
    }
}
