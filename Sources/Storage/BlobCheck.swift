package import Cryptography
import Glibc

/// Reads a blob of a folder that is only looked at; nothing is made there.
///
/// - Parameters:
///   - digest: the blob.
///   - folder: of blobs.
///   - maximum: the longest blob that the caller bears, in bytes.
/// - Returns: nil when the blob is longer.
/// - Throws: ``BlobError/missing(_:)``, or ``BlobError/damaged(_:)`` when its bytes no longer hash
///   to its name.
package func readBlob(
    _ digest: Digest, in folder: String, upTo maximum: UInt64
) throws -> [UInt8]? {
    let file: BlobFile
    do {
        file = try BlobFile("\(folder)/\(digest.hex)", O_RDONLY)
    } catch BlobError.system(_, _, ENOENT) {
        throw BlobError.missing(digest)
    }
    let size = try file.size()
    guard size <= maximum else { return nil }
    let bytes = try file.read(at: 0, count: size)
    guard Digest.sha256(bytes) == digest else { throw BlobError.damaged(digest) }
    return bytes
}

/// What was found in a folder of blobs.
package struct BlobFolder: Sendable {
    /// Blobs whose bytes hash to their names.
    package fileprivate(set) var sound: Set<Digest> = []
    /// Paths, with what is wrong there.
    package fileprivate(set) var faults: [(path: String, reason: String)] = []
}

/// Hashes every blob of a folder; a folder that is not there holds none.
///
/// - Parameters:
///   - folder: of a node.
///   - progress: told after each blob how many are done, of how many.
/// - Returns: the blobs that are whole, and everything else.
package func checkBlobs(
    in folder: String, progress: (_ done: Int, _ total: Int) -> Void
) -> BlobFolder {
    var result = BlobFolder()
    let names: [String]
    do {
        // Transfers under way are no blobs yet, nor what a crash left of one.
        names = try folderEntries(in: folder).filter {
            ![".", "..", "arrived", "partial"].contains($0) && !$0.hasPrefix(".put.")
        }.sorted()
    } catch BlobError.system(_, _, ENOENT) {
        return result
    } catch {
        result.faults.append((folder, "\(error)"))
        return result
    }
    for (index, name) in names.enumerated() {
        let path = "\(folder)/\(name)"
        do {
            guard let digest = Digest(hex: name) else {
                result.faults.append((path, "the name is not a blob's"))
                continue
            }
            let found = try hashOfFile(at: path)
            if found == digest {
                result.sound.insert(digest)
            } else {
                result.faults.append((path, "the bytes hash to \(found), not to the name"))
            }
        } catch BlobError.system(_, _, ENOENT) {
            // Gone since the folder was listed.
        } catch { result.faults.append((path, "\(error)")) }
        progress(index + 1, names.count)
    }
    return result
}

private func hashOfFile(at path: String) throws -> Digest {
    var hasher = SHA256()
    try BlobFile(path, O_RDONLY).forEachPiece(of: 1 << 20) { hasher.update($0) }
    return hasher.finalize()
}
