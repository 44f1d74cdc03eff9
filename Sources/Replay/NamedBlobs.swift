package import Contracts
package import Cryptography
import Ledger
import Wire

/// A blob that the chain names.
package struct NamedBlob: Hashable, Sendable {
    package let digest: Digest
    /// What it is: `the update of site/north in round 1.3`.
    package let name: String
    /// Who vouched for it in a transaction, and so had it.
    package let holders: Set<String>
}

/// The models, updates, manifests and reference records that a chain names, oldest first.
package func namedBlobs(in state: some StateView) throws(StateFault) -> [NamedBlob] {
    var changes = ChangeSet(above: state)
    var blobs: [NamedBlob] = []
    func name(_ bytes: some Collection<UInt8>, _ name: String, _ holders: Set<String>) {
        guard let digest = Digest(bytes) else { return }
        blobs.append(NamedBlob(digest: digest, name: name, holders: holders))
    }
    let newest = changes.newestRun()
    for number in stride(from: UInt32(1), through: newest, by: 1) {
        guard let run = changes.run(number) else { continue }
        let fixers = Set(run.reference.map(\.voter))
        for offer in run.offers {
            name(
                offer.records, "the reference records of \(offer.site) for run \(number)",
                fixers.union([offer.site]))
        }
        var checkers: Set<String> = []
        for place in stride(from: UInt32(1), through: run.opened, by: 1) {
            guard let round = changes.round(number, place) else { continue }
            let voters = Set(round.checks.map(\.voter))
            checkers.formUnion(voters)
            for update in round.updates {
                let suffix = "of \(update.site) in round \(number).\(place)"
                name(update.update, "the update \(suffix)", voters.union([update.site]))
                name(update.manifest, "the manifest \(suffix)", voters.union([update.site]))
            }
            // Who found the same result wrote the model; another word is about another model.
            let word = Digest(round.model).map {
                roundHash(model: $0, values: Digest.sha256([UInt8](round.values))).bytes
            }
            name(
                round.model, "the model after round \(number).\(place)",
                Set(round.checks.filter { [UInt8]($0.hash) == word }.map(\.voter)))
        }
        name(run.initialModel, "the initial model of run \(number)", checkers)
    }
    if let fault = changes.fault { throw fault }
    return blobs
}
