package import Cryptography
import Foundation
import GRDB
import Glibc

/// Copies an SQLite file as it is at one moment, while its worker may be writing it.
///
/// The log that belongs to the file is taken in; the copy is on the disk when the call returns.
///
/// - Parameters:
///   - path: of the file.
///   - copy: a path where nothing is yet.
/// - Throws: ``StorageError``, or ``BlobError/system(operation:path:code:)``.
package func copyDatabase(at path: String, to copy: String) throws {
    guard FileManager.default.fileExists(atPath: path) else {
        throw StorageError.missing(path: path)
    }
    // So that the copy can be read by this user alone from its first byte.
    try BlobFile(copy, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600).synchronise()
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(10)
    let source: DatabaseQueue
    do {
        source = try DatabaseQueue(path: path, configuration: configuration)
    } catch let error as DatabaseError {
        throw StorageError.unreadable(path: path, reason: error.description)
    }
    do {
        let target = try DatabaseQueue(path: copy)
        try source.backup(to: target)
        try target.close()
        try source.close()
    } catch let error as DatabaseError {
        throw StorageError.failedWrite(path: copy, reason: error.description)
    }
    try BlobFile(copy, O_RDWR).synchronise()
}

/// Copies a file; the copy is on the disk, for this user alone, when the call returns.
///
/// - Parameters:
///   - path: of the file.
///   - copy: a path where nothing is yet.
/// - Returns: the hash of the bytes copied.
/// - Throws: ``BlobError/system(operation:path:code:)``.
package func copyFile(at path: String, to copy: String) throws -> Digest {
    let source = try BlobFile(path, O_RDONLY)
    let target = try BlobFile(copy, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    var hasher = SHA256()
    try source.forEachPiece(of: 1 << 20) { piece in
        hasher.update(piece)
        try target.write(piece)
    }
    try target.synchronise()
    return hasher.finalize()
}

/// Makes a folder and those above it, for this user alone.
///
/// - Throws: ``BlobError/system(operation:path:code:)``.
package func makeFolder(_ path: String) throws { try makeFolders(path) }

/// Names of the files in a folder, ascending; none when there is no folder.
///
/// - Throws: ``BlobError/system(operation:path:code:)``.
package func regularFiles(in folder: String) throws -> [String] {
    do {
        return try folderEntries(in: folder).filter { name in
            var status = stat()
            return lstat("\(folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        }.sorted()
    } catch BlobError.system(_, _, ENOENT) {
        return []
    }
}

/// Gives a folder or file another name, durably.
///
/// - Throws: ``BlobError/system(operation:path:code:)``.
package func renameDurably(_ path: String, to name: String) throws {
    guard Glibc.rename(path, name) == 0 else { throw blobFailure("rename", path) }
    let folder = URL(filePath: name).deletingLastPathComponent().path(percentEncoded: false)
    try synchroniseFolder(folder)
}
