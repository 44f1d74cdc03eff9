package import Cryptography
import Foundation
package import Storage
package import Wire

/// Why a node does not take or give a blob; the raw value is the code of its answer.
package enum BlobRefusal: String, Sendable {
    case blobMissing, blobTooLarge, blobDamaged, blobNotBegun, blobOutOfPlace, blobInTransfer
    case notReceiving, diskFull, storageFailed, malformedRequest, quotaExceeded

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
            case .quotaExceeded: .quotaExceeded
            case .system(_, _, ENOSPC), .system(_, _, EDQUOT), .system(_, _, EFBIG): .diskFull
            case .system: .storageFailed
            }
    }
}

/// Answers the requests about blobs that peers send to a node.
///
/// Every answer is idempotent: a chunk that is here already changes nothing. Each account has its
/// own transfers and its own limits, so that nobody's wrong bytes stop another's upload.
package struct BlobServer: Sendable {
    /// The most bytes of one chunk, and of one answer to a read.
    package static let largestChunk = 4 << 20

    private let receives: Bool
    private let failed: @Sendable (StorageError) -> Void
    private let receiver: BlobReceiver
    private let reader: BlobReader

    /// - Parameters:
    ///   - store: where blobs are; no other process receives into it.
    ///   - limits: what is taken of one account.
    ///   - receives: whether blobs are taken at all.
    ///   - named: the blobs that the chain names; asked only when an account is at its limit.
    ///   - failed: told that the disk failed and that the node must stop.
    package init(
        store: BlobStore, limits: BlobLimits, receives: Bool,
        named: @escaping @Sendable () throws -> Set<Digest> = { [] },
        failed: @escaping @Sendable (StorageError) -> Void = { _ in }
    ) {
        self.receives = receives
        self.failed = failed
        receiver = BlobReceiver(store, limits, named)
        reader = BlobReader(store)
    }

    /// Begins a transfer or takes one up: how much is here, and how many chunks may come at once.
    package func answer(_ offer: WireBlobOffer, from account: String) async -> WireResponse {
        await answer(receiving: offer.digest) { digest in
            let progress = try await receiver.begin(
                digest, size: offer.size, of: BlobOwner(account: account))
            var response = WireResponse()
            response.blobProgress = progress
            return response
        }
    }

    /// Takes a chunk; with the last one the blob is checked and filed.
    package func answer(_ chunk: WireBlobChunk, from account: String) async -> WireResponse {
        guard chunk.content.count <= Self.largestChunk else {
            return Self.refusal(
                .malformedRequest,
                "a chunk has \(chunk.content.count) bytes; at most \(Self.largestChunk) are taken")
        }
        return await answer(receiving: chunk.digest) { digest in
            let progress = try await receiver.take(
                digest, chunk.offset, chunk.content, of: BlobOwner(account: account))
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
