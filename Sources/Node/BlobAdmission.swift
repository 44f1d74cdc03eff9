import Contracts
import Cryptography
import Federation
import Ledger
import Replay
import Storage
import Wire

extension NodeCore {
    /// Refuses what names a blob that is not here, or a longer one than any voter reads: no voter
    /// could check such an update, and the round would never close.
    func requireBlobs(of envelope: Envelope) throws {
        var changes = ChangeSet(above: replica.headState)
        let rule = replica.rules.agreement.training
        for transaction in envelope.transactions {
            switch transaction.body {
            case .updateSubmit(let body):
                let base = changes.round(body.run, body.round).flatMap { Digest($0.baseModel) }
                let size = base.flatMap { blobs.size(of: $0) }
                try requireBlob(
                    body.update, upTo: size.map { BlobBounds.update(base: $0) } ?? .max)
                try requireBlob(
                    body.manifest, upTo: BlobBounds.manifest(examples: body.examples))
            case .referenceOffer(let body):
                try requireBlob(
                    body.records, upTo: BlobBounds.reference(count: body.count, rule))
            case .runStart(let body): try requireBlob(body.initialModel, upTo: .max)
            default: continue
            }
        }
        if let fault = changes.fault { throw fault }
    }

    private func requireBlob(_ name: some Collection<UInt8>, upTo maximum: UInt64) throws {
        guard let digest = Digest(name) else { return }
        guard let size = blobs.size(of: digest) else { throw BlobError.missing(digest) }
        guard size <= maximum else {
            throw BlobError.tooLarge(digest, bytes: size, maximum: maximum)
        }
    }
}
