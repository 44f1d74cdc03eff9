import Cryptography
import Foundation
import Storage
import Wire

/// What a node takes of one account that offers blobs.
package struct BlobLimits: Hashable, Sendable {
    /// The longest blob, in bytes.
    package var blob: UInt64
    /// Bytes of blobs that arrived or are announced and that no transaction names.
    package var unnamed: UInt64
    /// Transfers under way; a further one takes the place of the one that grew longest ago.
    package var transfers: Int

    package init(blob: UInt64, unnamed: UInt64? = nil, transfers: Int = 16) {
        self.blob = blob
        self.unnamed = unnamed ?? (blob > .max / 4 ? .max : 4 * blob)
        self.transfers = transfers
    }
}

/// A blob is offered with a size while it arrives with another one.
struct OtherSize: Error, CustomStringConvertible {
    let digest: Digest
    let size: UInt64

    var description: String {
        "blob \(digest) is arriving with \(size) bytes already; offer it again in a while"
    }
}

/// Puts the chunks of arriving blobs in order, in bounded memory, on the queue of all writers.
actor BlobReceiver {
    /// Two accounts may send one blob at the same time; each is held to its own bytes.
    private struct Place: Hashable {
        let digest: Digest
        let owner: BlobOwner
    }

    private struct Arrival {
        let size: UInt64
        /// The bytes on the disk.
        var present: UInt64
        var early = EarlyChunks()
        var hash: RunningHash
        var lastGrowth = ContinuousClock.now
    }

    /// Chunks of one blob under way; held before their turn, of one account and of all.
    private static let mostCredit = 8
    private static let mostHeld = 16
    private static let mostHeldOfAll = 64
    /// How long an arrival that does not grow keeps out an offer of another size.
    private static let patience = Duration.seconds(30)

    private let store: BlobStore
    private let limits: BlobLimits
    private let named: @Sendable () throws -> Set<Digest>
    private var arrivals: [Place: Arrival] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        BlobQueues.writing.asUnownedSerialExecutor()
    }

    init(
        _ store: BlobStore, _ limits: BlobLimits,
        _ named: @escaping @Sendable () throws -> Set<Digest>
    ) {
        self.store = store
        self.limits = limits
        self.named = named
    }

    func begin(_ digest: Digest, size: UInt64, of owner: BlobOwner) throws -> WireBlobProgress {
        let place = Place(digest: digest, owner: owner)
        if let stored = store.size(of: digest) {
            forget(place)
            return progress(stored, owner)
        }
        if let arrival = arrivals[place], arrival.size != size {
            guard .now - arrival.lastGrowth > Self.patience else {
                throw OtherSize(digest: digest, size: arrival.size)
            }
            forget(place)
        }
        guard size <= limits.blob else {
            throw BlobError.tooLarge(digest, bytes: size, maximum: limits.blob)
        }
        if arrivals[place] == nil { try makeRoom(for: place, size) }
        let present = try store.beginPartial(digest, size: size, maximum: limits.blob, of: owner)
        if present == size {
            try finish(place)
        } else if arrivals[place] == nil {
            arrivals[place] = Arrival(
                size: size, present: present, hash: RunningHash(present: present))
        } else {
            arrivals[place]?.present = present
        }
        return progress(present, owner)
    }

    func take(
        _ digest: Digest, _ offset: UInt64, _ content: Data, of owner: BlobOwner
    ) throws -> WireBlobProgress {
        let place = Place(digest: digest, owner: owner)
        if let stored = store.size(of: digest) {
            forget(place)
            return progress(stored, owner)
        }
        guard let arrival = arrivals[place] else { throw BlobError.notBegun(digest) }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(content.count))
        guard !overflow, end <= arrival.size else {
            throw BlobError.outOfPlace(digest, offset: offset, present: arrival.present)
        }
        guard offset <= arrival.present else {
            hold(place, offset, content)
            return progress(arrival.present, owner)
        }
        do {
            let present = try append(place, offset, content, to: arrival.present)
            if present == arrival.size { try finish(place) }
            return progress(present, owner)
        } catch {
            // What is on the disk is asked anew with the next offer.
            forget(place)
            throw error
        }
    }

    /// Appends a chunk, and those held that now follow on it.
    private func append(
        _ place: Place, _ offset: UInt64, _ content: Data, to present: UInt64
    ) throws -> UInt64 {
        var present = present
        var next: EarlyChunks.Chunk? = (offset, content)
        while let chunk = next {
            if chunk.offset + UInt64(chunk.content.count) > present {
                present = try store.appendPartial(
                    place.digest, offset: chunk.offset, [UInt8](chunk.content), of: place.owner)
                arrivals[place]?.hash.add(chunk, present: present)
                arrivals[place]?.lastGrowth = .now
            }
            arrivals[place]?.present = present
            next = arrivals[place]?.early.next(upTo: present)
        }
        return present
    }

    private func held(of owner: BlobOwner? = nil) -> Int {
        arrivals.reduce(0) { sum, arrival in
            owner == nil || arrival.key.owner == owner ? sum + arrival.value.early.count : sum
        }
    }

    /// Keeps a chunk for later, or drops it when there is no room: its sender goes back then.
    private func hold(_ place: Place, _ offset: UInt64, _ content: Data) {
        guard let early = arrivals[place]?.early else { return }
        if !early.contains(offset) {
            if held(of: place.owner) >= Self.mostHeld || held() >= Self.mostHeldOfAll {
                dropForgottenChunks()
            }
            guard held(of: place.owner) < Self.mostHeld, held() < Self.mostHeldOfAll,
                early.count < Self.mostCredit
            else { return }
        }
        arrivals[place]?.early.insert(content, at: offset)
    }

    /// Drops what is held for blobs whose senders seem to be gone.
    private func dropForgottenChunks() {
        for (place, arrival) in arrivals where .now - arrival.lastGrowth > Self.patience {
            arrivals[place]?.early = EarlyChunks()
        }
    }

    private func finish(_ place: Place) throws {
        try store.finishPartial(
            place.digest, found: arrivals[place]?.hash.digest, of: place.owner)
        try store.note(place.digest, of: place.owner)
        for other in arrivals.keys where other.digest == place.digest { forget(other) }
    }

    private func forget(_ place: Place) { arrivals[place] = nil }

    /// Holds an account to its limits before another transfer of its begins.
    ///
    /// What is here of a transfer counts with the size announced. A transfer beyond the number
    /// allowed takes the place of the account's own that grew longest ago, for a worker that was
    /// killed leaves some behind; bytes beyond the limit are refused.
    private func makeRoom(for place: Place, _ size: UInt64) throws {
        var own = try store.partials()
            .filter { $0.owner == place.owner && $0.digest != place.digest }
            .sorted { $0.grewAt < $1.grewAt }
        while own.count >= max(limits.transfers, 1) {
            let oldest = own.removeFirst()
            try store.remove(oldest)
            forget(Place(digest: oldest.digest, owner: oldest.owner))
        }
        let coming = own.reduce(size) { $0.addingReportingOverflow($1.size).partialValue }
        var kept = try store.noted(of: place.owner)
        func isWithin() -> Bool {
            let (all, overflow) = kept.values.reduce(0, +).addingReportingOverflow(coming)
            return !overflow && all <= limits.unnamed
        }
        guard !isWithin() else { return }
        let named = try named()
        for digest in kept.keys where named.contains(digest) {
            try store.forgetNote(of: digest, place.owner)
            kept[digest] = nil
        }
        guard isWithin() else {
            throw BlobError.quotaExceeded(place.digest, bytes: size, maximum: limits.unnamed)
        }
    }

    /// The room for chunks is shared among the blobs that an account sends.
    private func progress(_ received: UInt64, _ owner: BlobOwner) -> WireBlobProgress {
        var progress = WireBlobProgress()
        progress.received = received
        let share = Self.mostHeld / max(arrivals.keys.count { $0.owner == owner }, 1)
        progress.credit = UInt32(min(max(share, 1), Self.mostCredit))
        return progress
    }
}
