package import Cryptography
import Ledger
package import Wire

extension WireRoundState {
    /// Whether nothing more is awaited: every site on the roster answered, or the deadline passed.
    package func isReady(roster: [String], at height: UInt64) -> Bool {
        updates.count == roster.count || height > deadline
    }

    package var isClosed: Bool { !model.isEmpty }
}

/// What a voter's word on a round hashes: the new model and its values.
package func roundHash(model: Digest, values: Digest) -> Digest {
    Digest.sha256(model.bytes + values.bytes)
}

func roundID(_ run: UInt32, _ round: UInt32) -> String { "\(run).\(round)" }

/// `round.open`: the coordinator asks the roster for updates of the run's present model.
func open(_ body: WireRoundOpen, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    try call.require(call.signer == call.context.coordinator, else: .notPermitted)
    guard var run = changes.run(body.run) else { throw .noRun }
    try call.require(run.isActive, else: .runOver)
    try call.require(!run.referenceRoot.isEmpty, else: .referenceNotFixed)
    try call.require(
        run.opened == run.closed && body.round == run.closed + 1 && body.round <= run.rounds,
        else: .roundOutOfOrder)
    try call.require(body.baseModel == run.model, else: .wrongBaseModel)
    run.opened = body.round
    changes.setRun(run)
    var state = WireRoundState()
    state.baseModel = body.baseModel
    state.openedHeight = call.height
    let window = UInt64(call.context.agreement.training.roundDeadline)
    state.deadline = call.context.height.advanced(by: window).value
    changes.set(.rounds, roundKey(body.run, body.round), to: state)
    changes.setDue(state.deadline + 1, .round, roundID(body.run, body.round))
}

/// `update.submit`: a site's delta with the manifest of the records behind it.
func submit(
    _ body: WireUpdateSubmit, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(
        body.update.count == 32 && body.manifest.count == 32 && body.examples > 0,
        else: .malformedField)
    guard let run = changes.run(body.run) else { throw .noRun }
    try call.require(run.isActive, else: .runOver)
    try call.require(run.roster.contains(call.signer.text), else: .notOnRoster)
    try call.require(changes.overdueSecrets(of: call.signer) == 0, else: .secretsOverdue)
    guard var state = changes.round(body.run, body.round), !state.isClosed else {
        throw .roundNotOpen
    }
    try call.require(
        !state.updates.contains { $0.site == call.signer.text }, else: .alreadySubmitted)
    try call.require(call.height <= state.deadline, else: .roundOver)
    var update = WireUpdateState()
    update.site = call.signer.text
    update.update = body.update
    update.manifest = body.manifest
    update.examples = body.examples
    update.height = call.height
    let place = state.updates.firstIndex {
        update.site.utf8.lexicographicallyPrecedes($0.site.utf8)
    }
    state.updates.insert(update, at: place ?? state.updates.count)
    changes.set(.rounds, roundKey(body.run, body.round), to: state)
}

/// `round.checked`: a voter's word on what the round's aggregate and values are.
func check(_ body: WireRoundChecked, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let model = Digest(body.model), let values = Digest(body.values) else {
        throw .malformedField
    }
    guard let run = changes.run(body.run) else { throw .noRun }
    try call.require(call.context.voters.keys[call.signer] != nil, else: .notAVoter)
    try call.require(run.isActive, else: .runOver)
    guard var state = changes.round(body.run, body.round), !state.isClosed else {
        throw .roundNotOpen
    }
    try call.require(state.isReady(roster: run.roster, at: call.height), else: .roundNotReady)
    word(of: call.signer, roundHash(model: model, values: values), in: &state.checks)
    changes.set(.rounds, roundKey(body.run, body.round), to: state)
}

/// `round.close`: the round's result and settlement, once a quorum of voters found the same.
///
/// Anybody may send it; the coordinator does.
func close(_ body: WireRoundClose, _ call: Call, _ changes: inout ChangeSet) throws(Rejection) {
    guard let model = Digest(body.model) else { throw .malformedField }
    guard var run = changes.run(body.run) else { throw .noRun }
    try call.require(run.isActive, else: .runOver)
    guard var state = changes.round(body.run, body.round), !state.isClosed else {
        throw .roundNotOpen
    }
    try call.require(state.isReady(roster: run.roster, at: call.height), else: .roundNotReady)
    let bytes = [UInt8](body.values)
    let hash = roundHash(model: model, values: Digest.sha256(bytes))
    try call.require(isQuorum(for: hash, in: state.checks, call.context), else: .noQuorum)
    guard let values = try? WireRoundValues(strictly: bytes),
        values.sites.map(\.site) == run.roster, isOrdered(values)
    else { throw .valuesMalformed }
    try changes.settle(values, run: run, round: body.round, opened: state.openedHeight, call)
    state.model = body.model
    state.values = body.values
    state.closedHeight = call.height
    changes.set(.rounds, roundKey(body.run, body.round), to: state)
    changes.clearDue(state.deadline + 1, .round, roundID(body.run, body.round))
    run.closed = body.round
    run.model = body.model
    run.finished = body.round == run.rounds
    changes.setRun(run)
    guard changes.bytes(.models, model.bytes) == nil else { return }
    var lineage = WireModelState()
    lineage.run = body.run
    lineage.round = body.round
    lineage.parent = state.baseModel
    changes.set(.models, model.bytes, to: lineage)
}

private func isOrdered(_ values: WireRoundValues) -> Bool {
    let patients = values.patients.map { [UInt8]($0.patient) }
    return patients.allSatisfy { $0.count == 32 }
        && zip(patients, patients.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) }
}
