package import Cryptography
import Glibc

/// Why a blob could not be kept or found; names the blob or the file.
package enum BlobError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(Digest)
    /// The file's bytes no longer hash to its name.
    case damaged(Digest)
    case tooLarge(Digest, bytes: UInt64, maximum: UInt64)
    /// No transfer of this blob was begun.
    case notBegun(Digest)
    /// A piece that does not follow on what is there, or that goes beyond the blob's end.
    case outOfPlace(Digest, offset: UInt64, present: UInt64)
    case incomplete(Digest, present: UInt64, size: UInt64)
    /// All bytes came and they are another blob's; they were deleted.
    case wrongContent(expected: Digest, found: Digest)
    /// The system refused an operation; `code` is its errno.
    case system(operation: String, path: String, code: Int32)

    package var description: String {
        switch self {
        case .missing(let digest):
            "blob \(digest) is not in this store; fetch it from another member"
        case .damaged(let digest):
            "blob \(digest) is damaged on this disk; fetch it again from another member"
        case .tooLarge(let digest, let bytes, let maximum):
            "blob \(digest) is announced with \(bytes) bytes; at most \(maximum) are taken"
        case .notBegun(let digest):
            "no transfer of blob \(digest) was begun; begin it again"
        case .outOfPlace(let digest, let offset, let present):
            "a piece of blob \(digest) at byte \(offset) does not fit; go on at byte \(present)"
        case .incomplete(let digest, let present, let size):
            "blob \(digest) has \(present) of \(size) bytes; go on at byte \(present)"
        case .wrongContent(let expected, let found):
            "the bytes sent as blob \(expected) are \(found); they were deleted, fetch it again"
        case .system(let operation, let path, let code):
            "could not \(operation) \(path): \(String(cString: strerror(code)))"
                + (code == ENOSPC || code == EDQUOT ? "; free space on that disk first" : "")
        }
    }
}

