import Cryptography
import Dispatch
import Foundation
import Logging
import Messaging
import Node
import Processes
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

extension BlobServer {
    fileprivate init(store: BlobStore, maximum: UInt64, receives: Bool) {
        self.init(store: store, limits: BlobLimits(blob: maximum), receives: receives)
    }

    fileprivate func answer(_ offer: WireBlobOffer) async -> WireResponse {
        await answer(offer, from: "site/client")
    }

    fileprivate func answer(_ chunk: WireBlobChunk) async -> WireResponse {
        await answer(chunk, from: "site/client")
    }
}

/// Whose transfers the servers of these tests take.
private let client = BlobOwner(account: "site/client")

@Suite("Blob transfers between processes", .serialized, .timeLimit(.minutes(5)))
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
        sender.signal(SIGKILL)
        #expect(try await sender.ended().status == -SIGKILL)

        let again = try site.start("send", "here", arguments(first.endpoint))
        let resumed = try await again.line { $0.hasPrefix("progress ") }
        #expect(doneBytes(resumed) > Self.size / 4)
        _ = try await again.line { doneBytes($0) > Self.size / 2 }
        first.process.signal(SIGKILL)
        #expect(try await first.process.ended().status == -SIGKILL)
        #expect(try !site.store("there").contains(digest))

        let second = try await site.serve("there", ["--endpoint", first.endpoint])
        #expect(try await again.ended().status == 0)
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
        receiver.signal(SIGKILL)
        #expect(try await receiver.ended().status == -SIGKILL)

        let again = try site.start("fetch", "here", arguments(first.endpoint))
        let resumed = try await again.line { $0.hasPrefix("progress ") }
        #expect(doneBytes(resumed) > Self.size / 4)
        _ = try await again.line { doneBytes($0) > Self.size / 2 }
        first.process.signal(SIGKILL)
        #expect(try await first.process.ended().status == -SIGKILL)
        #expect(try !site.store("here").contains(digest))

        let second = try await site.serve("there", ["--endpoint", first.endpoint])
        #expect(try await again.ended().status == 0)
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
        #expect(try await sender.ended().status == 1)
        #expect(sender.lines.last?.hasPrefix("failed diskFull could not write ") == true)
        let arrived = try site.store("there").beginPartial(digest, size: 20 << 20, of: client)
        #expect(arrived == 9 << 20 | 4_321)
        full.process.signal(SIGKILL)
        _ = try await full.process.ended()

        let roomy = try await site.serve("there", ["--endpoint", full.endpoint])
        let later = try site.start("send", "here", ["--endpoint", full.endpoint, digest.hex])
        #expect(try await later.ended().status == 0)
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
        #expect(try await sender.ended().status == 1)
        #expect(sender.lines.last?.contains("was not transferred with tcp://") == true)
        #expect(!server.process.lines.contains { $0.hasPrefix("offer") })
    }
}

