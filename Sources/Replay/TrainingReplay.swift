package import Contracts
import Cryptography
package import Ledger
package import Training
import Wire

/// How good a model is on the reference set; for people, so floating point.
package struct ModelMetrics: Codable, Hashable, Sendable {
    /// Nil when one class is missing.
    package let auc: Double?
    package let accuracy: Double?
    package let loss: Double?

    static let unknown = Self(auc: nil, accuracy: nil, loss: nil)
}

/// What a replay found of one round.
package struct ReplayedRound: Hashable, Sendable {
    package let run: UInt32
    package let round: UInt32
    /// Whether model and values are those on the chain to the last bit; nil where another question
    /// was asked, so that there was nothing to compare.
    package let identical: Bool?
    /// SHA-256 of the recomputed model's blob, in hexadecimal; nil when it could not be made.
    package let model: String?
    package let metrics: ModelMetrics
    /// Why the round is not identical.
    package let difference: String?
}

/// Rebuilds every global model of a chain from the recorded updates.
///
/// What a round is checked against is the same at any later height, so one state, the newest,
/// serves for all rounds.
///
/// A run stays under the agreement that was in force when it started.
package struct TrainingReplay {
    /// A run with what was agreed when it started.
    private struct Run {
        let state: WireRunState
        let agreement: WireAgreement
        let trainer: any Trainer

        var number: UInt32 { state.number }
    }

    private let state: any StateView
    private let contentKey: [UInt8]?
    private let blob: BlobSource
    private let runs: [Run]

    /// - Parameters:
    ///   - terms: of the chain, with their agreements.
    ///   - state: re-executed from the chain.
    ///   - contentKey: the consortium's; without it content tags are not compared.
    ///   - blob: reads a blob; an error is named by what the blob is.
    /// - Throws: ``StateFault``, or ``TrainingError`` for an agreement without a trainer.
    package init(
        terms: TermHistory, state: any StateView, contentKey: [UInt8]?,
        blob: @escaping BlobSource
    ) throws {
        let named = try namedBlobs(in: state)
        let names = Dictionary(
            named.map { ($0.digest, $0.name) }, uniquingKeysWith: { first, _ in first })
        var changes = ChangeSet(above: state)
        let newest = changes.newestRun()
        runs = try stride(from: UInt32(1), through: newest, by: 1).compactMap { number in
            guard let run = changes.run(number) else { return nil }
            let agreement = terms.rules(at: Height(run.startedHeight)).agreement
            guard let trainer = Replay.trainer(of: agreement.training) else {
                throw TrainingError.badPlan
            }
            return Run(state: run, agreement: agreement, trainer: trainer)
        }
        if let fault = changes.fault { throw fault }
        self.state = state
        self.contentKey = contentKey
        self.blob = { digest, maximum in
            do {
                return try blob(digest, maximum)
            } catch {
                throw ReplayFault(place: names[digest] ?? "a blob", reason: "is needed: \(error)")
            }
        }
    }

    /// All closed rounds of all runs.
    package var roundCount: Int { runs.reduce(0) { $0 + Int($1.state.closed) } }

    /// Whether a site is on the roster of any run.
    package func knows(_ site: AccountID) -> Bool {
        runs.contains { $0.state.roster.contains(site.text) }
    }

    /// The number of parameters times coalitions of the largest run: what a replay keeps at once.
    package var valuesKept: Int {
        runs.map { run in
            let parameters = run.trainer.layout.reduce(0) { $0 + $1.shape.reduce(1, *) }
            let (product, overflow) = parameters.multipliedReportingOverflow(
                by: 1 << min(run.state.roster.count, 30))
            return overflow ? .max : product
        }.max() ?? 0
    }

    /// Recomputes every round's model and values and compares them with the chain.
    ///
    /// - Parameters:
    ///   - models: where coalitions' models are kept from one round to the next.
    ///   - each: told each round when it is done.
    /// - Throws: ``TrainingError``; whatever a single round meets is that round's difference.
    package func compare(
        models: inout some CoalitionModels, each: (ReplayedRound) -> Void
    ) throws {
        for run in runs where run.state.closed > 0 {
            let checker = try RoundChecker(agreement: run.agreement, state: state, blob: blob)
            let reference: ReferenceSet
            do { reference = try self.reference(of: run) } catch {
                for number in 1...run.state.closed { each(failed(run, number, "\(error)", nil)) }
                continue
            }
            var broken: UInt32?
            for number in 1...run.state.closed {
                if let broken {
                    let reason = "it follows round \(run.number).\(broken), which cannot be rebuilt"
                    each(failed(run, number, reason, reference))
                    continue
                }
                do {
                    let result = try checker.check(
                        run.state, round: number, reference: reference, models: &models)
                    each(try compared(result, run, number, reference))
                } catch {
                    broken = number
                    each(failed(run, number, "\(error)", reference))
                }
            }
        }
    }

    /// Recomputes every round's model as it would have been without one site's updates.
    ///
    /// Nothing is compared: the rounds' `identical` is nil.
    package func leaveOut(_ site: AccountID, each: (ReplayedRound) -> Void) throws {
        for run in runs where run.state.closed > 0 {
            let reference = try self.reference(of: run)
            guard let digest = Digest(run.state.initialModel) else { continue }
            var model = try Safetensors(decoding: try blob(digest, .max) ?? []).parameters
            for number in 1...run.state.closed {
                model = try advanced(model, run, number, without: site)
                let bytes = try Safetensors(model).encoded()
                each(
                    ReplayedRound(
                        run: run.number, round: number, identical: nil,
                        model: Digest.sha256(bytes).hex,
                        metrics: try metrics(of: model, reference, run.trainer), difference: nil))
            }
        }
    }

    private func round(_ run: Run, _ number: UInt32) throws -> WireRoundState {
        var changes = ChangeSet(above: state)
        guard let round = changes.round(run.number, number) else {
            throw changes.fault.map { $0 as any Error }
                ?? ReplayFault(
                    place: "round \(run.number).\(number)", reason: "is not on the chain")
        }
        return round
    }

    private func reference(of run: Run) throws -> ReferenceSet {
        let assembled = try assembleReference(
            run.state, agreement: run.agreement, state: state, contentKey: contentKey, blob: blob)
        guard assembled.root.bytes == [UInt8](run.state.referenceRoot) else {
            throw ReplayFault(
                place: "the reference set of run \(run.number)",
                reason:
                    "has the root \(assembled.root), fixed was \(hexString(run.state.referenceRoot))"
            )
        }
        return assembled.set
    }

    private func advanced(
        _ model: Parameters, _ run: Run, _ number: UInt32, without site: AccountID
    ) throws -> Parameters {
        let round = try round(run, number)
        let values = try WireRoundValues(strictly: [UInt8](round.values))
        var mean = WeightedMean(base: model)
        for entry in values.sites where entry.answer == "answered" && entry.site != site.text {
            guard let account = AccountID(entry.site),
                let update = round.updates.first(where: { $0.site == entry.site }),
                let digest = Digest(update.update)
            else {
                throw ReplayFault(
                    place: "round \(run.number).\(number)",
                    reason: "names an update that is absent")
            }
            let delta = try Safetensors(decoding: try blob(digest, .max) ?? []).parameters
            try mean.add(delta, weight: UInt64(entry.verified), from: account)
        }
        return mean.totalWeight > 0 ? try mean.result() : model
    }

    private func compared(
        _ result: RoundResult, _ run: Run, _ number: UInt32, _ reference: ReferenceSet
    ) throws -> ReplayedRound {
        let round = try round(run, number)
        var differences: [String] = []
        if [UInt8](round.model) != result.modelDigest.bytes {
            differences.append(
                "the updates give the model \(result.modelDigest), "
                    + "the chain has \(hexString(round.model))")
        }
        if [UInt8](round.values) != result.values {
            differences.append(
                "other values: " + difference(of: [UInt8](round.values), from: result.values))
        }
        let model = try Safetensors(decoding: result.model).parameters
        return ReplayedRound(
            run: run.number, round: number, identical: differences.isEmpty,
            model: result.modelDigest.hex, metrics: try metrics(of: model, reference, run.trainer),
            difference: differences.isEmpty ? nil : differences.joined(separator: "; "))
    }

    /// A round that could not be recomputed, with the metrics of the model on the chain, if at hand.
    private func failed(
        _ run: Run, _ number: UInt32, _ reason: String, _ reference: ReferenceSet?
    ) -> ReplayedRound {
        var metrics = ModelMetrics.unknown
        if let reference, let round = try? round(run, number), let digest = Digest(round.model),
            let bytes = try? blob(digest, .max), let file = try? Safetensors(decoding: bytes)
        {
            metrics = (try? self.metrics(of: file.parameters, reference, run.trainer)) ?? .unknown
        }
        return ReplayedRound(
            run: run.number, round: number, identical: false, model: nil, metrics: metrics,
            difference: reason)
    }

    private func metrics(
        of model: Parameters, _ reference: ReferenceSet, _ trainer: any Trainer
    ) throws -> ModelMetrics {
        let logits = try trainer.logits(model, features: reference.features)
        let labels = reference.labels
        let correct = try correctAnswers(logits: logits, labels: labels)
        return ModelMetrics(
            auc: try concordance(logits: logits, labels: labels).auc,
            accuracy: labels.isEmpty ? nil : Double(correct) / Double(labels.count),
            loss: try meanLogLoss(logits: logits, labels: labels))
    }
}

