import Cryptography
import Foundation
import Glibc
import Testing

import Storage

@Suite("Blobs")
final class BlobStoreTests {
    private let home: URL
    private let folder: String
    private let store: BlobStore

    init() throws {
        home = FileManager.default.temporaryDirectory.appending(path: "tally-\(UUID())")
        folder = home.path() + "/blobs"
        store = try BlobStore(folder: folder)
    }

    deinit { try? FileManager.default.removeItem(at: home) }

    private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 * 31 % 251) } }

    private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(filePath: path))
    }

    private func folderEntries(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder)
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test("bytes come back under their digest", arguments: [0, 1, 1 << 20, 3_000_001])
    func roundTrip(count: Int) throws {
        let content = bytes(count)
        let digest = try store.put(content)
        #expect(digest == Digest.sha256(content))
        #expect(try store.put(content) == digest)
        #expect(try store.read(digest) == content)
        #expect(store.contains(digest))
        #expect(store.size(of: digest) == UInt64(count))
        #expect(try store.all() == [digest])
        #expect(mode(folder) == 0o700)
        #expect(mode("\(folder)/\(digest)") == 0o600)
        #expect(try folderEntries(in: folder).filter { $0.hasPrefix(".put") } == [])
    }

    @Test("a file is copied in and its digest is that of its bytes")
    func file() throws {
        let content = bytes(2_500_000)
        try overwrite("\(folder)/../source", content)
        let digest = try store.put(fileAt: "\(folder)/../source")
        #expect(digest == Digest.sha256(content))
        #expect(try store.read(digest) == content)
        #expect(
            throws: BlobError.system(operation: "open", path: "/no/such/file", code: ENOENT)
        ) { try store.put(fileAt: "/no/such/file") }
    }

    @Test("a part is cut at the end of the blob")
    func parts() throws {
        let content = bytes(1_000)
        let digest = try store.put(content)
        #expect(try store.read(digest, offset: 0, length: 1_000) == content)
        #expect(try store.read(digest, offset: 990, length: 100) == Array(content[990...]))
        #expect(try store.read(digest, offset: 1_000, length: 1) == [])
        #expect(try store.read(digest, offset: .max, length: .max) == [])
        #expect(try store.read(digest, offset: 0, length: -1) == [])
    }

    @Test("missing and damaged blobs are told apart, and putting mends a damaged one")
    func faults() throws {
        let unknown = Digest.sha256([9])
        #expect(throws: BlobError.missing(unknown)) { try store.read(unknown) }
        #expect(throws: BlobError.missing(unknown)) {
            try store.read(unknown, offset: 0, length: 1)
        }
        #expect(store.size(of: unknown) == nil)
        let content = bytes(100)
        let digest = try store.put(content)
        try overwrite("\(folder)/\(digest)", bytes(99))
        #expect(throws: BlobError.damaged(digest)) { try store.read(digest) }
        #expect(try store.put(content) == digest)
        #expect(try store.read(digest) == content)
    }

    @Test("a transfer resumes in another store, and repeated pieces change nothing")
    func resumes() throws {
        let content = bytes(2_500_000)
        let digest = Digest.sha256(content)
        let size = UInt64(content.count)
        #expect(try store.beginPartial(digest, size: size) == 0)
        #expect(try store.appendPartial(digest, offset: 0, Array(content[..<1_000])) == 1_000)
        #expect(try store.appendPartial(digest, offset: 0, Array(content[..<1_000])) == 1_000)
        #expect(try store.appendPartial(digest, offset: 500, Array(content[500..<600])) == 1_000)
        #expect(try store.appendPartial(digest, offset: 900, Array(content[900..<2_000])) == 2_000)
        #expect(throws: BlobError.outOfPlace(digest, offset: 2_001, present: 2_000)) {
            try store.appendPartial(digest, offset: 2_001, [1])
        }
        #expect(throws: BlobError.outOfPlace(digest, offset: .max, present: 2_000)) {
            try store.appendPartial(digest, offset: .max, [1, 2])
        }
        #expect(throws: BlobError.incomplete(digest, present: 2_000, size: size)) {
            try store.finishPartial(digest)
        }
        #expect(!store.contains(digest))
        #expect(try store.all() == [])
        let later = try BlobStore(folder: folder)
        #expect(try later.beginPartial(digest, size: size) == 2_000)
        #expect(throws: BlobError.outOfPlace(digest, offset: 2_000, present: 2_000)) {
            try later.appendPartial(digest, offset: 2_000, bytes(content.count))
        }
        #expect(try later.appendPartial(digest, offset: 2_000, Array(content[2_000...])) == size)
        try later.finishPartial(digest)
        #expect(try later.read(digest) == content)
        try later.finishPartial(digest)
        #expect(try later.beginPartial(digest, size: size) == size)
        #expect(try later.appendPartial(digest, offset: 0, [1]) == size)
        #expect(
            try folderEntries(in: "\(folder)/partial").filter { $0.hasPrefix(digest.hex) } == [])
    }

    @Test("a transfer of other bytes is deleted and can begin again")
    func wrongContent() throws {
        let digest = Digest.sha256([1, 2, 3])
        _ = try store.beginPartial(digest, size: 3)
        _ = try store.appendPartial(digest, offset: 0, [1, 2, 4])
        #expect(
            throws: BlobError.wrongContent(expected: digest, found: Digest.sha256([1, 2, 4]))
        ) { try store.finishPartial(digest) }
        #expect(throws: BlobError.notBegun(digest)) { try store.finishPartial(digest) }
        #expect(throws: BlobError.notBegun(digest)) {
            try store.appendPartial(digest, offset: 0, [1])
        }
        #expect(try store.beginPartial(digest, size: 3) == 0)
        _ = try store.appendPartial(digest, offset: 0, [1, 2, 3])
        try store.finishPartial(digest)
        #expect(try store.read(digest) == [1, 2, 3])
    }

    @Test("the announced size is held to the caller's maximum and may be corrected")
    func sizes() throws {
        let digest = Digest.sha256([])
        #expect(throws: BlobError.tooLarge(digest, bytes: 11, maximum: 10)) {
            try store.beginPartial(digest, size: 11, maximum: 10)
        }
        #expect(throws: BlobError.tooLarge(digest, bytes: .max, maximum: .max)) {
            try store.beginPartial(digest, size: .max)
        }
        _ = try store.beginPartial(digest, size: 10, maximum: 10)
        _ = try store.appendPartial(digest, offset: 0, [1])
        #expect(try store.beginPartial(digest, size: 0, maximum: 10) == 0)
        try store.finishPartial(digest)
        #expect(try store.read(digest) == [])
    }

    @Test("what a crash left is removed, blobs and transfers stay")
    func leftovers() throws {
        let digest = try store.put([1])
        let coming = Digest.sha256([2])
        _ = try store.beginPartial(coming, size: 1)
        try overwrite("\(folder)/.put.1.2", [7])
        try store.removeLeftovers()
        #expect(try folderEntries(in: folder).sorted() == [digest.hex, "partial"])
        #expect(try store.appendPartial(coming, offset: 0, [2]) == 1)
    }

    @Test("an error of the disk names the file and the cause")
    func fullDisk() throws {
        let expected = BlobError.system(operation: "write", path: "/dev/full", code: ENOSPC)
        #expect(expected.description.contains("/dev/full: No space left on device; free space"))
        #expect(
            throws: BlobError.system(
                operation: "create the folder", path: "/dev/null/blobs/partial", code: ENOTDIR)
        ) { try BlobStore(folder: "/dev/null/blobs") }
    }
}
