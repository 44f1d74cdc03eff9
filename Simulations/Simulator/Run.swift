import Contracts
package import Cryptography
import Ledger

/// What became of one seed.
package struct Outcome: Sendable {
    /// Equal for equal seeds.
    package let digest: Digest
    package let events: Int
    /// Simulated milliseconds.
    package let duration: UInt64
    /// Settled blocks, and transactions in them.
    package let blocks: Int
    package let transactions: Int
    /// Envelopes that somebody held a receipt for.
    package let acknowledged: Int
    /// Rounds that settled blocks closed, updates counted in them, and updates refused.
    package let rounds: Int
    package let answers: Int
    package let refusals: Int
    /// The newest term on a settled chain.
    package let term: UInt64
    /// Who was drawn to lie.
    package let liars: [String]
    /// Who contradicted himself in signed words.
    package let convicted: [String]
    /// The evidence of it, which convicts by itself, and what it says.
    package let evidence: [(offence: String, bytes: [UInt8])]
    package let hasForked: Bool
    /// The first invariant that broke; nil when all hold.
    package let finding: Violation?
}

/// Runs one seed of a scenario.
///
/// - Parameters:
///   - scenario: what the consortium goes through.
///   - seed: from which everything is drawn.
///   - fault: a bug to plant; nil for none.
///   - cabinet: of keys, which a caller may hand from run to run.
///   - tracer: told what happens, line by line.
/// - Returns: what became of it, findings included.
/// - Throws: what keeps the simulation from starting.
package func simulate(
    _ scenario: Scenario, seed: UInt64, fault: Fault? = nil, cabinet: KeyCabinet = KeyCabinet(),
    tracer: ((String) -> Void)? = nil
) throws -> Outcome {
    try SignatureMemory.remembering {
        try run(Options(scenario, seed: seed), fault: fault, cabinet: cabinet, tracer: tracer)
    }
}

private func run(
    _ options: Options, fault: Fault?, cabinet: KeyCabinet, tracer: ((String) -> Void)?
) throws -> Outcome {
    let world = try World(options, fault: fault, cabinet: cabinet, tracer: tracer)
    var finding: Violation?
    do {
        try world.run()
    } catch let found as Violation {
        finding = found
    }
    let furthest = world.nodes.filter(\.isHonest).map(\.disk.tables)
        .max { $0.blocks.count < $1.blocks.count }
    let tally = world.auditor.chain.rounds.tally
    return Outcome(
        digest: world.digest, events: world.events, duration: world.now,
        blocks: furthest?.blocks.count ?? 0,
        transactions: Int(clamping: furthest?.tip.log.size ?? 0),
        acknowledged: world.auditor.promises.count, rounds: tally.rounds, answers: tally.answers,
        refusals: tally.refusals, term: furthest?.tip.slot.term.value ?? 0,
        liars: options.liars.keys.map(\.text).sorted(),
        convicted: world.auditor.detector.convicted.map(\.text).sorted(),
        evidence: world.auditor.detector.evidence
            .map { (offence: $0.key.description, bytes: $0.value.bytes) }
            .sorted { ($0.offence, $0.bytes.count) < ($1.offence, $1.bytes.count) },
        hasForked: world.auditor.hasForked, finding: finding)
}
