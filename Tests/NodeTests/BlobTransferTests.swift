import Cryptography
import Dispatch
import Foundation
import Logging
import Messaging
import Node
import Storage
import Synchronization
import TestSupport
import Testing
import Wire

/// A folder that goes with its test, blobs, and processes that go with it, too.
private final class Site: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "tally-\(UUID())").path()
    let processes = ChildProcesses()

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func store(_ name: String) throws -> BlobStore { try BlobStore(folder: "\(path)/\(name)") }

    func start(_ command: String, _ folder: String, _ more: [String]) throws -> ChildProcess {
        let seed = ["--seed", path]
        return try processes.start(
            "blob-peer", [command, "--folder", "\(path)/\(folder)"] + seed + more)
    }

    /// A server process, and where it listens.
    func serve(
        _ folder: String, _ more: [String] = []
    ) async throws -> (process: ChildProcess, endpoint: String) {
        let process = try start("serve", folder, more)
        let line = try await process.line { $0.hasPrefix("endpoint ") }
        return (process, String(line.dropFirst("endpoint ".count)))
    }

    func partials(_ name: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(name)/partial")
    }
}

private func content(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    var words = [UInt64](repeating: 0, count: (count + 7) / 8)
    for index in words.indices { words[index] = random.next() }
    return words.withUnsafeBytes { Array($0.prefix(count)) }
}

/// The numbers after the word, of all lines that begin with it: the last of each line is summed.
private func bytes(_ word: String, in process: ChildProcess) -> Int {
    process.lines.filter { $0.hasPrefix(word + " ") }
        .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
}

/// The first number of a line such as `progress 3 7`.
private func doneBytes(_ line: String) -> Int {
    line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? -1
}

@Suite("Blob transfers between processes", .serialized)
struct BlobProcessTests {
    private static let size = 200_000_000
    /// What may be sent again after each interruption: a full window of chunks.
    private static let again = 10 << 20

    private let site = Site()

    @Test("an upload outlives SIGKILL of the sender and of the receiver")
    func upload() async throws {
        let digest = try site.store("here").put(content(Self.size, seed: 1))
        let arguments = { ["--endpoint", $0, digest.hex] }
        let first = try await site.serve("there", ["--delay", "20"])
        let sender = try site.start("send", "here", arguments(first.endpoint))
        _ = try await sender.line { doneBytes($0) > Self.size / 4 }
        sender.kill()
        #expect(try await sender.exit() == -SIGKILL)

        let again = try site.start("send", "here", arguments(first.endpoint))
        let resumed = try await again.line { $0.hasPrefix("progress ") }
        #expect(doneBytes(resumed) > Self.size / 4)
        _ = try await again.line { doneBytes($0) > Self.size / 2 }
        first.process.kill()
        #expect(try await first.process.exit() == -SIGKILL)
        #expect(try !site.store("there").contains(digest))

        let second = try await site.serve("there", ["--endpoint", first.endpoint])
        #expect(try await again.exit() == 0)
        #expect(again.lines.last == "done")
        #expect(try site.store("there").read(digest).count == Self.size)
        #expect(try site.partials("there") == [])
        let sent = bytes("chunk", in: first.process) + bytes("chunk", in: second.process)
        #expect(sent >= Self.size - Self.again)
        #expect(sent < Self.size + 2 * Self.again)
    }

    @Test("a download outlives SIGKILL of the receiver and of the sender")
    func download() async throws {
        let digest = try site.store("there").put(content(Self.size, seed: 2))
        let arguments = { ["--endpoint", $0, digest.hex] }
        let first = try await site.serve("there", ["--delay", "20"])
        let receiver = try site.start("fetch", "here", arguments(first.endpoint))
        _ = try await receiver.line { doneBytes($0) > Self.size / 4 }
        receiver.kill()
        #expect(try await receiver.exit() == -SIGKILL)

        let again = try site.start("fetch", "here", arguments(first.endpoint))
        let resumed = try await again.line { $0.hasPrefix("progress ") }
        #expect(doneBytes(resumed) > Self.size / 4)
        _ = try await again.line { doneBytes($0) > Self.size / 2 }
        first.process.kill()
        #expect(try await first.process.exit() == -SIGKILL)
        #expect(try !site.store("here").contains(digest))

        let second = try await site.serve("there", ["--endpoint", first.endpoint])
        #expect(try await again.exit() == 0)
        #expect(try site.store("here").read(digest).count == Self.size)
        #expect(try site.partials("here") == [])
        let sent = bytes("read", in: first.process) + bytes("read", in: second.process)
        #expect(sent >= Self.size)
        #expect(sent < Self.size + 2 * Self.again)
    }

