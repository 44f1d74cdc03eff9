import Contracts
import Cryptography
import Foundation
import Ledger
import Replay
import Storage
import Training
import Wire

/// A site by itself, and what it earned.
package struct SiteFairness: Codable, Sendable {
    package let site: String
    /// Share of right answers on the reference set of the run's initial model plus this site's
    /// updates of every round; null where the blobs are not in this home.
    @OrNull package var standAlone: Double?
    /// From the pools of the run's rounds, corrections counted.
    package let reward: String
}

/// How evenly the accounts of a role were paid.
package struct RoleFairness: Codable, Sendable {
    package let role: String
    /// All that could have been paid, also those who got nothing.
    package let accounts: Int
    package let paid: String
    /// (Σx)² / (n · Σx²), from 1/n to 1; null when nobody was paid.
    @OrNull package var jain: Double?
}

/// Figures by which people judge whether a run's rewards are fair.
package struct FairnessReport: Codable, Sendable {
    package let run: UInt32
    package let rounds: UInt32
    package let sites: [SiteFairness]
    /// Pearson's, of stand-alone accuracy and reward; null below two sites, when one does not
    /// vary, or where the blobs are not in this home.
    @OrNull package var correlation: Double?
    /// Why stand-alone accuracy is not known; null when it is.
    @OrNull package var missing: String?
    package let roles: [RoleFairness]
    package let settledHeight: UInt64
}

extension Reporter {
    /// The figures of a run, the newest when none is named.
    ///
    /// They are floating point, for people; no money follows from them. The correlation is the
    /// collaborative fairness of Lyu, Yu, Nandakumar and others; the index is of Jain, Chiu and
    /// Hawe, 1984. Stand-alone accuracy there is that of a model which a participant trained by
    /// itself. No such model is on the chain, and no voter could check one that a site stated of
    /// its own; so here it is that of the run's initial model plus the site's own recorded updates,
    /// which anybody recomputes. Those were computed on each round's global model, so that a site
    /// can look better alone than it would have been.
    ///
    /// - Parameter number: of the run.
    /// - Returns: one row for each site of the roster and each role.
    /// - Throws: ``ReportError/notFound(_:)`` for a run without a closed round; an error of the
    ///   store.
    /// - SeeAlso: Lyu et al., Towards Fair and Privacy-Preserving Federated Deep Models, IEEE
    ///   TPDS 2020 (arXiv:1906.01167).
    package func fairness(run number: UInt32?) throws -> FairnessReport {
        try read(isStrict: false) { view in
            let newest = view.state.newestRun()
            guard let run = view.state.run(number ?? newest), run.closed > 0 else {
                throw ReportError.notFound("run \(number ?? newest) has no closed round yet")
            }
            let earned = try view.earnings(of: run)
            var alone: StandAlone?
            var missing: String?
            do { alone = try StandAlone(run, view: view, blobs: blobs) } catch let error
                as ReportError
            { missing = error.description }
            let sites = try run.roster.map { site in
                SiteFairness(
                    site: site, standAlone: try alone?.accuracy(of: site, in: &view),
                    reward: TokenAmount(microtokens: earned["site"]?[site] ?? 0).description)
            }
            let points = sites.compactMap { site in
                site.standAlone.map { ($0, Double(earned["site"]?[site.site] ?? 0)) }
            }
            return FairnessReport(
                run: run.number, rounds: run.closed, sites: sites,
                correlation: pearsonCorrelation(points), missing: missing,
                roles: earned.sorted { $0.key < $1.key }.map { role, amounts in
                    RoleFairness(
                        role: role, accounts: amounts.count,
                        paid: TokenAmount(microtokens: amounts.values.reduce(0, &+)).description,
                        jain: jainIndex(amounts.values.sorted().map { Double($0) }))
                }, settledHeight: view.height)
        }
    }
}

/// The models that single sites would have made by themselves.
private struct StandAlone {
    let run: WireRunState
    let trainer: any Trainer
    let reference: ReferenceSet
    let blobs: BlobStore

    init(_ run: WireRunState, view: ReportView, blobs: BlobStore?) throws {
        guard let blobs, let trainer = Replay.trainer(of: view.agreement.training) else {
            throw ReportError.notFound("this home has no blobs; ask in a node's home")
        }
        let assembled = try assembleReference(
            run, agreement: view.agreement, state: SQLiteState(view.store), contentKey: nil,
            blob: { try blobs.read($0, upTo: $1) })
        guard assembled.root.bytes == [UInt8](run.referenceRoot), assembled.count > 0 else {
            throw ReportError.notFound("the reference set of run \(run.number) is not here")
        }
        self.run = run
        self.trainer = trainer
        self.blobs = blobs
        reference = assembled.set
    }

    func accuracy(of site: String, in view: inout ReportView) throws -> Double {
        var model = try parameters(run.initialModel)
        for number in 1...run.closed {
            guard let round = view.state.round(run.number, number),
                let values = try? WireRoundValues(strictly: [UInt8](round.values)),
                let own = values.sites.first(where: { $0.site == site }), own.answer == "answered",
                let account = AccountID(site),
                let update = round.updates.first(where: { $0.site == site })
            else { continue }
            model = try advance(
                model, coalition: 1,
                updates: [
                    CoalitionUpdate(
                        site: account, player: 0, weight: UInt64(own.verified),
                        update: parameters(update.update))
                ])
        }
        let logits = try trainer.logits(model, features: reference.features)
        let correct = try correctAnswers(logits: logits, labels: reference.labels)
        return Double(correct) / Double(reference.labels.count)
    }

    private func parameters(_ digest: Data) throws -> Parameters {
        guard let digest = Digest(digest) else {
            throw ReportError.notFound("run \(run.number) names a malformed blob")
        }
        return try Safetensors(decoding: blobs.read(digest)).parameters
    }
}

/// Pearson's correlation; nil below two points, or when one side does not vary.
package func pearsonCorrelation(_ points: [(Double, Double)]) -> Double? {
    // Not by the sums below: the mean of three equal numbers need not equal them.
    guard Set(points.map(\.0)).count > 1, Set(points.map(\.1)).count > 1 else { return nil }
    let count = Double(points.count)
    let mean = (
        points.reduce(0) { $0 + $1.0 } / count, points.reduce(0) { $0 + $1.1 } / count
    )
    var (both, first, second) = (0.0, 0.0, 0.0)
    for (x, y) in points {
        both += (x - mean.0) * (y - mean.1)
        first += (x - mean.0) * (x - mean.0)
        second += (y - mean.1) * (y - mean.1)
    }
    return both / (first.squareRoot() * second.squareRoot())
}

/// Jain's fairness index; nil when nothing was paid.
package func jainIndex(_ amounts: [Double]) -> Double? {
    let (sum, squares) = amounts.reduce((0.0, 0.0)) { ($0.0 + $1, $0.1 + $1 * $1) }
    guard squares > 0 else { return nil }
    return sum * sum / (Double(amounts.count) * squares)
}
