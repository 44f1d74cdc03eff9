import Cryptography
import Foundation
import Node
import Storage
import Synchronization
import Testing
import Wire

/// What the chain names.
private final class NamedBlobs: Sendable {
    private let kept = Mutex<Set<Digest>>([])

    var digests: Set<Digest> { kept.withLock { $0 } }
    func name(_ digest: Digest) { kept.withLock { _ = $0.insert(digest) } }
}

/// What one account may do to another's uploads, and to the disk: nothing, and so much.
struct BlobLimitTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "tally-\(UUID())").path()
    private let good: [UInt8] = [1, 2, 3, 4]

    private func withStore(
        _ body: (BlobStore) async throws -> Void
    ) async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(BlobStore(folder: folder))
    }

    private func offer(_ digest: Digest, _ size: Int) -> WireBlobOffer {
        var offer = WireBlobOffer()
        offer.digest = data(digest.bytes)
        offer.size = UInt64(size)
        return offer
    }

    private func chunk(_ digest: Digest, _ offset: Int, _ content: [UInt8]) -> WireBlobChunk {
        var chunk = WireBlobChunk()
        chunk.digest = data(digest.bytes)
        chunk.offset = UInt64(offset)
        chunk.content = data(content)
        return chunk
    }

    /// Sends a whole blob; the answer to its only chunk, or to an offer that was refused.
    private func send(
        _ content: [UInt8], to server: BlobServer, from account: String
    ) async -> WireResponse {
        let digest = Digest.sha256(content)
        let opened = await server.answer(offer(digest, content.count), from: account)
        guard case .blobProgress = opened.body else { return opened }
        return await server.answer(chunk(digest, 0, content), from: account)
    }

    @Test("another account's wrong bytes, sizes and early chunks do not touch an upload")
    func separate() async throws {
        try await withStore { (store: BlobStore) async throws -> Void in
            let digest = Digest.sha256(good)
            let server = BlobServer(store: store, limits: BlobLimits(blob: 10), receives: true)
            let liar = "site/liar"
            let begun = await server.answer(offer(digest, 9), from: liar)
            #expect(begun.blobProgress.received == 0)
            _ = await server.answer(chunk(digest, 0, [9, 9, 9]), from: liar)
            _ = await server.answer(chunk(digest, 5, [9]), from: liar)
            let mine = await server.answer(offer(digest, 4), from: "site/north")
            #expect(mine.blobProgress.received == 0, "nothing of it is here: \(mine)")
            let half = await server.answer(chunk(digest, 0, [1, 2]), from: "site/north")
            #expect(half.blobProgress.received == 2)
            let wrong = await server.answer(chunk(digest, 3, [7, 7, 7, 7, 7, 7]), from: liar)
            #expect(wrong.failure.code == "blobDamaged")
            let whole = await server.answer(chunk(digest, 2, [3, 4]), from: "site/north")
            #expect(whole.blobProgress.received == 4)
            #expect(try store.read(digest) == good)
            #expect(try store.partials().isEmpty)
        }
    }

    @Test("a blob that is here is answered with its own size, whatever an offer says")
    func present() async throws {
        try await withStore { (store: BlobStore) async throws -> Void in
            let digest = try store.put(good)
            let server = BlobServer(store: store, limits: BlobLimits(blob: 10), receives: true)
            for size in [4, 9, 1_000] {
                let answer = await server.answer(offer(digest, size), from: "site/liar")
                #expect(answer.blobProgress.received == 4)
            }
            let more = await server.answer(chunk(digest, 4, [5, 6]), from: "site/liar")
            #expect(more.blobProgress.received == 4)
            #expect(try store.read(digest) == good)
            #expect(try store.partials().isEmpty)
        }
    }

    @Test("a flood of transfers drives out its own oldest ones and nobody else's")
    func transfers() async throws {
        try await withStore { (store: BlobStore) async throws -> Void in
            let limits = BlobLimits(blob: 10, unnamed: 1_000, transfers: 4)
            let server = BlobServer(store: store, limits: limits, receives: true)
            let digest = Digest.sha256(good)
            _ = await server.answer(offer(digest, 4), from: "site/north")
            _ = await server.answer(chunk(digest, 0, [1, 2, 3]), from: "site/north")
            for index in UInt8(0)..<40 {
                let answer = await server.answer(
                    offer(Digest.sha256([index]), 10), from: "site/flood")
                #expect(answer.blobProgress.credit > 0)
            }
            let owners = try store.partials().map(\.owner)
            #expect(owners.count { $0 == BlobOwner(account: "site/flood") } == 4)
            let end = await server.answer(chunk(digest, 3, [4]), from: "site/north")
            #expect(end.blobProgress.received == 4)
        }
    }

    @Test("bytes that no transaction names are refused above the limit, until one names them")
    func unnamed() async throws {
        try await withStore { (store: BlobStore) async throws -> Void in
            let named = NamedBlobs()
            let limits = BlobLimits(blob: 10, unnamed: 10)
            func server() -> BlobServer {
                BlobServer(
                    store: store, limits: limits, receives: true,
                    named: { named.digests })
            }
            let first = server()
            for content in [[1, 1, 1, 1], [2, 2, 2, 2]] as [[UInt8]] {
                let answer = await send(content, to: first, from: "site/flood")
                #expect(answer.blobProgress.received == 4)
            }
            // Announced bytes count as well, and a restart forgets nothing.
            let coming = await first.answer(offer(Digest.sha256([5]), 2), from: "site/flood")
            #expect(coming.blobProgress.received == 0)
            let second = server()
            let refused = await second.answer(offer(Digest.sha256([6]), 1), from: "site/flood")
            #expect(refused.failure.code == "quotaExceeded")
            #expect(refused.failure.message.contains("no transaction names"))
            let other = await send(good, to: second, from: "site/north")
            #expect(other.blobProgress.received == 4)
            named.name(Digest.sha256([1, 1, 1, 1]))
            let later = await send([6], to: second, from: "site/flood")
            #expect(later.blobProgress.received == 1)
        }
    }
}
