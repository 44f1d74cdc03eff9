import Cryptography
import Foundation
import Storage
import Wire

/// The hash of a blob that arrives from its first byte to its last in one go.
///
/// It saves reading the file again; when anything else wrote to it there is no such hash.
struct RunningHash {
    private var hasher: SHA256?
    private var count: UInt64 = 0

    init(present: UInt64) { hasher = present == 0 ? SHA256() : nil }

    var digest: Digest? { hasher?.finalize() }

    /// Takes in a chunk after which that many bytes are present on the disk.
    mutating func add(_ chunk: EarlyChunks.Chunk, present: UInt64) {
        let end = chunk.offset + UInt64(chunk.content.count)
        guard chunk.offset <= count, end == present, present > count else {
            return hasher = nil
        }
        hasher?.update(chunk.content.dropFirst(Int(count - chunk.offset)))
        count = present
    }
}

/// Chunks that came before their predecessors.
struct EarlyChunks {
    typealias Chunk = (offset: UInt64, content: Data)

    private var contents: [UInt64: Data] = [:]

    var count: Int { contents.count }

    func contains(_ offset: UInt64) -> Bool { contents[offset] != nil }

    /// Adds a chunk; of two at one place the longer stays.
    mutating func insert(_ content: Data, at offset: UInt64) {
        guard contents[offset].map({ $0.count < content.count }) ?? true else { return }
        contents[offset] = content
    }

    /// Removes the first chunk, when it leaves no gap behind the bytes that are present.
    mutating func next(upTo present: UInt64) -> Chunk? {
        guard let offset = contents.keys.min(), offset <= present,
            let content = contents.removeValue(forKey: offset)
        else { return nil }
        return (offset, content)
    }
}

/// The queues on which this process reads blobs, and changes them.
///
/// One for all writers, so that two transfers of one blob never meet inside one of its files;
/// another for readers, who need not wait while an arrived blob is hashed.
enum BlobQueues {
    static let reading = QueueExecutor(label: "tally.blobs.reading")
    static let writing = QueueExecutor(label: "tally.blobs.writing")
}

actor BlobReader {
    private let store: BlobStore

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        BlobQueues.reading.asUnownedSerialExecutor()
    }

    init(_ store: BlobStore) { self.store = store }

    func all() throws -> [Digest] { try store.all() }

    func size(of digest: Digest) throws -> UInt64 {
        guard let size = store.size(of: digest) else { throw BlobError.missing(digest) }
        return size
    }

    func part(
        _ digest: Digest, _ offset: UInt64, _ length: Int
    ) throws -> (size: UInt64, content: Data) {
        (try size(of: digest), Data(try store.read(digest, offset: offset, length: length)))
    }

    /// The offer of a blob, or a chunk of it.
    func request(_ piece: Piece, of digest: Digest, _ size: UInt64) throws -> WireRequest {
        var request = WireRequest()
        switch piece {
        case .opening:
            request.blobOffer.digest = data(digest.bytes)
            request.blobOffer.size = size
        case .chunk(let offset, let length):
            let content = try store.read(digest, offset: offset, length: length)
            guard content.count == length else { throw BlobError.damaged(digest) }
            request.blobChunk.digest = data(digest.bytes)
            request.blobChunk.offset = offset
            request.blobChunk.content = data(content)
        }
        return request
    }

    /// - Throws: ``BlobError/damaged(_:)`` when the bytes no longer hash to the blob's name.
    func check(_ digest: Digest) throws {
        var hasher = SHA256()
        var offset: UInt64 = 0
        while case let piece = try store.read(digest, offset: offset, length: 1 << 20),
            !piece.isEmpty
        {
            hasher.update(piece)
            offset += UInt64(piece.count)
        }
        guard hasher.finalize() == digest else { throw BlobError.damaged(digest) }
    }
}

actor BlobWriter {
    private let store: BlobStore
    private var hash = RunningHash(present: .max)

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        BlobQueues.writing.asUnownedSerialExecutor()
    }

    init(_ store: BlobStore) { self.store = store }

    func contains(_ digest: Digest) -> Bool { store.contains(digest) }

    func discardDamaged(_ digest: Digest) throws { try store.discardDamaged(digest) }

    func begin(_ digest: Digest, size: UInt64, maximum: UInt64) throws -> UInt64 {
        let present = try store.beginPartial(digest, size: size, maximum: maximum)
        hash = RunningHash(present: present)
        return present
    }

    func append(_ digest: Digest, _ chunk: EarlyChunks.Chunk) throws -> UInt64 {
        let present = try store.appendPartial(
            digest, offset: chunk.offset, [UInt8](chunk.content))
        hash.add(chunk, present: present)
        return present
    }

    func finish(_ digest: Digest) throws {
        try store.finishPartial(digest, found: hash.digest)
    }
}
