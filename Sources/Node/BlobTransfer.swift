package import Cryptography
import Foundation
package import Messaging
package import Storage
import Wire

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
                present = try await writer.append(digest, chunk)
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
