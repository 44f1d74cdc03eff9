package import Cryptography
import Foundation
package import Messaging
package import Storage
package import Wire

// MARK: What crosses the wire

/// Why a node does not take or give a blob; the raw value is the code of its answer.
package enum BlobRefusal: String, Sendable {
    case blobMissing, blobTooLarge, blobDamaged, blobNotBegun, blobOutOfPlace, blobInTransfer
    case notReceiving, diskFull, storageFailed, malformedRequest

    /// Whether the transfer can go on by itself, from the bytes that an offer then names.
    var isPassing: Bool { self == .blobNotBegun || self == .blobInTransfer }

    init(_ error: BlobError) {
        self =
            switch error {
            case .missing: .blobMissing
            case .damaged, .wrongContent: .blobDamaged
            case .tooLarge: .blobTooLarge
            case .notBegun: .blobNotBegun
            case .outOfPlace, .incomplete: .blobOutOfPlace
            case .system(_, _, ENOSPC), .system(_, _, EDQUOT), .system(_, _, EFBIG): .diskFull
            case .system: .storageFailed
            }
    }
}

/// The bounds of one transfer, on the side that asks.
package struct TransferLimits: Hashable, Sendable {
    /// Bytes asked for or sent at a time; at most ``BlobServer/largestChunk``.
    package var chunk: Int
    /// Chunks under way at once, of those that the receiver gives credit for.
    package var window: Int
    /// How long one chunk may take before it is sent again.
    package var timeout: Duration
    /// How long the whole transfer may take; nil: until its task is cancelled.
    package var overall: Duration?
    /// The pause after a first failure; it doubles until something arrives.
    package var firstPause: Duration
    package var longestPause: Duration

    package init(
        chunk: Int = 1 << 20, window: Int = 8, timeout: Duration = .seconds(30),
        overall: Duration? = nil, firstPause: Duration = .milliseconds(50),
        longestPause: Duration = .seconds(5)
    ) {
        self.chunk = min(max(chunk, 1), BlobServer.largestChunk)
        self.window = max(window, 1)
        self.timeout = timeout
        self.overall = overall
        self.firstPause = firstPause
        self.longestPause = longestPause
    }
}

/// Why a transfer ended before the whole blob was there; what arrived is kept.
package enum TransferError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The time that the caller gave is over; `reason` is the last thing that went wrong.
    case gaveUp(Digest, endpoint: String, after: Duration, reason: String)

    package var description: String {
        switch self {
        case .gaveUp(let digest, let endpoint, let after, let reason):
            "blob \(digest) was not transferred with \(endpoint) within \(after): \(reason);"
                + " begin again, it goes on where it stopped"
        }
    }
}

// MARK: The side that answers

/// Answers the requests about blobs that peers send to a node.
///
/// Every answer is idempotent: a chunk that is here already changes nothing, whoever sent it.
package struct BlobServer: Sendable {
    /// The most bytes of one chunk, and of one answer to a read.
    package static let largestChunk = 4 << 20

    private let maximum: UInt64
    private let receives: Bool
    private let receiver: BlobReceiver
    private let reader: BlobReader

    /// - Parameters:
    ///   - store: where blobs are; no other process receives into it.
    ///   - maximum: the longest blob that is taken, in bytes.
    ///   - receives: whether blobs are taken at all.
    package init(store: BlobStore, maximum: UInt64, receives: Bool) {
        self.maximum = maximum
        self.receives = receives
        receiver = BlobReceiver(store)
        reader = BlobReader(store)
    }

    /// Begins a transfer or takes one up: how much is here, and how many chunks may come at once.
    package func answer(_ offer: WireBlobOffer) async -> WireResponse {
        await answer(receiving: offer.digest) { digest in
            let progress = try await receiver.begin(digest, size: offer.size, maximum: maximum)
            var response = WireResponse()
            response.blobProgress = progress
            return response
        }
    }

    /// Takes a chunk; with the last one the blob is checked and filed.
    package func answer(_ chunk: WireBlobChunk) async -> WireResponse {
        guard chunk.content.count <= Self.largestChunk else {
            return Self.refusal(
                .malformedRequest,
                "a chunk has \(chunk.content.count) bytes; at most \(Self.largestChunk) are taken")
        }
        return await answer(receiving: chunk.digest) { digest in
            let progress = try await receiver.take(digest, chunk.offset, chunk.content)
            var response = WireResponse()
            response.blobProgress = progress
            return response
        }
    }

    /// Gives a part of a blob and the size of the whole; of length 0, the size alone.
    package func answer(_ read: WireBlobRead) async -> WireResponse {
        guard read.length <= Self.largestChunk else {
            return Self.refusal(
                .malformedRequest,
                "\(read.length) bytes are asked for; ask for \(Self.largestChunk) at most")
        }
        return await answer(read.digest) { digest in
            let part = try await reader.part(digest, read.offset, Int(read.length))
            var response = WireResponse()
            response.blobContent.size = part.size
            response.blobContent.content = part.content
            return response
        }
    }

    private func answer(
        receiving digest: Data, _ body: (Digest) async throws -> WireResponse
    ) async -> WireResponse {
        guard receives else {
            return Self.refusal(
                .notReceiving, "this node takes no blobs; offer them to the coordinator")
        }
        return await answer(digest, body)
    }

    private func answer(
        _ name: Data, _ body: (Digest) async throws -> WireResponse
    ) async -> WireResponse {
        guard let digest = Digest(name) else {
            return Self.refusal(
                .malformedRequest, "a blob is named by 32 bytes, and \(name.count) came")
        }
        do {
            return try await body(digest)
        } catch let error as BlobError {
            return Self.refusal(BlobRefusal(error), error.description)
        } catch let other as OtherSize {
            return Self.refusal(.blobInTransfer, other.description)
        } catch {
            return Self.refusal(.storageFailed, "\(error)")
        }
    }

    private static func refusal(_ code: BlobRefusal, _ sentence: String) -> WireResponse {
        var response = WireResponse()
        response.failure.code = code.rawValue
        response.failure.message = sentence
        return response
    }
}

