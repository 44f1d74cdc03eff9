package import Contracts
import Cryptography
package import Ledger
import Training
package import Wire

/// What is wrong with the model that a run starts from.
///
/// A run starts from the agreement's seeded model or from what a round of an earlier run made:
/// whoever starts one from a trained model with a bit flipped would else cut it off from all who
/// contributed to it. The contracts cannot compute the seeded model, so voters and audits look.
///
/// - Parameters:
///   - run: as the chain has it.
///   - agreement: in force when the run started.
///   - changes: the contract state.
/// - Returns: nil when the model is one of these.
/// - Throws: what keeps the seeded model from being made.
package func strayStart(
    of run: WireRunState, under agreement: WireAgreement, in changes: inout ChangeSet
) throws -> String? {
    let recorded = changes.value(WireModelState.self, .models, [UInt8](run.initialModel))
    if let recorded, recorded.round > 0, recorded.run < run.number { return nil }
    let seeded = Digest.sha256(try initialModel(of: agreement.training))
    guard [UInt8](run.initialModel) != seeded.bytes else { return nil }
    return "starts from a model that is neither the agreement's initial one nor of an earlier round"
}

/// Runs of which a round was closed although they start from a model that nothing accounts for.
///
/// - Parameters:
///   - state: re-executed from the chain.
///   - terms: of the chain, with their agreements.
/// - Returns: findings; none where a quorum of voters looked.
package func strayRuns(in state: any StateView, terms: TermHistory) -> Findings {
    var findings = Findings()
    var changes = ChangeSet(above: state)
    for number in stride(from: UInt32(1), through: changes.newestRun(), by: 1) {
        guard let run = changes.run(number), run.closed > 0 else { continue }
        let agreement = terms.rules(at: Height(run.startedHeight)).agreement
        do {
            if let fault = try strayStart(of: run, under: agreement, in: &changes) {
                findings.add("run \(number)", "it \(fault)")
            }
        } catch { findings.add("run \(number)", "its agreement's initial model: \(error)") }
    }
    return findings
}
