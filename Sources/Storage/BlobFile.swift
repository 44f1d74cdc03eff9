import Glibc

/// An open file; every call is repeated when a signal interrupts it.
struct BlobFile: ~Copyable {
    private let descriptor: Int32
    private let path: String

    init(_ path: String, _ flags: Int32, mode: mode_t = 0) throws {
        descriptor = try uninterrupted("open", path) { open(path, flags | O_CLOEXEC, mode) }
        self.path = path
    }

    deinit { close(descriptor) }

    func size() throws -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw blobFailure("examine", path) }
        return UInt64(status.st_size)
    }

    /// Writes all bytes where the last write ended.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            written += try uninterrupted("write", path) {
                Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
        }
    }

    /// Writes all bytes at a place.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let place = off_t(offset) + off_t(written)
            written += try uninterrupted("write", path) {
                pwrite(descriptor, rest.baseAddress, rest.count, place)
            }
        }
    }

    /// - Returns: as many bytes as there are, at most `count`.
    func read(at offset: UInt64, count: UInt64) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
            let target = UnsafeMutableRawBufferPointer(buffer)
            filled = try read(into: target, at: offset)
        }
    }

    /// Reads the file from its beginning to its end, a piece at a time.
    func forEachPiece(of size: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        defer { piece.deallocate() }
        var offset: UInt64 = 0
        while true {
            let count = try read(into: piece, at: offset)
            guard count > 0 else { return }
            try body(UnsafeRawBufferPointer(rebasing: piece[..<count]))
            offset += UInt64(count)
        }
    }

    /// Returns when the bytes are on the disk.
    ///
    /// After an error nothing is known about them, and a second fsync would tell nothing either:
    /// as with the ledger, the error is final for the whole node.
    ///
    /// - Throws: ``StorageError/failedWrite(path:reason:)``.
    func synchronise() throws {
        do {
            _ = try uninterrupted("write to the disk", path) { fsync(descriptor) }
        } catch BlobError.system(_, _, let code) {
            throw StorageError.failedWrite(path: path, reason: String(cString: strerror(code)))
        }
    }

    private func read(into target: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        var filled = 0
        while filled < target.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[filled...])
            let place = off_t(offset) + off_t(filled)
            let count = try uninterrupted("read", path) {
                pread(descriptor, rest.baseAddress, rest.count, place)
            }
            guard count > 0 else { break }
            filled += count
        }
        return filled
    }
}

func blobFailure(_ operation: String, _ path: String) -> BlobError {
    .system(operation: operation, path: path, code: errno)
}

private func uninterrupted<Number: SignedInteger>(
    _ operation: String, _ path: String, _ call: () -> Number
) throws -> Number {
    while true {
        let result = call()
        if result >= 0 { return result }
        guard errno == EINTR else { throw blobFailure(operation, path) }
    }
}

/// Makes the folder and those above it, for this user alone.
func makeFolders(_ path: String) throws {
    guard mkdir(path, 0o700) != 0 else { return }
    if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
        try makeFolders(String(path[..<slash]))
        if mkdir(path, 0o700) == 0 { return }
    }
    let code = errno
    var status = stat()
    guard code == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw BlobError.system(operation: "create the folder", path: path, code: code)
    }
}

/// Returns when the folder's entries are on the disk.
package func synchroniseFolder(_ path: String) throws {
    try BlobFile(path, O_RDONLY | O_DIRECTORY).synchronise()
}

/// Removes a file; one that is gone already is no error.
func removeFile(_ path: String) throws {
    guard unlink(path) != 0, errno != ENOENT else { return }
    throw blobFailure("delete", path)
}

func folderEntries(in folder: String) throws -> [String] {
    guard let handle = opendir(folder) else { throw blobFailure("list", folder) }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        names.append(name)
    }
    return names
}