/// A blob is offered with a size while it arrives with another one.
private struct OtherSize: Error, CustomStringConvertible {
    let digest: Digest
    let size: UInt64

    var description: String {
        "blob \(digest) is arriving with \(size) bytes from elsewhere; offer it again in a while"
    }
}

/// Puts the chunks of arriving blobs in order, in bounded memory, on the queue of all writers.
private actor BlobReceiver {
    private struct Arrival {
        let size: UInt64
        /// The bytes on the disk.
        var present: UInt64
        var early = EarlyChunks()
        var lastGrowth = ContinuousClock.now
    }

    /// Chunks of one blob under way, and of all blobs held before their turn.
    private static let mostCredit = 8
    private static let mostHeld = 16
    private static let mostArrivals = 64
    /// How long an arrival that does not grow keeps out an offer of another size.
    private static let patience = Duration.seconds(30)

    private let store: BlobStore
    private var arrivals: [Digest: Arrival] = [:]
    private var held = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        BlobQueues.writing.asUnownedSerialExecutor()
    }

    init(_ store: BlobStore) { self.store = store }

    func begin(_ digest: Digest, size: UInt64, maximum: UInt64) throws -> WireBlobProgress {
        if let arrival = arrivals[digest], arrival.size != size {
            guard .now - arrival.lastGrowth > Self.patience else {
                throw OtherSize(digest: digest, size: arrival.size)
            }
            forget(digest)
        }
        let present = try store.beginPartial(digest, size: size, maximum: maximum)
        if present == size, store.size(of: digest) != size { try finish(digest) }
        if present == size {
            forget(digest)
        } else if arrivals[digest] == nil {
            makeRoom()
            arrivals[digest] = Arrival(size: size, present: present)
        } else {
            arrivals[digest]?.present = present
        }
        return progress(present)
    }

    func take(_ digest: Digest, _ offset: UInt64, _ content: Data) throws -> WireBlobProgress {
        guard let arrival = arrivals[digest] else {
            guard let size = store.size(of: digest) else { throw BlobError.notBegun(digest) }
            return progress(size)
        }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(content.count))
        guard !overflow, end <= arrival.size else {
            throw BlobError.outOfPlace(digest, offset: offset, present: arrival.present)
        }
        guard offset <= arrival.present else {
            hold(digest, offset, content)
            return progress(arrival.present)
        }
        do {
            let present = try append(digest, offset, content, to: arrival.present)
            if present == arrival.size { try finish(digest) }
            return progress(present)
        } catch {
            // What is on the disk is asked anew with the next offer.
            forget(digest)
            throw error
        }
    }

    /// Appends a chunk, and those held that now follow on it.
    private func append(
        _ digest: Digest, _ offset: UInt64, _ content: Data, to present: UInt64
    ) throws -> UInt64 {
        var present = present
        var next: EarlyChunks.Chunk? = (offset, content)
        while let chunk = next {
            if chunk.offset + UInt64(chunk.content.count) > present {
                present = try store.appendPartial(
                    digest, offset: chunk.offset, [UInt8](chunk.content))
                arrivals[digest]?.lastGrowth = .now
            }
            arrivals[digest]?.present = present
            next = arrivals[digest]?.early.next(upTo: present)
            if next != nil { held -= 1 }
        }
        return present
    }

    /// Keeps a chunk for later, or drops it when there is no room: its sender goes back then.
    private func hold(_ digest: Digest, _ offset: UInt64, _ content: Data) {
        guard let early = arrivals[digest]?.early else { return }
        if !early.contains(offset) {
            if held >= Self.mostHeld { dropForgottenChunks() }
            guard held < Self.mostHeld, early.count < Self.mostCredit else { return }
            held += 1
        }
        arrivals[digest]?.early.insert(content, at: offset)
    }

    /// Drops what is held for blobs whose senders seem to be gone.
    private func dropForgottenChunks() {
        for (digest, arrival) in arrivals where .now - arrival.lastGrowth > Self.patience {
            held -= arrival.early.count
            arrivals[digest]?.early = EarlyChunks()
        }
    }

    private func finish(_ digest: Digest) throws {
        try store.finishPartial(digest)
        forget(digest)
    }

    private func forget(_ digest: Digest) {
        held -= arrivals.removeValue(forKey: digest)?.early.count ?? 0
    }

    /// Forgets the arrival that grew longest ago; its sender offers it again.
    private func makeRoom() {
        guard arrivals.count >= Self.mostArrivals else { return }
        let oldest = arrivals.min { $0.value.lastGrowth < $1.value.lastGrowth }
        if let oldest { forget(oldest.key) }
    }

    /// The room for chunks is shared among the blobs that arrive.
    private func progress(_ received: UInt64) -> WireBlobProgress {
        var progress = WireBlobProgress()
        progress.received = received
        let share = Self.mostHeld / max(arrivals.count, 1)
        progress.credit = UInt32(min(max(share, 1), Self.mostCredit))
        return progress
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

// MARK: The disk

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

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        BlobQueues.writing.asUnownedSerialExecutor()
    }

    init(_ store: BlobStore) { self.store = store }

    func contains(_ digest: Digest) -> Bool { store.contains(digest) }

    func begin(_ digest: Digest, size: UInt64, maximum: UInt64) throws -> UInt64 {
        try store.beginPartial(digest, size: size, maximum: maximum)
    }

    func append(_ digest: Digest, _ offset: UInt64, _ content: Data) throws -> UInt64 {
        try store.appendPartial(digest, offset: offset, [UInt8](content))
    }

    func finish(_ digest: Digest) throws { try store.finishPartial(digest) }
}