/// Files named by the SHA-256 of their content, in one folder.
///
/// A file gets its name only after its bytes are on the disk: temporary name, fsync, rename,
/// directory fsync. So a crash leaves a whole blob or none. Transfers in pieces grow in
/// `partial/` and go on where they stopped, also in another process. A failed fsync is a
/// ``StorageError``: whoever gets it stops the node.
///
/// Every call does its work on the disk before it returns; call it off the cooperative pool.
package struct BlobStore: Sendable {
    /// The piece in which files are hashed and copied, in bytes.
    private static let pieceSize = 1 << 20

    package let folder: String
    private let partialFolder: String

    /// Opens the folder, and makes it with mode 0700 when there is none.
    ///
    /// - Throws: ``BlobError/system(operation:path:code:)``.
    package init(folder: String) throws {
        self.folder = folder
        partialFolder = "\(folder)/partial"
        try makeFolders(partialFolder)
    }

    // MARK: Whole blobs

    /// Keeps the bytes; the same bytes again cost one check of the file that is there.
    package func put(_ bytes: [UInt8]) throws -> Digest {
        let digest = Digest.sha256(bytes)
        if (try? read(digest)) != nil {
            try synchroniseFolder(folder)
            return digest
        }
        return try keep { file in
            try bytes.withUnsafeBytes { try file.write($0) }
            return digest
        }
    }

    /// Keeps a copy of a file, hashed while it is copied.
    package func put(fileAt path: String) throws -> Digest {
        let source = try BlobFile(path, O_RDONLY)
        var hasher = SHA256()
        return try keep { file in
            try source.forEachPiece(of: Self.pieceSize) { piece in
                hasher.update(piece)
                try file.write(piece)
            }
            return hasher.finalize()
        }
    }

    /// The whole blob.
    ///
    /// - Throws: ``BlobError/missing(_:)``, or ``BlobError/damaged(_:)`` when its bytes no
    ///   longer hash to its name.
    package func read(_ digest: Digest) throws -> [UInt8] {
        let file = try open(digest)
        let bytes = try file.read(at: 0, count: file.size())
        guard Digest.sha256(bytes) == digest else { throw BlobError.damaged(digest) }
        return bytes
    }

    /// A part of a blob, for a transfer; the receiver checks the hash of the whole.
    ///
    /// - Parameters:
    ///   - digest: the blob.
    ///   - offset: the first byte wanted.
    ///   - length: the bytes wanted at most; what lies beyond the end is left out.
    /// - Returns: the bytes, none when the offset is at the end or beyond it.
    /// - Throws: ``BlobError/missing(_:)`` or ``BlobError/system(operation:path:code:)``.
    package func read(_ digest: Digest, offset: UInt64, length: Int) throws -> [UInt8] {
        let file = try open(digest)
        let size = try file.size()
        guard offset < size, length > 0 else { return [] }
        return try file.read(at: offset, count: min(UInt64(length), size - offset))
    }

    package func contains(_ digest: Digest) -> Bool { size(of: digest) != nil }

    /// The bytes of a blob, or nil when it is not here.
    package func size(of digest: Digest) -> UInt64? {
        var status = stat()
        guard stat(path(digest), &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return UInt64(status.st_size)
    }

    /// Every blob here, in the order of their digests.
    package func all() throws -> [Digest] {
        try folderEntries(in: folder).compactMap { Digest(hex: $0) }.sorted()
    }

    // MARK: Blobs in pieces

    /// Begins a transfer, or takes up one that was interrupted.
    ///
    /// - Parameters:
    ///   - digest: the blob that is to come.
    ///   - size: its length in bytes, as the sender says.
    ///   - maximum: the longest blob the caller takes.
    /// - Returns: the bytes that are here already, at which the sender goes on; all of them when
    ///   the blob itself is here.
    /// - Throws: ``BlobError/tooLarge(_:bytes:maximum:)`` or a system error.
    package func beginPartial(
        _ digest: Digest, size: UInt64, maximum: UInt64 = .max
    ) throws -> UInt64 {
        guard size <= min(maximum, UInt64(Int64.max)) else {
            throw BlobError.tooLarge(digest, bytes: size, maximum: maximum)
        }
        if let present = self.size(of: digest), present == size { return size }
        if let begun = try partial(of: digest), begun.size != size { try removeFile(begun.path) }
        let file = try BlobFile(
            "\(partialFolder)/\(digest.hex).\(size)", O_RDWR | O_CREAT, mode: 0o600)
        return try file.size()
    }

    /// Adds a piece of a transfer; a piece that is here already changes nothing.
    ///
    /// A power failure may leave zeros in what was received; the hash at the end finds them.
    ///
    /// - Parameters:
    ///   - digest: the blob.
    ///   - offset: where the piece begins, at most the length present.
    ///   - bytes: the piece.
    /// - Returns: the length present now.
    /// - Throws: ``BlobError/notBegun(_:)``, ``BlobError/outOfPlace(_:offset:present:)`` for a
    ///   gap or a piece beyond the announced size, or a system error.
    package func appendPartial(
        _ digest: Digest, offset: UInt64, _ bytes: [UInt8]
    ) throws -> UInt64 {
        guard let begun = try partial(of: digest) else {
            if let size = size(of: digest) { return size }
            throw BlobError.notBegun(digest)
        }
        let file = try BlobFile(begun.path, O_RDWR)
        let present = try file.size()
        let (end, overflow) = offset.addingReportingOverflow(UInt64(bytes.count))
        guard offset <= present, !overflow, end <= begun.size else {
            throw BlobError.outOfPlace(digest, offset: offset, present: present)
        }
        guard end > present else { return present }
        try bytes.withUnsafeBytes { piece in
            try file.write(
                UnsafeRawBufferPointer(rebasing: piece[Int(present - offset)...]), at: present)
        }
        return end
    }

    /// Checks a transfer that is complete and gives the blob its name.
    ///
    /// - Parameters:
    ///   - digest: the blob.
    ///   - found: the digest of all bytes appended, when the caller hashed them as they came;
    ///     else the file is read for it.
    /// - Throws: ``BlobError/incomplete(_:present:size:)``; ``BlobError/wrongContent(expected:found:)``
    ///   after deleting bytes that are not this blob's; or a system error.
    package func finishPartial(_ digest: Digest, found: Digest? = nil) throws {
        guard let begun = try partial(of: digest) else {
            guard contains(digest) else { throw BlobError.notBegun(digest) }
            return try synchroniseFolder(folder)
        }
        let file = try BlobFile(begun.path, O_RDWR)
        let present = try file.size()
        guard present == begun.size else {
            throw BlobError.incomplete(digest, present: present, size: begun.size)
        }
        let found = try found ?? hash(of: file)
        guard found == digest else {
            try removeFile(begun.path)
            throw BlobError.wrongContent(expected: digest, found: found)
        }
        do {
            try file.synchronise()
        } catch {
            // The next process would read the bytes from memory and take them to be on the disk.
            unlink(begun.path)
            throw error
        }
        try rename(begun.path, digest)
    }

    private func hash(of file: borrowing BlobFile) throws -> Digest {
        var hasher = SHA256()
        try file.forEachPiece(of: Self.pieceSize) { hasher.update($0) }
        return hasher.finalize()
    }

    /// Deletes the temporary files that a crash left; only for the one process that writes here.
    package func removeLeftovers() throws {
        for name in try folderEntries(in: folder) where name.hasPrefix(".put.") {
            try removeFile("\(folder)/\(name)")
        }
    }

    /// Deletes a blob whose bytes no longer hash to its name, so that it can be fetched again.
    ///
    /// - Returns: whether there was such a file.
    @discardableResult
    package func discardDamaged(_ digest: Digest) throws -> Bool {
        guard contains(digest), try hash(of: open(digest)) != digest else { return false }
        try removeFile(path(digest))
        try synchroniseFolder(folder)
        return true
    }

    // MARK: Files

    private func path(_ digest: Digest) -> String { "\(folder)/\(digest.hex)" }

    private func open(_ digest: Digest) throws -> BlobFile {
        do {
            return try BlobFile(path(digest), O_RDONLY)
        } catch BlobError.system(_, _, ENOENT) {
            throw BlobError.missing(digest)
        }
    }

    /// A transfer's file, whose name carries the announced size: `<digest>.<size>`.
    private func partial(of digest: Digest) throws -> (path: String, size: UInt64)? {
        for name in try folderEntries(in: partialFolder) where name.hasPrefix("\(digest.hex).") {
            guard let size = UInt64(name.dropFirst(65)) else { continue }
            return ("\(partialFolder)/\(name)", size)
        }
        return nil
    }

    /// Writes a temporary file, and renames it to the digest of its bytes once it is on the disk.
    private func keep(
        _ write: (borrowing BlobFile) throws -> Digest
    ) throws -> Digest {
        let temporary = "\(folder)/.put.\(getpid()).\(UInt64.random(in: 0 ... .max))"
        let file = try BlobFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        do {
            let digest = try write(file)
            try file.synchronise()
            try rename(temporary, digest)
            return digest
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func rename(_ path: String, _ digest: Digest) throws {
        guard Glibc.rename(path, self.path(digest)) == 0 else { throw blobFailure("rename", path) }
        do {
            try synchroniseFolder(folder)
        } catch {
            // A name that may be lost with the power must not be relied upon by the next process.
            unlink(self.path(digest))
            throw error
        }
    }
}
