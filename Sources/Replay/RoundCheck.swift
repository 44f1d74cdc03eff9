package import Contracts
package import Cryptography
import Ledger
package import Training
package import Wire

/// What a round came to, computed from the recorded updates outside block execution.
package struct RoundResult: Sendable {
    /// The new model's safetensors blob.
    package let model: [UInt8]
    package let modelDigest: Digest
    /// RoundValues bytes.
    package let values: [UInt8]
}

/// One model per coalition of the run's sites, by mask, kept outside memory by the caller.
package protocol CoalitionModels {
    /// The coalition's model after a round; nil when it is not kept.
    func model(of coalition: Int, run: UInt32, after round: UInt32) throws -> Parameters?
    mutating func keep(
        _ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32) throws
}

/// An accepted update, still in its blob.
struct AcceptedUpdate {
    let site: AccountID
    let player: Int
    let digest: Digest
    let weight: UInt64
}

/// Checks rounds and computes their models and values from recorded updates.
///
/// Voters run it before `round.checked`, a replay runs it again. Memory holds one model and one
/// update at a time, however many sites there are.
package struct RoundChecker {
    private let agreement: WireAgreement
    let trainer: any Trainer
    private let state: any StateView
    private let blob: BlobSource

    package init(
        agreement: WireAgreement, state: any StateView, blob: @escaping BlobSource
    ) throws {
        guard let trainer = Replay.trainer(of: agreement.training) else {
            throw TrainingError.badPlan
        }
        self.agreement = agreement
        self.trainer = trainer
        self.state = state
        self.blob = blob
    }

    /// Computes what the round's `round.checked` says.
    ///
    /// - Parameters:
    ///   - run: with the roster and the initial model.
    ///   - number: of the round.
    ///   - reference: the run's reference set.
    ///   - models: the coalitions' models after the round before; those missing are rebuilt.
    /// - Returns: the model and the values that this voter vouches for.
    /// - Throws: ``ReplayFault``, also for a run that starts from a model that nothing accounts for,
    ///   or what keeps a blob or the state from being read; a fault of an update is no error but a
    ///   refusal in the roll-call.
    package func check(
        _ run: WireRunState, round number: UInt32, reference: ReferenceSet,
        models: inout some CoalitionModels
    ) throws -> RoundResult {
        var changes = ChangeSet(above: state)
        guard let round = changes.round(run.number, number) else {
            throw ReplayFault(place: "round \(run.number).\(number)", reason: "is not on the chain")
        }
        if let fault = try strayStart(of: run, under: agreement, in: &changes) {
            throw ReplayFault(place: "run \(run.number)", reason: fault)
        }
        var values = WireRoundValues()
        var accepted: [AcceptedUpdate] = []
        var records: [[UInt8]: UInt32] = [:]
        for (player, text) in run.roster.enumerated() {
            guard let site = AccountID(text) else { continue }
            var entry = WireSiteValue()
            entry.site = text
            if let update = round.updates.first(where: { $0.site == text }) {
                do throws(UpdateFault) {
                    let patients = try verified(
                        update, site, round, sites: run.roster.count, &changes)
                    guard let digest = Digest(update.update) else { throw .refused("malformed") }
                    accepted.append(
                        AcceptedUpdate(
                            site: site, player: player, digest: digest,
                            weight: UInt64(patients.count)))
                    for patient in patients { records[patient, default: 0] += 1 }
                    entry.answer = "answered"
                    entry.verified = UInt32(patients.count)
                } catch {
                    switch error {
                    case .refused(let reason):
                        entry.answer = "refused"
                        // A site chooses the names in its files, and the round must close.
                        entry.reason = String(
                            String.UnicodeScalarView(reason.unicodeScalars.prefix(200)))
                    case .unreadable(let fault): throw fault
                    }
                }
            } else {
                entry.answer = "late"
            }
            values.sites.append(entry)
        }
        if let fault = changes.fault { throw fault }
        values.patients = records.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
            var entry = WirePatientRecords()
            entry.patient = data($0.key)
            entry.records = $0.value
            return entry
        }
        let model = try value(run, number, accepted, reference, &values, &models)
        let bytes = try Safetensors(model).encoded()
        return RoundResult(
            model: bytes, modelDigest: Digest.sha256(bytes), values: values.encoded())
    }

    private enum UpdateFault: Error {
        case refused(String)
        case unreadable(any Error)
    }

    /// Checks one update and its manifest.
    ///
    /// - Returns: the patient of each verified record.
    private func verified(
        _ update: WireUpdateState, _ site: AccountID, _ round: WireRoundState, sites: Int,
        _ changes: inout ChangeSet
    ) throws(UpdateFault) -> [[UInt8]] {
        let manifest: WireManifest
        let delta: [UInt8]
        let base: Parameters
        do {
            guard let digest = Digest(update.manifest), let updateDigest = Digest(update.update),
                let baseDigest = Digest(round.baseModel)
            else { throw UpdateFault.refused("names a malformed digest") }
            let baseBytes = try file(baseDigest)
            base = try Safetensors(decoding: baseBytes).parameters
            let bound = BlobBounds.update(base: UInt64(baseBytes.count))
            guard let bytes = try blob(updateDigest, bound) else {
                throw UpdateFault.refused("the update has more bytes than the model and 1 MiB")
            }
            delta = bytes
            manifest = try self.manifest(digest, of: update)
        } catch let fault as UpdateFault {
            throw fault
        } catch { throw .unreadable(error) }
        let bound = Double(agreement.training.normBoundMillionths) / 1_000_000
        do throws(UpdateRefusal) {
            _ = try screenedUpdate(delta, base: base, normBound: bound)
        } catch { throw .refused("\(error)") }
        var patients: [[UInt8]] = []
        var last: ItemID?
        for entry in manifest.entries {
            guard let item = ItemID(entry.item), entry.record == entry.item,
                last.map({ $0 < item }) ?? true
            else { throw .refused("the manifest is not in ascending order, each record once") }
            last = item
            do throws(RecordRefusal) {
                let record = try usableRecord(
                    item, of: site, use: .training, openedAt: round.openedHeight,
                    agreement.training, in: &changes)
                guard record.closedBy.envelope.bytes == [UInt8](entry.closeEnvelope),
                    record.closedBy.index == entry.closeIndex
                else { throw .notApproved }
                patients.append(record.patient)
            } catch { throw .refused("record \(item) \(error.rawValue)") }
        }
        let most = BlobBounds.patients(sites: sites)
        guard Set(patients).count <= most else {
            throw .refused("the manifest names records of more than \(most) patients")
        }
        return patients
    }

    /// Reads the manifest of an update, whose length and entries are held to what the chain states.
    private func manifest(_ digest: Digest, of update: WireUpdateState) throws -> WireManifest {
        guard let bytes = try blob(digest, BlobBounds.manifest(examples: update.examples)) else {
            throw UpdateFault.refused("the manifest is longer than the records stated can be")
        }
        guard BlobBounds.canHold(update.examples, in: bytes) else {
            throw UpdateFault.refused(
                "the manifest names another number of records than the update states")
        }
        guard let manifest = try? WireManifest(strictly: bytes) else {
            throw UpdateFault.refused("the manifest is malformed")
        }
        return manifest
    }

    /// Reads a model that a quorum found or a run began with, or an update that was accepted.
    func file(_ digest: Digest) throws -> [UInt8] {
        try blob(digest, .max) ?? []
    }

    /// Averages the accepted updates and values every coalition of sites.
    private func value(
        _ run: WireRunState, _ number: UInt32, _ accepted: [AcceptedUpdate],
        _ reference: ReferenceSet, _ values: inout WireRoundValues,
        _ models: inout some CoalitionModels
    ) throws -> Parameters {
        let players = run.roster.count
        guard players <= mostExactPlayers else {
            let model = try sampled(run, number, accepted, reference, &values, &models)
            try state(model, reference, &values)
            return model
        }
        var utilities = [reference.floor]
        var model = try startingModel(run)
        for coalition in 1..<(1 << players) {
            model = try previous(coalition, run, number, &models)
            model = try advanced(model, coalition, accepted)
            try models.keep(model, of: coalition, run: run.number, after: number)
            utilities.append(try reference.value(of: model, trainer: trainer))
        }
        let shapley = try shapleyValues(players: players, utilities: utilities)
        let whole = utilities[utilities.count - 1]
        for player in 0..<players {
            values.sites[player].shapley = shapley.numerators[player]
            values.sites[player].leaveOneOut =
                whole - utilities[(utilities.count - 1) ^ (1 << player)]
        }
        values.shapleyDenominator = UInt64(shapley.denominator)
        // The coalition of all has just been valued: its model is the round's.
        try state(model, reference, &values)
        return model
    }

    /// States what the round's model reaches on the reference set.
    private func state(
        _ model: Parameters, _ reference: ReferenceSet, _ values: inout WireRoundValues
    ) throws {
        let logits = try trainer.logits(model, features: reference.features)
        values.utility = UInt64(
            clamping: try reference.utility.value(logits: logits, labels: reference.labels))
        values.utilityMaximum = UInt64(
            clamping: reference.utility == .concordance
                ? 2 * reference.floor : Int64(reference.labels.count))
        values.correct = UInt32(
            clamping: try correctAnswers(logits: logits, labels: reference.labels))
        values.referenceCount = UInt32(reference.labels.count)
    }

    func startingModel(_ run: WireRunState) throws -> Parameters {
        guard let digest = Digest(run.initialModel) else {
            throw ReplayFault(place: "run \(run.number)", reason: "names a malformed model")
        }
        return try Safetensors(decoding: try file(digest)).parameters
    }

    /// A coalition's model after the round before, rebuilt from the recorded updates if need be.
    private func previous(
        _ coalition: Int, _ run: WireRunState, _ number: UInt32,
        _ models: inout some CoalitionModels
    ) throws -> Parameters {
        if number == 1 { return try startingModel(run) }
        if let kept = try models.model(of: coalition, run: run.number, after: number - 1) {
            return kept
        }
        var model = try startingModel(run)
        for earlier in 1..<number {
            model = try advanced(model, coalition, try recorded(run, earlier))
        }
        return model
    }

    /// The accepted updates of a closed round, as its values name them.
    func recorded(_ run: WireRunState, _ number: UInt32) throws -> [AcceptedUpdate] {
        var changes = ChangeSet(above: state)
        guard let round = changes.round(run.number, number),
            let values = try? WireRoundValues(strictly: [UInt8](round.values))
        else {
            throw ReplayFault(place: "round \(run.number).\(number)", reason: "is not closed")
        }
        return try values.sites.enumerated().compactMap { player, entry in
            guard entry.answer == "answered" else { return nil }
            guard let site = AccountID(entry.site),
                let update = round.updates.first(where: { $0.site == entry.site }),
                let digest = Digest(update.update)
            else {
                throw ReplayFault(
                    place: "round \(run.number).\(number)", reason: "names an update that is absent"
                )
            }
            return AcceptedUpdate(
                site: site, player: player, digest: digest, weight: UInt64(entry.verified))
        }
    }

    private func advanced(
        _ model: Parameters, _ coalition: Int, _ accepted: [AcceptedUpdate]
    ) throws -> Parameters {
        let own = accepted.filter { coalition >> $0.player & 1 == 1 }
        guard !own.isEmpty else { return model }
        var mean = WeightedMean(base: model)
        for update in own {
            let delta = try Safetensors(decoding: try file(update.digest)).parameters
            try mean.add(delta, weight: update.weight, from: update.site)
        }
        return try mean.result()
    }
}

/// What a replay cannot go on with, and where.
package struct ReplayFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let place: String
    package let reason: String

    package init(place: String, reason: String) {
        self.place = place
        self.reason = reason
    }

    package var description: String { "\(place) \(reason)" }
}