// MARK: The side that asks

/// Sends a blob to a node, from where an earlier attempt stopped.
///
/// Lost connections and restarts of either side are waited out.
///
/// - Parameters:
///   - digest: a blob of this store.
///   - store: where it is.
///   - client: the connection to the node.
///   - limits: sizes and times.
///   - progress: told the bytes that the node has on its disk, and the size.
/// - Throws: ``BlobError`` when this side's copy is missing or damaged, ``RemoteFailure`` with a
///   code of ``BlobRefusal``, ``TransferError``, ``MessagingError`` or `CancellationError`.
package func upload(
    _ digest: Digest, from store: BlobStore, via client: RequestClient,
    limits: TransferLimits = TransferLimits(), progress: @Sendable (UInt64, UInt64) -> Void
) async throws {
    let reader = BlobReader(store)
    let size = try await reader.size(of: digest)
    var sending = Sending(size: size, limits: limits)
    var exchange = Exchange(digest: digest, client: client, limits: limits)
    var isChecked = false
    while true {
        let before = sending.received
        do {
            try await exchange.run { piece in
                let request = try await reader.request(piece, of: digest, size)
                let answer = try await client.ask(request, timeout: limits.timeout)
                guard case .blobProgress(let answer) = answer, answer.received <= size else {
                    throw UnexpectedAnswer(request: "blob offer")
                }
                return answer
            } take: { piece, answer, underWay in
                defer { progress(sending.received, size) }
                return sending.take(piece, answer, underWay)
            }
            if sending.received == size { return }
            throw Interruption.gap
        } catch let failure as RemoteFailure
            where failure.code == BlobRefusal.blobDamaged.rawValue && !isChecked
        {
            // What an earlier attempt left there may have been damaged; the node deleted it.
            try await reader.check(digest)
            isChecked = true
        } catch {
            try await exchange.pause(after: error, hasGrown: sending.received > before)
        }
    }
}