    @Test("a full disk is told as such, keeps what arrived, and a later attempt succeeds")
    func fullDisk() async throws {
        let digest = try site.store("here").put(content(20 << 20, seed: 3))
        let full = try await site.serve("there", ["--file-limit", "\(9 << 20 | 4_321)"])
        let sender = try site.start("send", "here", ["--endpoint", full.endpoint, digest.hex])
        #expect(try await sender.exit() == 1)
        #expect(sender.lines.last?.hasPrefix("failed diskFull could not write ") == true)
        #expect(try site.store("there").beginPartial(digest, size: 20 << 20) == 9 << 20 | 4_321)
        full.process.kill()
        _ = try await full.process.exit()

        let roomy = try await site.serve("there", ["--endpoint", full.endpoint])
        let later = try site.start("send", "here", ["--endpoint", full.endpoint, digest.hex])
        #expect(try await later.exit() == 0)
        #expect(bytes("chunk", in: roomy.process) == (20 << 20) - (9 << 20 | 4_321))
        #expect(try site.store("there").contains(digest))
    }

    @Test("a key that is not registered gets nothing and is told why")
    func stranger() async throws {
        let digest = try site.store("here").put([1, 2, 3])
        let server = try await site.serve("there")
        let sender = try site.processes.start(
            "blob-peer",
            [
                "send", "--folder", "\(site.path)/here", "--seed", "stranger", "--overall", "1",
                "--endpoint", server.endpoint, digest.hex,
            ])
        #expect(try await sender.exit() == 1)
        #expect(sender.lines.last?.contains("was not transferred with tcp://") == true)
        #expect(!server.process.lines.contains { $0.hasPrefix("offer") })
    }
}

@Suite("Blob transfers")
struct BlobTransferTests {
    private let site = Site()

    private func offer(_ digest: Digest, _ size: UInt64) -> WireBlobOffer {
        var offer = WireBlobOffer()
        offer.digest = data(digest.bytes)
        offer.size = size
        return offer
    }

    private func chunk(_ digest: Digest, _ offset: Int, _ content: [UInt8]) -> WireBlobChunk {
        var chunk = WireBlobChunk()
        chunk.digest = data(digest.bytes)
        chunk.offset = UInt64(offset)
        chunk.content = data(content)
        return chunk
    }

    private func read(_ digest: Digest, _ offset: UInt64, _ length: UInt32) -> WireBlobRead {
        var read = WireBlobRead()
        read.digest = data(digest.bytes)
        read.offset = offset
        read.length = length
        return read
    }

    // MARK: One server, asked directly

