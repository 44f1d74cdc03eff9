import Contracts
import Cryptography
import Ledger
package import Wire

package struct ConsentIntervalEntry: Codable, Sendable {
    package let fromHeight: UInt64
    /// First height at which it is no more in force; null while it is open.
    @OrNull package var untilHeight: UInt64?
    @OrNull package var notAfterHeight: UInt64?
    package let purposes: [String]
    /// `earn` or `waive`.
    package let reward: String
    package let inForce: Bool
}

/// A round that was trained on records of the patient.
package struct ConsentUse: Codable, Sendable {
    package let run: UInt32
    package let round: UInt32
    package let records: UInt32
    package let model: String
}

/// A patient's consent, and what a withdrawal touches.
package struct ConsentReport: Codable, Sendable {
    package let patient: String
    package let account: String
    package let custodian: String
    package let intervals: [ConsentIntervalEntry]
    package let trainingRecords: Int
    package let evaluationRecords: Int
    /// Rounds that used the patient's records.
    package let rounds: [ConsentUse]
    /// Later models that descend from them.
    package let models: [LineageStep]
    package let settledHeight: UInt64
}

package func purposeName(_ purpose: WirePurpose) -> String {
    switch purpose {
    case .training: "training"
    case .evaluation: "evaluation"
    case .sharing: "sharing"
    case .commercial: "commercial"
    case .unspecified, .UNRECOGNIZED: "unknown"
    }
}

extension Reporter {
    /// What is consented under a pseudonym of 32 bytes, and what came of it.
    package func consent(of pseudonym: [UInt8]) throws -> ConsentReport {
        try read(isStrict: false) { view in
            guard
                let consent = view.state.value(WireConsentState.self, .consents, pseudonym)
            else {
                throw ReportError.notFound(
                    "no consent of \(hexString(pseudonym)) is on the chain")
            }
            let records = view.all(WireRecordState.self, .records)
                .filter { [UInt8]($0.value.patient) == pseudonym && !$0.value.duplicate }
            let uses = view.uses(of: pseudonym)
            return ConsentReport(
                patient: hexString(pseudonym), account: patientAccount(pseudonym).text,
                custodian: consent.custodian,
                intervals: consent.intervals.map { entry($0, after: view.height) },
                trainingRecords: records.count { $0.value.use == .training },
                evaluationRecords: records.count { $0.value.use == .evaluation },
                rounds: uses, models: view.descendants(of: uses), settledHeight: view.height)
        }
    }
}

extension Reporter {
    /// The purposes for which a consent will be in force in the next block.
    package func consentedPurposes(of pseudonym: [UInt8]) throws -> Set<String> {
        try read { view in
            let consent = view.state.value(WireConsentState.self, .consents, pseudonym)
            let next = view.height + 1
            return Set(
                (consent?.intervals ?? []).flatMap { interval in
                    interval.purposes.filter { interval.isInForce(for: $0, at: next) }
                        .map(purposeName)
                })
        }
    }
}

/// A patient's pseudonym from the account; nil when the account's name is none.
func patientPseudonym(_ account: AccountID) -> [UInt8]? {
    Digest(hex: account.name)?.bytes
}

private func entry(
    _ interval: WireConsentInterval, after height: UInt64
) -> ConsentIntervalEntry {
    let next = height + 1
    return ConsentIntervalEntry(
        fromHeight: interval.fromHeight,
        untilHeight: interval.untilHeight == 0 ? nil : interval.untilHeight,
        notAfterHeight: interval.notAfterHeight == 0 ? nil : interval.notAfterHeight,
        purposes: interval.purposes.map(purposeName),
        reward: interval.waiveReward ? "waive" : "earn",
        inForce: interval.purposes.contains { interval.isInForce(for: $0, at: next) })
}

extension ReportView {
    /// Rounds whose accepted manifests name records of a patient, in order.
    fileprivate mutating func uses(of pseudonym: [UInt8]) -> [ConsentUse] {
        all(WireRoundState.self, .rounds).compactMap { key, round in
            guard round.isClosed, key.count == 8,
                let values = try? WireRoundValues(strictly: [UInt8](round.values)),
                let use = values.patients.first(where: { [UInt8]($0.patient) == pseudonym })
            else { return nil }
            return ConsentUse(
                run: number(key[..<4]), round: number(key[4...]), records: use.records,
                model: hexString(round.model))
        }
    }

    /// Models that descend from those of the rounds named, and are not among them.
    fileprivate mutating func descendants(of uses: [ConsentUse]) -> [LineageStep] {
        let direct = Set(uses.map(\.model))
        guard !direct.isEmpty else { return [] }
        let models = all(WireModelState.self, .models)
        var touched = direct
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            for (key, model) in models where touched.contains(hexString(model.parent)) {
                if touched.insert(hexString(key)).inserted { isGrowing = true }
            }
        }
        return models.map { LineageStep(model: hexString($0), run: $1.run, round: $1.round) }
            .filter { touched.contains($0.model) && !direct.contains($0.model) }
            .sorted { ($0.run, $0.round) < ($1.run, $1.round) }
    }
}

private func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reduce(0) { $0 << 8 | UInt32($1) }
}
