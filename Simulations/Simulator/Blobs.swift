import Cryptography
import Ledger
import Replay
import Wire

/// Every blob that anybody made, by its digest; a disk's set says whose folder holds it.
///
/// Whoever asks for one gets it: how blobs travel is not simulated.
struct Blobs {
    /// The agreement's model, from which a run starts.
    let initialModel: Digest
    private var files: [Digest: [UInt8]] = [:]

    init(genesis: Genesis) throws {
        let model = try Replay.initialModel(of: genesis.agreement.training)
        initialModel = Digest.sha256(model)
        files[initialModel] = model
    }

    subscript(_ digest: Digest) -> [UInt8]? { files[digest] }

    mutating func put(_ bytes: [UInt8]) -> Digest {
        let digest = Digest.sha256(bytes)
        files[digest] = bytes
        return digest
    }

    /// Reads a blob of at most so many bytes; nil when it is longer.
    func read(_ digest: Digest, upTo maximum: UInt64) throws -> [UInt8]? {
        guard let bytes = files[digest] else { throw Refused("blobMissing", digest.hex) }
        return UInt64(bytes.count) <= maximum ? bytes : nil
    }
}