/// Fetches a blob from a node, from where an earlier attempt stopped, also with another node.
///
/// - Parameters:
///   - digest: the blob.
///   - store: where it is kept once its hash is checked.
///   - client: the connection to the node.
///   - maximum: the longest blob that is taken, in bytes.
///   - limits: sizes and times.
///   - progress: told the bytes on this disk, and the size.
/// - Throws: ``BlobError`` of this side's disk, for too large a blob and for wrong content,
///   ``RemoteFailure`` with a code of ``BlobRefusal``, ``TransferError``, ``MessagingError`` or
///   `CancellationError`.
package func download(
    _ digest: Digest, into store: BlobStore, via client: RequestClient, maximum: UInt64,
    limits: TransferLimits = TransferLimits(), progress: @Sendable (UInt64, UInt64) -> Void
) async throws {
    let writer = BlobWriter(store)
    guard await !writer.contains(digest) else { return }
    var fetching = Fetching(digest: digest, writer: writer, maximum: maximum, limits: limits)
    var exchange = Exchange(digest: digest, client: client, limits: limits)
    var isRepeated = false
    while true {
        let before = fetching.present
        do {
            try await exchange.run { piece in
                var request = WireRequest()
                request.blobRead.digest = data(digest.bytes)
                if case .chunk(let offset, let length) = piece {
                    request.blobRead.offset = offset
                    request.blobRead.length = UInt32(length)
                }
                let answer = try await client.ask(request, timeout: limits.timeout)
                guard case .blobContent(let content) = answer else {
                    throw UnexpectedAnswer(request: "blob read")
                }
                return content
            } take: { piece, answer, underWay in
                let more = try await fetching.take(piece, answer, underWay)
                progress(fetching.present, answer.size)
                return more
            }
            return try await writer.finish(digest)
        } catch BlobError.wrongContent where fetching.hasResumed && !isRepeated {
            // What an earlier attempt left here was damaged; the store deleted it.
            isRepeated = true
        } catch {
            try await exchange.pause(after: error, hasGrown: fetching.present > before)
        }
    }
}

/// What is asked for: where the transfer stands, or one chunk.
enum Piece: Sendable {
    case opening
    case chunk(offset: UInt64, length: Int)
}

/// Why a transfer begins again from what has arrived.
private enum Interruption: Error, CustomStringConvertible {
    /// A chunk was lost on the way.
    case gap
    case connectionLost
    case timeIsOver

    var description: String {
        switch self {
        case .gap: "the node did not keep a chunk"
        case .connectionLost: "the connection was lost"
        case .timeIsOver: "it is slow"
        }
    }
}

/// Keeps several requests under way until nothing is left to ask, and pauses between attempts.
private struct Exchange {
    private static let watchInterval = Duration.milliseconds(25)

    private let digest: Digest
    private let client: RequestClient
    private let limits: TransferLimits
    private let deadline: ContinuousClock.Instant?
    private var nextPause: Duration
    private var reason: String?

    init(digest: Digest, client: RequestClient, limits: TransferLimits) {
        self.digest = digest
        self.client = client
        self.limits = limits
        deadline = limits.overall.map { .now + $0 }
        nextPause = limits.firstPause
    }

    /// - Parameters:
    ///   - ask: sends one request; several at a time.
    ///   - take: told an answer and how many others are under way, says what to ask next.
    /// - Throws: what either throws, and ``Interruption``.
    func run<Answer: Sendable>(
        _ ask: @escaping @Sendable (Piece) async throws -> Answer,
        take: (Piece, Answer, Int) async throws -> [Piece]
    ) async throws {
        try await withThrowingTaskGroup(of: (Piece, Answer)?.self) { group in
            group.addTask { [client, deadline] in
                try await Self.watch(client, until: deadline)
                return nil
            }
            group.addTask { (.opening, try await ask(.opening)) }
            var underWay = 1
            while underWay > 0, let next = try await group.next() {
                guard let (piece, answer) = next else { continue }
                underWay -= 1
                for piece in try await take(piece, answer, underWay) {
                    group.addTask { (piece, try await ask(piece)) }
                    underWay += 1
                }
            }
            group.cancelAll()
        }
    }