    @Test(
        "chunks in any order, twice, by two senders and across restarts make the blob",
        arguments: UInt64(0)..<200)
    func anyOrder(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let bytes = content(Int.random(in: 0...4_000, using: &random), seed: seed)
        let digest = Digest.sha256(bytes)
        let store = try site.store("there")
        var server = BlobServer(store: store, maximum: 4_000, receives: true)
        // The slow, obvious rule: which bytes have come since the last restart, or lie before.
        var has = [Bool](repeating: false, count: bytes.count)
        var present = 0
        var steps = 0
        var finished = false
        while !finished {
            let opened = await server.answer(offer(digest, UInt64(bytes.count)))
            #expect(opened.blobProgress.received == UInt64(present), "replay with seed \(seed)")
            #expect((1...8).contains(opened.blobProgress.credit))
            finished = present == bytes.count
            for index in has.indices { has[index] = index < present }
            // Two senders with windows of a few chunks, shuffled, each chunk once or twice.
            var window: [(Int, Int)] = []
            for length in [Int.random(in: 1...200, using: &random), 97] {
                for index in 0..<4 where present + index * length < bytes.count {
                    let start = present + index * length
                    window.append((start, min(start + length, bytes.count)))
                }
            }
            window += window.filter { _ in Bool.random(using: &random) }
            window.shuffle(using: &random)
            for (start, end) in window.prefix(Int.random(in: 1...16, using: &random)) {
                let answer = await server.answer(chunk(digest, start, Array(bytes[start..<end])))
                for index in start..<end { has[index] = true }
                present = has.firstIndex(of: false) ?? has.count
                #expect(
                    answer.blobProgress.received == UInt64(present), "replay with seed \(seed)")
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                server = BlobServer(store: store, maximum: 4_000, receives: true)
            }
            steps += 1
            try #require(steps < 10_000)
        }
        #expect(try store.read(digest) == bytes)
        #expect(try site.partials("there") == [])
        let again = await server.answer(chunk(digest, 0, [9]))
        #expect(again.blobProgress.received == UInt64(bytes.count))
    }

    @Test("chunks far ahead of their turn are not held without bound")
    func boundedMemory() async throws {
        let digest = Digest.sha256([7])
        let server = BlobServer(store: try site.store("there"), maximum: 1_000, receives: true)
        _ = await server.answer(offer(digest, 100))
        for index in 1..<100 {
            let answer = await server.answer(chunk(digest, index, [UInt8(index)]))
            #expect(answer.blobProgress.received == 0)
        }
        let answer = await server.answer(chunk(digest, 0, [0]))
        #expect(answer.blobProgress.received == 9, "eight were held")
    }

    @Test("the credit is shared among the blobs that arrive")
    func sharedCredit() async throws {
        let server = BlobServer(store: try site.store("there"), maximum: 1_000, receives: true)
        var credits: [UInt32] = []
        for index in UInt8(0)..<20 {
            let answer = await server.answer(offer(Digest.sha256([index]), 100))
            credits.append(answer.blobProgress.credit)
        }
        #expect(credits == [8, 8, 5, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    }

    @Test("a wrong chunk ends in blobDamaged and nothing of it stays")
    func damaged() async throws {
        let bytes = content(3_000, seed: 5)
        let digest = Digest.sha256(bytes)
        let store = try site.store("there")
        let server = BlobServer(store: store, maximum: 4_000, receives: true)
        _ = await server.answer(offer(digest, 3_000))
        var wrong = bytes
        wrong[1_500] ^= 1
        let half = await server.answer(chunk(digest, 0, Array(wrong[..<2_000])))
        #expect(half.blobProgress.received == 2_000)
        let end = await server.answer(chunk(digest, 2_000, Array(wrong[2_000...])))
        #expect(end.failure.code == "blobDamaged")
        #expect(end.failure.message.contains(digest.hex))
        #expect(try site.partials("there") == [])
        #expect(!store.contains(digest))
        let lost = await server.answer(chunk(digest, 0, bytes))
        #expect(lost.failure.code == "blobNotBegun")
        let anew = await server.answer(offer(digest, 3_000))
        #expect(anew.blobProgress.received == 0)
        let whole = await server.answer(chunk(digest, 0, bytes))
        #expect(whole.blobProgress.received == 3_000)
        #expect(try store.read(digest) == bytes)
    }

    @Test("an offer with another size cannot undo a transfer that is going on")
    func otherSize() async throws {
        let digest = Digest.sha256([1, 2, 3])
        let server = BlobServer(store: try site.store("there"), maximum: 10, receives: true)
        _ = await server.answer(offer(digest, 3))
        _ = await server.answer(chunk(digest, 0, [1, 2]))
        let other = await server.answer(offer(digest, 4))
        #expect(other.failure.code == "blobInTransfer")
        let end = await server.answer(chunk(digest, 2, [3]))
        #expect(end.blobProgress.received == 3)
    }

    @Test("every refusal has its code and a sentence")
    func refusals() async throws {
        let store = try site.store("there")
        let held = try store.put([1, 2, 3])
        let digest = Digest.sha256([4])
        let server = BlobServer(store: store, maximum: 10, receives: true)
        let closed = BlobServer(store: store, maximum: 10, receives: false)
        _ = await server.answer(offer(Digest.sha256([5]), 2))
        var unnamed = offer(digest, 1)
        unnamed.digest = Data([1, 2])
        let largest = BlobServer.largestChunk
        let long = chunk(digest, 0, [UInt8](repeating: 0, count: largest + 1))
        let table: [(WireResponse, String)] = [
            (await server.answer(offer(digest, 11)), "blobTooLarge"),
            (await server.answer(offer(digest, .max)), "blobTooLarge"),
            (await server.answer(unnamed), "malformedRequest"),
            (await server.answer(long), "malformedRequest"),
            (await server.answer(chunk(digest, 0, [4])), "blobNotBegun"),
            (await server.answer(chunk(Digest.sha256([5]), 0, [1, 2, 3])), "blobOutOfPlace"),
            (await server.answer(chunk(Digest.sha256([5]), .max, [1])), "blobOutOfPlace"),
            (await server.answer(read(digest, 0, 1)), "blobMissing"),
            (await server.answer(read(held, 0, UInt32(largest) + 1)), "malformedRequest"),
            (await closed.answer(offer(digest, 1)), "notReceiving"),
            (await closed.answer(chunk(digest, 0, [4])), "notReceiving"),
        ]
        for (answer, code) in table {
            #expect(answer.failure.code == code)
            #expect(answer.failure.message.count > 20, "\(code)")
        }
        #expect(try !site.partials("there").contains { $0.hasPrefix(digest.hex) })
        let part = await closed.answer(read(held, 1, UInt32(largest)))
        #expect(part.blobContent.content == Data([2, 3]))
        #expect(part.blobContent.size == 3)
        let size = await closed.answer(read(held, 0, 0))
        #expect(size.blobContent.size == 3)
        let beyond = await closed.answer(read(held, .max, 1))
        #expect(beyond.blobContent.content.isEmpty)
    }
}
