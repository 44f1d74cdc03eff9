import Contracts
package import Cryptography
package import Ledger
package import Storage
package import Wire

/// Hands out the state at the newest settled checkpoint, and settled blocks, to other nodes.
///
/// A queue and a connection of its own: a transfer must not hold up the voter.
package actor SnapshotDesk {
    private let executor = QueueExecutor(label: "tally.snapshots")
    private let store: LedgerStore
    /// The checkpoint that was last offered, and the roots of its buckets.
    private var offered: (height: Height, offer: WireSnapshotResponse, roots: [Digest])?

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameter store: opened for reading.
    package init(_ store: LedgerStore) { self.store = store }

    /// The newest checkpoint with the proof that it is settled; empty while there is none.
    package func offer() throws -> WireSnapshotResponse {
        guard try store.snapshot() == nil, let newest = try store.newestCheckpoint() else {
            return WireSnapshotResponse()
        }
        if let offered, offered.height == newest.height { return offered.offer }
        guard let roots = try store.bucketRoots(at: newest.height),
            let header = try store.signedHeader(at: newest.height)?.header
        else { return WireSnapshotResponse() }
        // Whoever was handed other entries would name this node as a liar.
        guard BucketRoots.stateRoot(of: roots) == header.stateRoot else {
            throw StorageError.damaged(
                path: store.path, place: "the state at checkpoint \(newest.height)")
        }
        var offer = WireSnapshotResponse()
        do {
            offer.proof = data(try Prover(store).proof(ofBlockAt: newest.height).bytes)
        } catch is ProverError { return WireSnapshotResponse() }
        offer.logPeaks = data(newest.logPeaks)
        offered = (newest.height, offer, roots)
        return offer
    }

    package func bucketRoots(_ request: WireBucketRootsRequest) -> WireBucketRootsResponse {
        var response = WireBucketRootsResponse()
        let first = Int(request.first)
        guard let offered, offered.height.value == request.height,
            offered.roots.indices.contains(first)
        else { return response }
        let end = min(first + BucketRoots.most, BucketRoots.count)
        response.roots = data(offered.roots[first..<end].flatMap(\.bytes))
        return response
    }

    package func stateChunk(_ request: WireStateChunkRequest) throws -> WireStateChunk {
        try store.stateChunk(at: Height(request.height), from: Int(request.first))
            ?? WireStateChunk()
    }

    package func history(downFrom height: Height, hash: Digest) throws -> WireHistoryResponse {
        var response = WireHistoryResponse()
        response.blocks = try store.blocks(downFrom: height, hash: hash).map { data($0.bytes) }
        return response
    }
}
