import Contracts
package import Cryptography
import Ledger
import Replay
import Storage
import Training
import Wire

/// One site's line in a round's roll-call.
package struct RollCallEntry: Codable, Sendable {
    package let site: String
    /// `answered`, `late` or `refused`.
    package let answer: String
    /// Of a refusal; else empty.
    package let reason: String
    package let verified: UInt32
    /// Contribution value of the run so far, in units of the utility.
    @OrNull package var value: Double?
    /// The same as an exact numerator over the round's denominator.
    package let shapley: Int64
    /// Half the width of the value's 95 % interval, in the same units; 0 where values are exact.
    @OrNull package var valueHalfWidth: Double?
    /// The same as a numerator over the round's denominator.
    package let shapleyHalfWidth: UInt64
    /// Utility of all sites' model less that of the model without this site.
    package let leaveOneOut: Int64
}

package struct RoundReport: Codable, Sendable {
    package let round: UInt32
    /// Null when the utility is not concordance, or a class is missing.
    @OrNull package var auc: Double?
    @OrNull package var accuracy: Double?
    /// Null when the model or the reference set is not among this home's blobs.
    @OrNull package var loss: Double?
    package let model: String
    package let closedHeight: UInt64
    package let shapleyDenominator: UInt64
    /// Orders of joining that were drawn; 0: values are exact.
    package let permutations: UInt32
    /// Models that each voter valued for the round: of n sites 2ⁿ − 1, or with m drawn orders
    /// m (n − 1) on the way, n without one site, and the one of all.
    package let coalitions: UInt64
    /// Whether every site asked has answered and was accepted.
    package let complete: Bool
    package let rollCall: [RollCallEntry]
}

/// The learning curve of a run.
package struct RoundsReport: Codable, Sendable {
    package let run: UInt32
    package let study: String
    /// `preparing`, `running`, `stopped` or `finished`.
    package let state: String
    package let planned: UInt32
    package let opened: UInt32
    package let closed: UInt32
    /// Reference records, once fixed.
    package let referenceCount: UInt32
    package let model: String
    package let rounds: [RoundReport]
    package let settledHeight: UInt64
}

/// A model and the round it came from.
package struct LineageStep: Codable, Sendable {
    package let model: String
    package let run: UInt32
    /// 0: the initial parameters.
    package let round: UInt32
}

package struct LineageUpdate: Codable, Sendable {
    package let site: String
    package let update: String
    package let manifest: String
    package let examples: UInt32
}

/// Where a model comes from: its ancestors, newest first, and the updates that made it.
package struct LineageReport: Codable, Sendable {
    package let model: String
    package let run: UInt32
    package let round: UInt32
    @OrNull package var parent: String?
    package let updates: [LineageUpdate]
    package let ancestors: [LineageStep]
    package let settledHeight: UInt64
}

extension Reporter {
    /// The learning curve and roll-calls of a run, the newest when none is named.
    package func rounds(run number: UInt32?) throws -> RoundsReport {
        try read(isStrict: false) { view in
            let newest = view.state.newestRun()
            guard let run = view.state.run(number ?? newest) else {
                throw ReportError.notFound(
                    number.map { "there is no run \($0); the newest is \(newest)" }
                        ?? "no run was started yet; the coordinator runs `tally run start`")
            }
            let curve = LossCurve(run, view: view, blobs: blobs)
            let rounds = (1..<(run.closed + 1)).compactMap { number -> RoundReport? in
                guard let round = view.state.round(run.number, number) else { return nil }
                return view.report(round, number: number, curve)
            }
            return RoundsReport(
                run: run.number, study: view.agreement.study, state: stateName(run),
                planned: run.rounds, opened: run.opened, closed: run.closed,
                referenceCount: run.referenceCount, model: hexString(run.model), rounds: rounds,
                settledHeight: view.height)
        }
    }

    package func lineage(of model: Digest) throws -> LineageReport {
        try read { view in
            guard let state = view.model(model.bytes) else {
                throw ReportError.notFound(
                    "no model \(model) is on the chain; `tally rounds` names the models of a run")
            }
            let ancestors = view.ancestors(of: model)
            let updates = view.state.round(state.run, state.round)?.updates ?? []
            return LineageReport(
                model: model.hex, run: state.run, round: state.round,
                parent: ancestors.first?.model,
                updates: updates.map {
                    LineageUpdate(
                        site: $0.site, update: hexString($0.update),
                        manifest: hexString($0.manifest), examples: $0.examples)
                },
                ancestors: ancestors, settledHeight: view.height)
        }
    }

