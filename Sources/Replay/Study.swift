package import Contracts
package import Cryptography
package import Ledger
package import Training
package import Wire

/// Reads a blob of at most so many bytes by its digest.
///
/// Nil when it is longer: whoever made it decides nothing about a voter's memory. It throws when
/// the blob is missing or damaged.
package typealias BlobSource = (Digest, _ maximum: UInt64) throws -> [UInt8]?

/// The trainer that an agreement names.
///
/// - Returns: nil for numbers that no trainer can be made of; a validated agreement has none.
package func trainer(of rule: WireTrainingRule) -> (any Trainer)? {
    rule.trainer == "multilayer-perceptron"
        ? MultilayerPerceptron(features: rule.features.count, hidden: Int(rule.hiddenUnits))
        : LogisticRegression(features: rule.features.count)
}

/// The parameters that every run of an agreement starts from, as a blob.
package func initialModel(of rule: WireTrainingRule) throws -> [UInt8] {
    guard let trainer = trainer(of: rule) else { throw TrainingError.badPlan }
    return try Safetensors(trainer.initialParameters(seed: rule.seed)).encoded()
}

/// The training label of a consensus grade; nil between the two classes.
package func label(ofGrade grade: UInt32, _ rule: WireTrainingRule) -> Bool? {
    if grade > rule.positiveAbove { return true }
    return grade < rule.negativeBelow ? false : nil
}

/// A record that may be used at a height, with what its item came to.
package struct UsableRecord: Hashable, Sendable {
    package let item: ItemID
    package let patient: [UInt8]
    package let contentTag: [UInt8]
    package let label: Bool
    /// The `item.close` that approved it.
    package let closedBy: TransactionID
}

/// Why a record may not be used; the text is part of a roll-call.
package enum RecordRefusal: String, Error, Hashable, Sendable {
    case notRegistered = "is not registered by this site"
    case otherUse = "is registered for another use"
    case duplicate = "is a duplicate"
    case notApproved = "has no approved item"
    case noLabel = "has a grade between the classes"
    case noConsent = "has no consent in force"
}

/// Whether a site may use a record in something that was opened at a height.
///
/// The answer is the same at every later height, so voters agree whenever they look.
package func usableRecord(
    _ item: ItemID, of site: AccountID, use: WireRecordUse, openedAt height: UInt64,
    _ rule: WireTrainingRule, in changes: inout ChangeSet
) throws(RecordRefusal) -> UsableRecord {
    let key = Array(item.text.utf8)
    guard let record = changes.value(WireRecordState.self, .records, key),
        record.site == site.text, record.registeredHeight <= height
    else { throw .notRegistered }
    guard record.use == use else { throw .otherUse }
    guard !record.duplicate else { throw .duplicate }
    guard let label = changes.item(item)?.label(at: height) else { throw .notApproved }
    guard let isPositive = Replay.label(ofGrade: label.grade, rule) else { throw .noLabel }
    let consent = changes.value(WireConsentState.self, .consents, [UInt8](record.patient))
    let purpose: WirePurpose = use == .training ? .training : .evaluation
    guard consent?.interval(for: purpose, at: height) != nil else { throw .noConsent }
    return UsableRecord(
        item: item, patient: [UInt8](record.patient), contentTag: [UInt8](record.contentTag),
        label: isPositive, closedBy: label.closedBy)
}

extension WireItemState {
    /// The label that an item had at a height, and the transaction that gave it.
    ///
    /// Seniors may reverse an outcome later: what was opened before keeps the label of its day.
    fileprivate func label(at height: UInt64) -> (grade: UInt32, closedBy: TransactionID)? {
        let isReversed = hasReversal && reversal.height <= height
        guard isReversed || (outcome == .approved && closedHeight <= height) else { return nil }
        let cause = isReversed ? reversal.closeEnvelope : closeEnvelope
        guard let envelope = Digest(cause) else { return nil }
        let index = isReversed ? reversal.closeIndex : closeIndex
        return (
            isReversed ? reversal.grade : grade,
            TransactionID(envelope: envelope, index: index)
        )
    }
}

/// The reference set of a run, and the root that a voter states for it.
package struct AssembledReference: Sendable {
    package let set: ReferenceSet
    package let root: Digest
    package let count: UInt32
    /// Offers that were left out, and why.
    package let refused: [AccountID: String]
}

/// Puts the reference set together from the sites' offers.
///
/// An offer with a single bad record is left out whole; every voter leaves out the same ones.
///
/// With the content key, content is compared with the registered tags; an auditor without the key
/// compares the root alone.
package func assembleReference(
    _ run: WireRunState, agreement: WireAgreement, state: any StateView, contentKey: [UInt8]?,
    blob: BlobSource
) throws -> AssembledReference {
    var changes = ChangeSet(above: state)
    var chosen: [(item: ItemID, leaf: Digest, features: [Float], label: Bool)] = []
    var refused: [AccountID: String] = [:]
    for offer in run.offers {
        guard let site = AccountID(offer.site), let digest = Digest(offer.records) else { continue }
        let bytes = try blob(digest, BlobBounds.reference(count: offer.count, agreement.training))
        do {
            guard let bytes else {
                throw OfferRefusal(reason: "is longer than the records stated can be")
            }
            guard BlobBounds.canHold(offer.count, records: bytes) else {
                throw OfferRefusal(reason: "holds another number of records than stated")
            }
            let records = try WireReferenceRecords(strictly: bytes).records
            var last: ItemID?
            var own: [(item: ItemID, leaf: Digest, features: [Float], label: Bool)] = []
            for record in records {
                guard let item = ItemID(record.item), last.map({ $0 < item }) ?? true else {
                    throw OfferRefusal(reason: "is not in ascending order")
                }
                last = item
                let usable: UsableRecord
                do throws(RecordRefusal) {
                    usable = try usableRecord(
                        item, of: site, use: .evaluation, openedAt: run.startedHeight,
                        agreement.training, in: &changes)
                } catch {
                    throw OfferRefusal(reason: "names \(item), which \(error.rawValue)")
                }
                let content = [UInt8](record.content)
                guard usable.label == record.label,
                    let values = features(
                        ofCanonicalRecord: content, names: agreement.training.features),
                    contentKey.map({ hmacSHA256(key: $0, content).bytes == usable.contentTag })
                        ?? true
                else { throw OfferRefusal(reason: "misstates \(item)") }
                own.append((item, leafHash(record.encoded()), values, record.label))
            }
            chosen += own
        } catch let refusal as OfferRefusal {
            refused[site] = refusal.reason
        } catch let fault as WireFault {
            refused[site] = "\(fault)"
        }
    }
    if let fault = changes.fault { throw fault }
    chosen.sort { $0.item < $1.item }
    return AssembledReference(
        set: ReferenceSet(
            features: chosen.map(\.features), labels: chosen.map(\.label),
            utility: Utility(rawValue: agreement.training.utility) ?? .concordance),
        root: merkleRoot(chosen.map(\.leaf)), count: UInt32(chosen.count), refused: refused)
}

private struct OfferRefusal: Error {
    let reason: String
}