@Suite("Blob transfers", .timeLimit(.minutes(2)))
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
        // The slow, obvious rule: every byte that came since the last restart, and none after a
        // gap. A server that restarts in every turn has room for all of them and follows it to
        // the byte; another may have dropped what came too early, and then stays below.
        let restarts = seed.isMultiple(of: 2)
        var came = [Bool](repeating: false, count: bytes.count)
        var present = 0
        var turns = 0
        while true {
            let opened = await server.answer(offer(digest, UInt64(bytes.count)))
            #expect(opened.blobProgress.received == UInt64(present), "replay with seed \(seed)")
            #expect((1...8).contains(opened.blobProgress.credit))
            if present == bytes.count { break }
            for (start, end) in window(from: present, to: bytes.count, using: &random) {
                let answer = await server.answer(chunk(digest, start, Array(bytes[start..<end])))
                for index in start..<end { came[index] = true }
                let received = Int(answer.blobProgress.received)
                let rule = came.firstIndex(of: false) ?? came.count
                if restarts {
                    #expect(received == rule, "replay with seed \(seed)")
                } else {
                    #expect((present...rule).contains(received), "replay with seed \(seed)")
                }
                present = received
            }
            if restarts {
                server = BlobServer(store: store, maximum: 4_000, receives: true)
                for index in came.indices { came[index] = index < present }
            }
            turns += 1
            try #require(turns < 10_000)
        }
        #expect(try store.read(digest) == bytes)
        #expect(try site.partials("there") == [])
        let again = await server.answer(chunk(digest, 0, [9]))
        #expect(again.blobProgress.received == UInt64(bytes.count))
    }

    /// What two senders with windows of four chunks send: shuffled, each chunk once or twice.
    private func window(
        from present: Int, to size: Int, using random: inout SplitMix64
    ) -> ArraySlice<(Int, Int)> {
        var window: [(Int, Int)] = []
        for length in [Int.random(in: 1...200, using: &random), 97] {
            for start in (0..<4).map({ present + $0 * length }) where start < size {
                window.append((start, min(start + length, size)))
            }
        }
        window += window.filter { _ in Bool.random(using: &random) }
        window.shuffle(using: &random)
        return window.prefix(Int.random(in: 1...16, using: &random))
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

    // MARK: Both sides in one process

    @Test(
        "transfers both ways end well over a server that loses, delays and repeats",
        arguments: UInt64(0)..<12)
    func unreliable(seed: UInt64) async throws {
        let bytes = content(200_000, seed: seed)
        let here = try site.store("here")
        let digest = try here.put(bytes)
        let there = try site.store("there")
        let random = Mutex(SplitMix64(seed: seed))
        let blobs = BlobServer(store: there, maximum: 1 << 20, receives: true)
        let link = try Link { request in
            let draw = random.withLock { Int.random(in: 0..<100, using: &$0) }
            if draw < 4 { return nil }
            let answer = await Self.answer(request, from: blobs)
            if draw < 8 { return nil }
            if draw < 30 { try? await Task.sleep(for: .milliseconds(draw)) }
            return draw > 90 ? await Self.answer(request, from: blobs) : answer
        }
        let limits = TransferLimits(
            chunk: 7_001, window: 6, timeout: .milliseconds(150), overall: .seconds(60),
            firstPause: .milliseconds(1), longestPause: .milliseconds(20))
        // Two senders of one blob at a time do no harm.
        async let other: Void = upload(
            digest, from: here, via: link.client, limits: limits, progress: { _, _ in })
        try await upload(
            digest, from: here, via: link.client,
            limits: TransferLimits(
                chunk: 5_000, timeout: .milliseconds(150), overall: .seconds(60),
                firstPause: .milliseconds(1), longestPause: .milliseconds(20)),
            progress: { done, size in #expect(done <= size && size == 200_000) })
        try await other
        #expect(try there.read(digest) == bytes, "replay with seed \(seed)")

        let back = try site.store("back")
        async let twin: Void = download(
            digest, into: back, via: link.client, maximum: 200_000, limits: limits,
            progress: { _, _ in })
        try await download(
            digest, into: back, via: link.client, maximum: 200_000, limits: limits,
            progress: { done, size in #expect(done <= size && size == 200_000) })
        try await twin
        #expect(try back.read(digest) == bytes, "replay with seed \(seed)")
        await link.close()
    }

    @Test("what an earlier attempt left damaged is found, deleted and sent again, both ways")
    func damagedPartials() async throws {
        let bytes = content(50_000, seed: 4)
        let zeros = [UInt8](repeating: 0, count: 10_000)
        let here = try site.store("here")
        let there = try site.store("there")
        let back = try site.store("back")
        let digest = try here.put(bytes)
        for (store, owner) in [(there, client), (back, .node)] {
            _ = try store.beginPartial(digest, size: 50_000, of: owner)
            _ = try store.appendPartial(digest, offset: 0, zeros, of: owner)
        }
        let blobs = BlobServer(store: there, maximum: 1 << 20, receives: true)
        let link = try Link { await Self.answer($0, from: blobs) }
        let limits = TransferLimits(chunk: 4_096, overall: .seconds(30))
        try await upload(
            digest, from: here, via: link.client, limits: limits, progress: { _, _ in })
        #expect(try there.read(digest) == bytes)
        try await download(
            digest, into: back, via: link.client, maximum: 50_000, limits: limits,
            progress: { _, _ in })
        #expect(try back.read(digest) == bytes)
        await link.close()
    }

    @Test("a sender whose own copy is damaged says so; a receiver of wrong bytes keeps none")
    func damagedCopies() async throws {
        let here = try site.store("here")
        let there = try site.store("there")
        let sound = content(9_000, seed: 6)
        let digest = try here.put(sound)
        try Data(content(9_000, seed: 7)).write(to: URL(filePath: "\(here.folder)/\(digest)"))
        let blobs = BlobServer(store: there, maximum: 1 << 20, receives: true)
        let link = try Link { await Self.answer($0, from: blobs) }
        await #expect(throws: BlobError.damaged(digest)) {
            try await upload(digest, from: here, via: link.client, progress: { _, _ in })
        }
        #expect(try there.all() == [])
        #expect(try site.partials("there") == [])

        let source = BlobServer(store: here, maximum: 0, receives: false)
        let other = try Link { await Self.answer($0, from: source) }
        let wrong = BlobError.wrongContent(
            expected: digest, found: Digest.sha256(content(9_000, seed: 7)))
        await #expect(throws: wrong) {
            try await download(
                digest, into: there, via: other.client, maximum: 9_000, progress: { _, _ in })
        }
        #expect(try site.partials("there") == [])
        let tooLarge = BlobError.tooLarge(digest, bytes: 9_000, maximum: 8_999)
        await #expect(throws: tooLarge) {
            try await download(
                digest, into: there, via: other.client, maximum: 8_999, progress: { _, _ in })
        }
        for link in [link, other] { await link.close() }
    }

    @Test("a refusal ends a transfer at once with the other side's code")
    func refused() async throws {
        let here = try site.store("here")
        let digest = try here.put([1, 2, 3])
        let blobs = BlobServer(store: try site.store("there"), maximum: 2, receives: true)
        let link = try Link { await Self.answer($0, from: blobs) }
        let tooLarge = await #expect(throws: RemoteFailure.self) {
            try await upload(digest, from: here, via: link.client, progress: { _, _ in })
        }
        #expect(tooLarge?.code == BlobRefusal.blobTooLarge.rawValue)
        let missing = await #expect(throws: RemoteFailure.self) {
            try await download(
                Digest.sha256([8]), into: here, via: link.client, maximum: 9,
                progress: { _, _ in })
        }
        #expect(missing?.code == BlobRefusal.blobMissing.rawValue)
        let unknown = Digest.sha256([9])
        await #expect(throws: BlobError.missing(unknown)) {
            try await upload(unknown, from: here, via: link.client, progress: { _, _ in })
        }
        await link.close()
    }

    @Test("a transfer with a silent node ends at the caller's limit, or when it is cancelled")
    func limits() async throws {
        let here = try site.store("here")
        let digest = try here.put([1, 2, 3])
        let link = try Link { _ in nil }
        let limits = TransferLimits(
            timeout: .milliseconds(50), overall: .milliseconds(400),
            firstPause: .milliseconds(10))
        let error = await #expect(throws: TransferError.self) {
            try await upload(
                digest, from: here, via: link.client, limits: limits, progress: { _, _ in })
        }
        #expect(error?.description.contains("it goes on where it stopped") == true)
        let endless = Task {
            try await download(
                Digest.sha256([9]), into: here, via: link.client, maximum: 9,
                progress: { _, _ in })
        }
        try await Task.sleep(for: .milliseconds(50))
        endless.cancel()
        await #expect(throws: CancellationError.self) { try await endless.value }
        await link.close()
    }

    static func answer(
        _ request: WireRequest.OneOf_Body, from blobs: BlobServer
    ) async -> WireResponse {
        switch request {
        case .blobOffer(let offer): await blobs.answer(offer)
        case .blobChunk(let chunk): await blobs.answer(chunk)
        case .blobRead(let read): await blobs.answer(read)
        default: WireResponse()
        }
    }

    // MARK: The queue

    @Test("an actor that waits on its queue leaves the cooperative pool to others")
    func queue() async throws {
        actor Waiter {
            private let executor = QueueExecutor(label: "test.waiter")
            private let gate: DispatchSemaphore
            private(set) var turns = 0

            nonisolated var unownedExecutor: UnownedSerialExecutor {
                executor.asUnownedSerialExecutor()
            }

            init(_ gate: DispatchSemaphore) { self.gate = gate }

            func wait() {
                preconditionIsolated()
                turns += 1
                gate.wait()
            }
        }
        let gate = DispatchSemaphore(value: 0)
        let waiters = (0..<32).map { _ in Waiter(gate) }
        let tasks = waiters.map { waiter in Task { await waiter.wait() } }
        // More tasks wait than the pool has threads; were they on it, this one would not go on.
        try await Task.sleep(for: .milliseconds(50))
        for _ in tasks { gate.signal() }
        for task in tasks { await task.value }
        for waiter in waiters { #expect(await waiter.turns == 1) }
    }
}

/// A client and a server in this process, over CURVE; an answer of nil is never sent.
private struct Link {
    let client: RequestClient
    private let context: MessagingContext
    private let server: RequestServer

    init(
        _ answer: @escaping @Sendable (WireRequest.OneOf_Body) async -> WireResponse?
    ) throws {
        context = try MessagingContext(
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let (serverKey, clientKey) = (try TransportKey.generate(), try TransportKey.generate())
        context.setAllowed([clientKey.publicKey: "site/north"])
        server = try RequestServer(
            context: context, endpoints: ["tcp://127.0.0.1:*"], key: serverKey
        ) { _, body in
            if let request = try? WireRequest(strictly: body).body,
                let response = await answer(request)
            {
                return response.encoded()
            }
            try? await Task.sleep(for: .seconds(600))
            return []
        }
        client = try RequestClient(
            context: context, endpoint: server.endpoints[0], serverKey: serverKey.publicKey,
            key: clientKey)
    }

    func close() async { await context.shutdown() }
}
