import Cryptography
import Foundation
package import Storage
package import Wire

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

/// Answers the requests about blobs that peers send to a node.
///
/// Every answer is idempotent: a chunk that is here already changes nothing, whoever sent it.
package struct BlobServer: Sendable {
    /// The most bytes of one chunk, and of one answer to a read.
    package static let largestChunk = 4 << 20

    private let maximum: UInt64
    private let receives: Bool
    private let failed: @Sendable (StorageError) -> Void
    private let receiver: BlobReceiver
    private let reader: BlobReader

    /// - Parameters:
    ///   - store: where blobs are; no other process receives into it.
    ///   - maximum: the longest blob that is taken, in bytes.
    ///   - receives: whether blobs are taken at all.
    ///   - failed: told that the disk failed and that the node must stop.
    package init(
        store: BlobStore, maximum: UInt64, receives: Bool,
        failed: @escaping @Sendable (StorageError) -> Void = { _ in }
    ) {
        self.maximum = maximum
        self.receives = receives
        self.failed = failed
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
        } catch let error as StorageError {
            failed(error)
            return Self.refusal(.storageFailed, error.description)
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
        var hash: RunningHash
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
            arrivals[digest] = Arrival(
                size: size, present: present, hash: RunningHash(present: present))
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
                arrivals[digest]?.hash.add(chunk, present: present)
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
        try store.finishPartial(digest, found: arrivals[digest]?.hash.digest)
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
