import Contracts
import Cryptography
import Foundation
package import Ledger
package import Replay
import Storage
import Training

/// What `tally replay` found.
///
/// In JSON `identical` is null where a site was left out: such a replay asks what would have been,
/// and compares nothing.
package struct ReplayReport: Codable, Hashable, Sendable {
    package struct Round: Codable, Hashable, Sendable {
        package let run: UInt32
        package let round: UInt32
        /// Null when a site was left out.
        package let identical: Bool?
        /// SHA-256 of the recomputed model; null when it could not be made.
        package let model: String?
        package let auc: Double?
        package let accuracy: Double?
        package let loss: Double?
        /// Why the round is not identical.
        package let difference: String?
    }

    /// Whether every effect, every model and all values are those on the chain, to the last bit.
    package let identical: Bool?
    /// The site that was left out.
    package let without: String?
    package let height: UInt64
    package let transactions: UInt64
    package let rounds: [Round]
    /// The first round, or else the first place on the chain, that differs, and why.
    package let firstDifference: String?
    /// What the re-execution of the contracts found; the first hundred.
    package let findings: [Finding]
    package let findingCount: Int
}

extension ReplayReport {
    // Written by hand, so that a key whose value is nil is there as null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(identical, forKey: .identical)
        try container.encode(without, forKey: .without)
        try container.encode(height, forKey: .height)
        try container.encode(transactions, forKey: .transactions)
        try container.encode(rounds, forKey: .rounds)
        try container.encode(firstDifference, forKey: .firstDifference)
        try container.encode(findings, forKey: .findings)
        try container.encode(findingCount, forKey: .findingCount)
    }
}

extension ReplayReport.Round {
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(run, forKey: .run)
        try container.encode(round, forKey: .round)
        try container.encode(identical, forKey: .identical)
        try container.encode(model, forKey: .model)
        try container.encode(auc, forKey: .auc)
        try container.encode(accuracy, forKey: .accuracy)
        try container.encode(loss, forKey: .loss)
        try container.encode(difference, forKey: .difference)
    }

    init(_ round: ReplayedRound) {
        self.init(
            run: round.run, round: round.round, identical: round.identical, model: round.model,
            auc: round.metrics.auc, accuracy: round.metrics.accuracy, loss: round.metrics.loss,
            difference: round.difference)
    }
}

/// Runs every contract of a chain again and rebuilds every model from the recorded updates.
///
/// It waits for the disk and uses every core: call it off the cooperative pool.
///
/// - Parameters:
///   - home: with ledger and blobs.
///   - site: to be left out: each round's model as it would have been without its updates.
///   - progress: told from time to time, on the calling thread.
/// - Returns: every round; one that differs, or cannot be rebuilt, says why.
/// - Throws: ``StorageError`` for a home without a ledger that can be read, ``HomeError`` for a
///   site that took part in no run, ``ReplayFault`` when a blob is wanting that leaving out needs.
package func replay(
    home: Home, without site: AccountID? = nil, progress: (AuditProgress) -> Void = { _ in }
) throws -> ReplayReport {
    let store = try LedgerStore.reading(at: home.ledger)
    try store.requireHistory()
    try store.close()
    let genesis = try home.genesisDocument()
    var findings = Findings()
    let audit = try LedgerRows.snapshot(of: home.ledger) { rows in
        let total = rows.lastHeight
        var walk = LedgerAudit(genesis: genesis, rows: rows, home: nil)
        let ledger = try walk.walk {
            progress(AuditProgress(stage: .chain, done: $0, total: total))
        }
        findings.add(walk.findings)
        return ledger.audit
    }
    let blobs = home.blobs
    let training = try TrainingReplay(
        terms: audit.terms, state: audit.state, contentKey: try? home.contentKey()
    ) { try readBlob($0, in: blobs, upTo: $1) }
    var rounds: [ReplayReport.Round] = []
    let total = UInt64(training.roundCount)
    func note(_ round: ReplayedRound) {
        rounds.append(ReplayReport.Round(round))
        progress(AuditProgress(stage: .rounds, done: UInt64(rounds.count), total: total))
    }
    if let site {
        guard training.knows(site) else {
            throw HomeError.foreign("\(site) is on the roster of no run; `tally rounds` lists them")
        }
        try training.leaveOut(site, each: note)
    } else {
        var models = try CoalitionSpace(values: training.valuesKept)
        defer { models.remove() }
        try training.compare(models: &models, each: note)
    }
    let differing = rounds.first { $0.identical == false }
    let isIdentical = findings.isEmpty && differing == nil
    return ReplayReport(
        identical: site == nil ? isIdentical : nil, without: site?.text, height: audit.height,
        transactions: audit.transactions, rounds: rounds,
        firstDifference: differing.map { "round \($0.run).\($0.round): \($0.difference ?? "")" }
            ?? findings.list.first?.description,
        findings: findings.list, findingCount: findings.count)
}

/// The coalitions' models of a replay: in memory while they are small, else in a folder of its own
/// that is removed in the end.
private struct CoalitionSpace: CoalitionModels {
    /// Float32 values of one round; two rounds are kept.
    private static let memoryLimit = 32 << 20

    private var memory = CoalitionMemory()
    private let folder: String?
    private var kept: (run: UInt32, round: UInt32)?

    /// Decides where the models go.
    ///
    /// - Parameter values: of all coalitions' models of one round.
    /// - Throws: the system's error when a folder cannot be made.
    init(values: Int) throws {
        guard values > Self.memoryLimit else {
            folder = nil
            return
        }
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tally-replay-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        self.folder = folder.path(percentEncoded: false)
    }

    private func path(_ coalition: Int, _ run: UInt32, _ round: UInt32) -> String? {
        folder.map { "\($0)/\(run).\(round).\(coalition)" }
    }

    func model(of coalition: Int, run: UInt32, after round: UInt32) throws -> Parameters? {
        guard let path = path(coalition, run, round) else {
            return memory.model(of: coalition, run: run, after: round)
        }
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        return try Safetensors(decoding: bytes).parameters
    }

    mutating func keep(
        _ model: Parameters, of coalition: Int, run: UInt32, after round: UInt32
    ) throws {
        guard let folder, let path = path(coalition, run, round) else {
            return memory.keep(model, of: coalition, run: run, after: round)
        }
        if kept?.run != run || kept?.round != round {
            let current = ["\(run).\(round).", "\(run).\(Int(round) - 1)."]
            for name in try FileManager.default.contentsOfDirectory(atPath: folder)
            where !current.contains(where: name.hasPrefix) {
                try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            }
            kept = (run, round)
        }
        try Data(Safetensors(model).encoded()).write(to: URL(filePath: path))
    }

    func remove() {
        if let folder { try? FileManager.default.removeItem(atPath: folder) }
    }
}