    /// The digest of a run's model after a round; the newest run and model when not named.
    package func model(run number: UInt32?, round: UInt32?) throws -> Digest {
        try read { view in
            let newest = view.state.newestRun()
            guard let run = view.state.run(number ?? newest) else {
                throw ReportError.notFound("there is no run \(number ?? newest)")
            }
            let bytes: [UInt8]
            switch round {
            case nil: bytes = [UInt8](run.model)
            case 0?: bytes = [UInt8](run.initialModel)
            case let round?:
                guard let state = view.state.round(run.number, round), state.isClosed else {
                    throw ReportError.notFound(
                        "round \(round) of run \(run.number) is not closed; the newest closed one "
                            + "is \(run.closed)")
                }
                bytes = [UInt8](state.model)
            }
            guard let digest = Digest(bytes) else {
                throw ReportError.notFound("run \(run.number) names a malformed model")
            }
            return digest
        }
    }
}

/// Computes the loss of a run's models on its reference set, where the blobs are here.
private struct LossCurve {
    private let trainer: (any Trainer)?
    private let reference: ReferenceSet?
    private let blobs: BlobStore?

    init(_ run: WireRunState, view: ReportView, blobs: BlobStore?) {
        self.blobs = blobs
        trainer = Replay.trainer(of: view.agreement.training)
        guard let blobs, !run.referenceRoot.isEmpty else {
            reference = nil
            return
        }
        let assembled = try? assembleReference(
            run, agreement: view.agreement, state: SQLiteState(view.store), contentKey: nil,
            blob: { try blobs.read($0, upTo: $1) })
        let isFixed = assembled?.root.bytes == [UInt8](run.referenceRoot)
        reference = isFixed ? assembled?.set : nil
    }

    /// - Returns: nil without the blobs; a loss is for people, so no failure of it is an error.
    func loss(of model: Digest) -> Double? {
        guard let trainer, let reference, let blobs, let bytes = try? blobs.read(model),
            let parameters = try? Safetensors(decoding: bytes).parameters,
            let logits = try? trainer.logits(parameters, features: reference.features)
        else { return nil }
        return try? meanLogLoss(logits: logits, labels: reference.labels)
    }
}

extension ReportView {
    mutating func model(_ digest: [UInt8]) -> WireModelState? {
        state.value(WireModelState.self, .models, digest)
    }

    /// The models that a model descends from, newest first: those of its run's own rounds, then what
    /// the run began with, and on from there.
    fileprivate mutating func ancestors(of model: Digest) -> [LineageStep] {
        let runs = state.descent(of: model)
        var steps: [LineageStep] = []
        for (place, part) in runs.enumerated() {
            let number = part.run.number
            for round in (1..<max(1, part.rounds)).reversed() {
                guard let model = state.round(number, round)?.model else { continue }
                steps.append(LineageStep(model: hexString(model), run: number, round: round))
            }
            let initial = [UInt8](part.run.initialModel)
            let next = runs.dropFirst(place + 1).first
            steps.append(
                LineageStep(
                    model: hexString(initial),
                    run: next?.run.number ?? self.model(initial)?.run ?? number,
                    round: next?.rounds ?? 0))
        }
        return steps
    }

    fileprivate func report(
        _ round: WireRoundState, number: UInt32, _ curve: LossCurve
    ) -> RoundReport? {
        guard let values = try? WireRoundValues(strictly: [UInt8](round.values)) else {
            return nil
        }
        let isConcordance = agreement.training.utility == Utility.concordance.rawValue
        let denominator = values.shapleyDenominator
        return RoundReport(
            round: number,
            auc: isConcordance ? quotient(values.utility, values.utilityMaximum) : nil,
            accuracy: quotient(UInt64(values.correct), UInt64(values.referenceCount)),
            loss: Digest(round.model).flatMap { curve.loss(of: $0) },
            model: hexString(round.model), closedHeight: round.closedHeight,
            shapleyDenominator: denominator, permutations: values.permutations,
            coalitions: valuedCoalitions(
                sites: values.sites.count, permutations: values.permutations),
            complete: values.sites.allSatisfy { $0.answer == "answered" },
            rollCall: values.sites.map { entry in
                RollCallEntry(
                    site: entry.site, answer: entry.answer, reason: entry.reason,
                    verified: entry.verified,
                    value: denominator > 0 ? Double(entry.shapley) / Double(denominator) : nil,
                    shapley: entry.shapley,
                    valueHalfWidth: quotient(entry.shapleyHalfWidth, denominator),
                    shapleyHalfWidth: entry.shapleyHalfWidth, leaveOneOut: entry.leaveOneOut)
            })
    }
}

/// How many models a voter valued to find out what each site is worth.
package func valuedCoalitions(sites: Int, permutations: UInt32) -> UInt64 {
    guard sites > 0 else { return 0 }
    guard permutations > 0 else { return UInt64(1) << UInt64(min(sites, 63)) - 1 }
    let count = UInt64(sites)
    let (onTheWay, overflow) = UInt64(permutations).multipliedReportingOverflow(by: count - 1)
    return overflow ? .max : onTheWay &+ count &+ 1
}

private func quotient(_ part: UInt64, _ whole: UInt64) -> Double? {
    whole > 0 ? Double(part) / Double(whole) : nil
}
