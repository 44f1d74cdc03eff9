package import Cryptography
import Glibc

/// Whose transfer a blob arrives by: a member may send whatever bytes it likes, so nobody's transfer
/// takes another's bytes.
package struct BlobOwner: Hashable, Sendable {
    /// This node itself, which fetches.
    package static let node = Self(suffix: "")

    fileprivate let name: String

    /// - Parameter account: `role/name`, as CURVE vouches for it; no file name holds its slash.
    package init(account: String) {
        name = String(account.map { $0 == "/" ? "+" : $0 })
    }

    fileprivate init(suffix: String) { name = suffix }

    fileprivate var suffix: String { name.isEmpty ? "" : ".\(name)" }
}

/// Files named by the SHA-256 of their content, in one folder.
///
/// A file gets its name only after its bytes are on the disk: temporary name, fsync, rename,
/// directory fsync. So a crash leaves a whole blob or none. Transfers in pieces grow in
/// `partial/` and go on where they stopped, also in another process. A failed fsync is a
/// ``StorageError``: whoever gets it stops the node, and the store makes no other one.
///
/// Every call does its work on the disk before it returns; call it off the cooperative pool.
package struct BlobStore: Sendable {
    /// The piece in which files are hashed and copied, in bytes.
    private static let pieceSize = 1 << 20

    package let folder: String
    private let partialFolder: String
    private let syncs = SyncQueue()

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
            try syncs.synchronise(folder: folder)
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

    /// The whole blob, if it is not longer than the caller bears; nil when it is.
    package func read(_ digest: Digest, upTo maximum: UInt64) throws -> [UInt8]? {
        if let size = size(of: digest), size > maximum { return nil }
        return try read(digest)
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
    ///   - owner: whose transfer it is; nobody else adds to it.
    /// - Returns: the bytes that are here already, at which the sender goes on; the blob's own size
    ///   when it is here, whatever the sender says.
    /// - Throws: ``BlobError/tooLarge(_:bytes:maximum:)`` or a system error.
    package func beginPartial(
        _ digest: Digest, size: UInt64, maximum: UInt64 = .max, of owner: BlobOwner = .node
    ) throws -> UInt64 {
        if let present = self.size(of: digest) { return present }
        guard size <= min(maximum, UInt64(Int64.max)) else {
            throw BlobError.tooLarge(digest, bytes: size, maximum: maximum)
        }
        if let begun = try partial(of: digest, owner), begun.size != size {
            try removeFile(begun.path)
        }
        let file = try BlobFile(
            "\(partialFolder)/\(digest.hex).\(size)\(owner.suffix)", O_RDWR | O_CREAT, mode: 0o600)
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
    ///   - owner: whose transfer it is.
    /// - Returns: the length present now.
    /// - Throws: ``BlobError/notBegun(_:)``, ``BlobError/outOfPlace(_:offset:present:)`` for a
    ///   gap or a piece beyond the announced size, or a system error.
    package func appendPartial(
        _ digest: Digest, offset: UInt64, _ bytes: [UInt8], of owner: BlobOwner = .node
    ) throws -> UInt64 {
        guard let begun = try partial(of: digest, owner) else {
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
    ///   - owner: whose transfer it is; the transfers of others for the same blob are deleted.
    /// - Throws: ``BlobError/incomplete(_:present:size:)``; ``BlobError/wrongContent(expected:found:)``
    ///   after deleting bytes that are not this blob's; or a system error.
    package func finishPartial(
        _ digest: Digest, found: Digest? = nil, of owner: BlobOwner = .node
    ) throws {
        guard let begun = try partial(of: digest, owner) else {
            guard contains(digest) else { throw BlobError.notBegun(digest) }
            return try syncs.synchronise(folder: folder)
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
            try syncs.synchronise(file)
        } catch {
            // The next process would read the bytes from memory and take them to be on the disk.
            unlink(begun.path)
            throw error
        }
        try rename(begun.path, digest)
        for other in try partials() where other.digest == digest { try removeFile(other.path) }
    }

    /// A transfer that is not complete.
    package struct Partial: Hashable, Sendable {
        package let digest: Digest
        package let owner: BlobOwner
        /// The length that the sender announced, in bytes.
        package let size: UInt64
        /// When it last grew, in nanoseconds since 1970.
        package let grewAt: Int64
        fileprivate let path: String
    }

    /// All transfers that are not complete, in no order.
    package func partials() throws -> [Partial] {
        try folderEntries(in: partialFolder).compactMap { name in
            guard let (digest, size, owner) = Self.parts(of: name) else { return nil }
            let path = "\(partialFolder)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            let grewAt = Int64(status.st_mtim.tv_sec) &* 1_000_000_000
            return Partial(
                digest: digest, owner: owner, size: size,
                grewAt: grewAt &+ Int64(status.st_mtim.tv_nsec), path: path)
        }
    }

    /// Gives up a transfer; what came of it is deleted.
    package func remove(_ partial: Partial) throws { try removeFile(partial.path) }

    /// The parts of a transfer's name: `<digest>.<size>`, and `.<owner>` when it is a member's.
    private static func parts(of name: String) -> (Digest, UInt64, BlobOwner)? {
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, let digest = Digest(hex: String(parts[0])),
            let size = UInt64(parts[1])
        else { return nil }
        return (digest, size, BlobOwner(suffix: parts.count == 3 ? String(parts[2]) : ""))
    }

    private func hash(of file: borrowing BlobFile) throws -> Digest {
        var hasher = SHA256()
        try file.forEachPiece(of: Self.pieceSize) { hasher.update($0) }
        return hasher.finalize()
    }

    // MARK: Who sent what

    /// Notes that a blob came from a member, so that what nobody names counts against it.
    ///
    /// A note that a crash loses costs no more than one blob that is not counted.
    package func note(_ digest: Digest, of owner: BlobOwner) throws {
        try makeFolders("\(folder)/arrived")
        _ = try BlobFile(
            "\(folder)/arrived/\(digest.hex)\(owner.suffix)", O_WRONLY | O_CREAT, mode: 0o600)
    }

    /// The blobs that are noted as a member's, and their bytes; those that are gone have none.
    package func noted(of owner: BlobOwner) throws -> [Digest: UInt64] {
        let names: [String]
        do { names = try folderEntries(in: "\(folder)/arrived") } catch BlobError.system(
            _, _, ENOENT)
        { return [:] }
        var noted: [Digest: UInt64] = [:]
        for name in names where name.dropFirst(64) == owner.suffix {
            guard let digest = Digest(hex: String(name.prefix(64))) else { continue }
            noted[digest] = size(of: digest) ?? 0
        }
        return noted
    }

    package func forgetNote(of digest: Digest, _ owner: BlobOwner) throws {
        try removeFile("\(folder)/arrived/\(digest.hex)\(owner.suffix)")
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

    /// A transfer's file, whose name carries the announced size.
    private func partial(
        of digest: Digest, _ owner: BlobOwner
    ) throws -> (path: String, size: UInt64)? {
        for name in try folderEntries(in: partialFolder) where name.hasPrefix("\(digest.hex).") {
            guard let parts = Self.parts(of: name), parts.2 == owner else { continue }
            return ("\(partialFolder)/\(name)", parts.1)
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
            try syncs.synchronise(file)
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
            try syncs.synchronise(folder: folder)
        } catch {
            // A name that may be lost with the power must not be relied upon by the next process.
            unlink(self.path(digest))
            throw error
        }
    }
}