/// Names what differs between recorded and recomputed values.
private func difference(of recorded: [UInt8], from recomputed: [UInt8]) -> String {
    guard let old = try? WireRoundValues(strictly: recorded),
        let new = try? WireRoundValues(strictly: recomputed)
    else { return "the recorded ones are malformed" }
    var names: [String] = []
    for (one, other) in zip(old.sites, new.sites) where one != other {
        names.append(
            "\(one.site) \(other.answer) with \(other.verified) records and value "
                + "\(other.shapley), recorded \(one.answer) with \(one.verified) and \(one.shapley)"
        )
    }
    if old.sites.count != new.sites.count { names.append("another roster") }
    if old.patients != new.patients { names.append("other records of patients") }
    if old.utility != new.utility || old.utilityMaximum != new.utilityMaximum {
        names.append("utility \(new.utility), recorded \(old.utility)")
    }
    if old.correct != new.correct || old.referenceCount != new.referenceCount {
        names.append("\(new.correct) correct answers, recorded \(old.correct)")
    }
    if old.shapleyDenominator != new.shapleyDenominator { names.append("another denominator") }
    return names.joined(separator: ", ")
}

/// The coalitions' models of the newest rounds, in memory.
package struct CoalitionMemory: CoalitionModels {
    private var newest: (run: UInt32, round: UInt32)?
    private var models: [UInt32: [Int: Parameters]] = [:]

    package init() {}

    package func model(
        of coalition: Int, run: UInt32, after round: UInt32
    ) -> Parameters? {
        newest?.run == run ? models[round]?[coalition] : nil
    }

    package mutating func keep(
        _ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32
    ) {
        if newest?.run != run { models = [:] }
        newest = (run, round)
        models[round, default: [:]][coalition] = model
        models = models.filter { $0.key + 1 >= round }
    }
}