    /// Throws when the connection is lost, long before the requests on it time out.
    private static func watch(
        _ client: RequestClient, until deadline: ContinuousClock.Instant?
    ) async throws {
        var wasConnected = false
        while true {
            let link = await client.link
            if link == .connected { wasConnected = true }
            if link == .lost && wasConnected { throw Interruption.connectionLost }
            if let deadline, .now >= deadline { throw Interruption.timeIsOver }
            try await Task.sleep(for: watchInterval)
        }
    }

    /// Waits before the next attempt, or throws when there is to be none.
    mutating func pause(after error: any Error, hasGrown: Bool) async throws {
        guard Self.isPassing(error) else { throw error }
        if case Interruption.timeIsOver = error {} else { reason = "\(error)" }
        if hasGrown { nextPause = limits.firstPause }
        if let overall = limits.overall, let deadline, .now + nextPause >= deadline {
            throw TransferError.gaveUp(
                digest, endpoint: client.endpoint, after: overall, reason: reason ?? "\(error)")
        }
        try await Task.sleep(for: nextPause)
        nextPause = min(nextPause * 2, limits.longestPause)
    }

    private static func isPassing(_ error: any Error) -> Bool {
        switch error {
        case is Interruption, MessagingError.timedOut, MessagingError.busy: true
        case BlobError.notBegun, BlobError.outOfPlace, BlobError.incomplete: true
        case let failure as RemoteFailure: BlobRefusal(rawValue: failure.code)?.isPassing == true
        default: false
        }
    }
}

/// What a sender knows of the other side, and which chunk comes next.
private struct Sending {
    private let size: UInt64
    private let limits: TransferLimits
    private var next: UInt64 = 0
    /// The bytes on the other side's disk.
    private(set) var received: UInt64 = 0

    init(size: UInt64, limits: TransferLimits) {
        self.size = size
        self.limits = limits
    }

    /// - Returns: the chunks to send now: within the credit, and no further ahead of what is on
    ///   the disk, so that a lost chunk stops the sender instead of costing all that follow it.
    mutating func take(_ piece: Piece, _ answer: WireBlobProgress, _ underWay: Int) -> [Piece] {
        switch piece {
        case .opening: (received, next) = (answer.received, answer.received)
        case .chunk: received = max(received, answer.received)
        }
        next = max(next, received)
        let credit = min(max(Int(answer.credit), 1), limits.window)
        let end = min(size, received + UInt64(credit * limits.chunk))
        return chunks(from: &next, to: end, of: limits.chunk, atMost: credit - underWay)
    }
}

/// What has arrived of a blob that is fetched, and which chunk comes next.
private struct Fetching {
    private let digest: Digest
    private let writer: BlobWriter
    private let maximum: UInt64
    private let limits: TransferLimits
    private var size: UInt64?
    private var next: UInt64 = 0
    private var early = EarlyChunks()
    /// The bytes on this side's disk.
    private(set) var present: UInt64 = 0
    /// Whether some of them are from an earlier attempt.
    private(set) var hasResumed = false

    init(digest: Digest, writer: BlobWriter, maximum: UInt64, limits: TransferLimits) {
        self.digest = digest
        self.writer = writer
        self.maximum = maximum
        self.limits = limits
    }

    mutating func take(
        _ piece: Piece, _ answer: WireBlobContent, _ underWay: Int
    ) async throws -> [Piece] {
        switch piece {
        case .opening:
            let arrived = try await writer.begin(digest, size: answer.size, maximum: maximum)
            if size == nil { hasResumed = arrived > 0 }
            (size, present, next, early) = (answer.size, arrived, arrived, EarlyChunks())
        case .chunk(let offset, let length):
            guard answer.size == size, answer.content.count == length else {
                throw UnexpectedAnswer(request: "blob read")
            }
            early.insert(answer.content, at: offset)
            while let chunk = early.next(upTo: present) {
                present = try await writer.append(digest, chunk.offset, chunk.content)
            }
        }
        next = max(next, present)
        let end = min(answer.size, present + UInt64(limits.window * limits.chunk))
        return chunks(from: &next, to: end, of: limits.chunk, atMost: limits.window - underWay)
    }
}

private func chunks(
    from next: inout UInt64, to end: UInt64, of length: Int, atMost count: Int
) -> [Piece] {
    var pieces: [Piece] = []
    while next < end, pieces.count < count {
        let piece = min(UInt64(length), end - next)
        pieces.append(.chunk(offset: next, length: Int(piece)))
        next += piece
    }
    return pieces
}
