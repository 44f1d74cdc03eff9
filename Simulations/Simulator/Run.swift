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
    /// The newest term on a settled chain.
    package let term: UInt64
    /// Who contradicted himself in signed words.
    package let convicted: [String]
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
    return Outcome(
        digest: world.digest, events: world.events, duration: world.now,
        blocks: furthest?.blocks.count ?? 0,
        transactions: Int(clamping: furthest?.tip.log.size ?? 0),
        acknowledged: world.auditor.promises.count, term: furthest?.tip.slot.term.value ?? 0,
        convicted: world.auditor.detector.convicted.map(\.text).sorted(),
        hasForked: world.auditor.hasForked, finding: finding)
}
