import Contracts
import Cryptography
import Ledger
import Wire

/// The auditor's own books of consents and records, kept from settled transactions alone.
///
/// They know no intervals: what was in force at a height is what the books said once that height's
/// block was through. Nothing here asks the rooms whether a record may be used.
struct ConsentBooks {
    struct Record {
        let site: String
        let patient: [UInt8]
        let contentTag: [UInt8]
        let use: WireRecordUse
        let isDuplicate: Bool
    }

    private struct Consent {
        let custodian: String
        var purposes: Set<WirePurpose>
        /// Zero: without end.
        let notAfter: UInt64
    }

    private var consents: [[UInt8]: Consent] = [:]
    private var records: [String: Record] = [:]
    private var tags: Set<[UInt8]> = []

    mutating func note(_ grant: WireConsentGrant, by signer: AccountID) throws {
        let patient = [UInt8](grant.patient)
        let custodian = consents[patient]?.custodian ?? signer.text
        guard custodian == signer.text else {
            throw Violation("consent", "\(signer) granted for a patient of \(custodian)")
        }
        consents[patient] = Consent(
            custodian: custodian, purposes: Set(grant.purposes), notAfter: grant.notAfterHeight)
    }

    mutating func note(_ withdrawal: WireConsentWithdraw) {
        consents[[UInt8](withdrawal.patient)]?.purposes.subtract(withdrawal.purposes)
    }

    mutating func note(_ record: WireRecordRegister, by signer: AccountID) {
        let tag = [UInt8](record.contentTag)
        records[record.item] = Record(
            site: signer.text, patient: [UInt8](record.patient), contentTag: tag, use: record.use,
            isDuplicate: !tags.insert(tag).inserted)
    }

    /// What may be named in something that a block opened.
    ///
    /// - Parameters:
    ///   - use: that the records are named for.
    ///   - height: of the block, which is the newest in the books.
    ///   - state: after it.
    ///   - rule: of the classes that train.
    /// - Returns: a copy of the books as they stand.
    func standing(
        for use: WireRecordUse, at height: UInt64, state: StateTables, _ rule: WireTrainingRule
    ) -> Standing {
        let purpose: WirePurpose = use == .training ? .training : .evaluation
        let consenting = consents.filter {
            $0.value.purposes.contains(purpose)
                && ($0.value.notAfter == 0 || height <= $0.value.notAfter)
        }
        return Standing(
            use: use, height: height, custodians: consenting.mapValues(\.custodian),
            records: records, state: state, rule: rule)
    }
}

/// The books as they stood once a block was through.
struct Standing {
    let use: WireRecordUse
    let height: UInt64
    /// Of every patient whose consent was in force.
    fileprivate let custodians: [[UInt8]: String]
    fileprivate let records: [String: ConsentBooks.Record]
    fileprivate let state: StateTables
    fileprivate let rule: WireTrainingRule

    fileprivate init(
        use: WireRecordUse, height: UInt64, custodians: [[UInt8]: String],
        records: [String: ConsentBooks.Record], state: StateTables, rule: WireTrainingRule
    ) {
        self.use = use
        self.height = height
        self.custodians = custodians
        self.records = records
        self.state = state
        self.rule = rule
    }

    func record(_ name: String) -> ConsentBooks.Record? { records[name] }

    /// What an item had come to; nil for one that was not approved.
    func approved(_ name: String) throws -> WireItemState? {
        let stored = state.value(at: StateKey(.items, Array(name.utf8)))
        let item = try stored.map { try WireItemState(strictly: $0) }
        return item?.outcome == .approved ? item : nil
    }

    /// The label of an approved item's grade; nil between the classes.
    func label(of item: WireItemState) -> Bool? {
        if item.grade > rule.positiveAbove { return true }
        return item.grade < rule.negativeBelow ? false : nil
    }

    /// Why a site may not name a record; nil when it may.
    func objection(to name: String, of site: String) throws -> Violation? {
        let place = "\(site) names \(name) at height \(height)"
        guard let record = records[name], record.site == site else {
            return Violation("manifest", "\(place), which it had not registered")
        }
        guard record.use == use, !record.isDuplicate else {
            return Violation("manifest", "\(place), a duplicate or registered for another use")
        }
        guard custodians[record.patient] == site else {
            return Violation("consent", "\(place), whose patient's consent was not in force")
        }
        guard let item = try approved(name), label(of: item) != nil else {
            return Violation("manifest", "\(place), which was not approved for a class")
        }
        return nil
    }
}
