import Ledger
package import Wire

extension WireConsentInterval {
    package func isInForce(for purpose: WirePurpose, at height: UInt64) -> Bool {
        fromHeight <= height && (untilHeight == 0 || height < untilHeight)
            && (notAfterHeight == 0 || height <= notAfterHeight) && purposes.contains(purpose)
    }
}

extension WireConsentState {
    /// The interval that permits a purpose at a height; nil when there is none.
    package func interval(for purpose: WirePurpose, at height: UInt64) -> WireConsentInterval? {
        intervals.first { $0.isInForce(for: purpose, at: height) }
    }
}

extension ChangeSet {
    mutating func consent(of patient: [UInt8]) -> WireConsentState? {
        value(WireConsentState.self, .consents, patient)
    }
}

/// The intervals of one patient's consent that grants may make; each is read with the patient's
/// every record. A withdrawal is never refused for their number.
package let intervalsPerPatient = 256

private func purposesAreOrdered(_ purposes: [WirePurpose]) -> Bool {
    !purposes.isEmpty
        && purposes.allSatisfy { (1...4).contains($0.rawValue) }
        && zip(purposes, purposes.dropFirst()).allSatisfy { $0.rawValue < $1.rawValue }
}

/// `consent.grant`: by the site as the patient's custodian; the newest grant replaces the one before.
func grant(
    _ body: WireConsentGrant, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let patient = [UInt8](body.patient)
    try call.require(call.signer.role == .site, else: .notPermitted)
    try call.require(patient.count == 32, else: .malformedField)
    try call.require(purposesAreOrdered(body.purposes), else: .purposesMalformed)
    try call.require(
        body.notAfterHeight == 0 || body.notAfterHeight >= call.height, else: .consentEnded)
    var state = changes.consent(of: patient) ?? WireConsentState()
    if state.custodian.isEmpty { state.custodian = call.signer.text }
    try call.require(state.custodian == call.signer.text, else: .notCustodian)
    end(&state, at: call.height)
    try call.require(
        state.intervals.count < intervalsPerPatient, else: .consentsExhausted)
    var interval = WireConsentInterval()
    interval.fromHeight = call.height
    interval.notAfterHeight = body.notAfterHeight
    interval.purposes = body.purposes
    interval.waiveReward = body.waiveReward
    state.intervals.append(interval)
    changes.set(.consents, patient, to: state)
}

/// `consent.withdraw`: the purposes end at this height, the others stay.
func withdraw(
    _ body: WireConsentWithdraw, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let patient = [UInt8](body.patient)
    try call.require(call.signer.role == .site, else: .notPermitted)
    try call.require(patient.count == 32, else: .malformedField)
    try call.require(purposesAreOrdered(body.purposes), else: .purposesMalformed)
    guard var state = changes.consent(of: patient) else { throw .noConsentToWithdraw }
    try call.require(state.custodian == call.signer.text, else: .notCustodian)
    guard var rest = state.intervals.last, rest.untilHeight == 0,
        rest.notAfterHeight == 0 || call.height <= rest.notAfterHeight,
        rest.purposes.contains(where: body.purposes.contains)
    else { throw .noConsentToWithdraw }
    end(&state, at: call.height)
    rest.fromHeight = call.height
    rest.purposes.removeAll(where: body.purposes.contains)
    if !rest.purposes.isEmpty { state.intervals.append(rest) }
    changes.set(.consents, patient, to: state)
}

/// Ends the open interval; one that began at this very height never was in force.
private func end(_ state: inout WireConsentState, at height: UInt64) {
    guard let last = state.intervals.last, last.untilHeight == 0 else { return }
    if last.fromHeight == height {
        state.intervals.removeLast()
    } else {
        state.intervals[state.intervals.count - 1].untilHeight = height
    }
}
