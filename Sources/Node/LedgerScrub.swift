import Contracts
import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// A ledger file that lost or changed bytes.
package struct DamagedLedger: Error, Hashable, Sendable, CustomStringConvertible {
    package let place: String

    package var description: String { "the ledger file is damaged: \(place)" }
}

/// Looks for bytes that changed, without executing anything: hashes bind all of the chain.
///
/// Blocks, envelopes and effects are held against the headers' roots, postings against the effects,
/// the state against the roots that the newest checkpoint left. Entries that changed since, and
/// signatures, are for `tally verify`. The worker may be writing meanwhile.
struct LedgerScrub {
    /// Blocks that a start looks at, so that it does not depend on the chain's length.
    static let blocksAtStart: UInt64 = 64

    let genesis: Genesis
    let file: SalvagedLedger

    /// Looks at the newest blocks and at the small tables that a start relies upon.
    ///
    /// - Throws: ``DamagedLedger``.
    func checkNewest() throws(DamagedLedger) {
        guard file.genesis?.bytes == genesis.bytes else {
            throw DamagedLedger(place: "table genesis")
        }
        let settled = try checkTip()
        let begin = file.snapshot?.height ?? .genesis
        guard let journal = file.journalColumns, journal[0].integer != nil,
            let highest = journal[1].bytes,
            highest.isEmpty || (try? Certificate(strictly: highest)) != nil
        else { throw DamagedLedger(place: "table journal") }
        let first = max(begin.value, settled.value - min(settled.value, Self.blocksAtStart))
        var walk = Walk(height: Height(first), hash: nil, log: nil)
        while walk.height < settled { try check(&walk) }
        if file.hashedBuckets == nil { throw DamagedLedger(place: "table buckets") }
    }

    /// Looks at every block, bucket and page.
    ///
    /// Whoever gave up meanwhile must not believe what it throws: interrupted queries find nothing.
    ///
    /// - Parameter goesOn: asked from time to time; when it says no, the rest is not looked at.
    /// - Throws: ``DamagedLedger``.
    func checkAll(while goesOn: () -> Bool) throws(DamagedLedger) {
        if let fault = file.pageFaults.first { throw DamagedLedger(place: fault) }
        let settled = try checkTip()
        var walk = Walk(
            height: .genesis, hash: genesis.network.digest, log: MerkleFrontier(), posting: 1)
        if let snapshot = file.snapshot {
            // The frontier is proven by the snapshot's header, which the next block's hash binds.
            let log = try checkLog(of: snapshot)
            walk = Walk(height: snapshot.height, hash: snapshot.hash, log: log, posting: 1)
        }
        while walk.height < settled, goesOn() { try check(&walk) }
        for bucket in file.hashedBuckets ?? [] {
            guard goesOn() else { return }
            guard let hashed = file.hashedBucket(bucket) else { continue }
            guard let entries = hashed.entries, bucketRoot(entries) == hashed.root else {
                throw DamagedLedger(place: "table state, bucket \(bucket)")
            }
        }
    }

    private func checkTip() throws(DamagedLedger) -> Height {
        guard let tip = file.tipColumns, let height = tip[1].integer,
            let settled = UInt64(exactly: height), let hash = Digest(tip[2].bytes ?? []),
            let size = tip[4].integer.flatMap({ UInt64(exactly: $0) }), let peaks = tip[5].bytes,
            peaks.count.isMultiple(of: 32)
        else { throw DamagedLedger(place: "table tip") }
        let digests = stride(from: 0, to: peaks.count, by: 32).compactMap {
            Digest(peaks[$0..<$0 + 32])
        }
        guard let log = MerkleFrontier(size: size, peaks: digests) else {
            throw DamagedLedger(place: "table tip, column logPeaks")
        }
        guard settled > 0 else { return .genesis }
        if let snapshot = file.snapshot, snapshot.height.value == settled {
            guard snapshot.hash == hash, try checkLog(of: snapshot) == log else {
                throw DamagedLedger(place: "table tip: it is not the snapshot")
            }
            return snapshot.height
        }
        guard let block = file.block(at: Height(settled)), block.hash == hash,
            tip[0] == StoredValue(block.slot.term.value),
            tip[3] == StoredValue(block.header.timeMilliseconds), block.header.logSize == size,
            block.header.logRoot == log.root
        else { throw DamagedLedger(place: "table tip: it is not block \(settled)") }
        return Height(settled)
    }

    /// The log at a snapshot, if its proof and its peaks are still there.
    private func checkLog(of snapshot: StoredSnapshot) throws(DamagedLedger) -> MerkleFrontier {
        do {
            return try ProvenCheckpoint(
                snapshot.proof, logPeaks: snapshot.logPeaks, genesis: genesis
            ).log
        } catch { throw DamagedLedger(place: "table snapshot: \(error)") }
    }

    // MARK: blocks

    private struct Walk {
        /// Of the last block that was looked at.
        var height: Height
        /// Nil when the walk does not begin at genesis.
        var hash: Digest?
        var log: MerkleFrontier?
        /// Number of the next posting.
        var posting: Int64?
    }

    private func check(_ walk: inout Walk) throws(DamagedLedger) {
        let height = walk.height.next
        let place = "block \(height)"
        guard let block = file.block(at: height), let columns = file.columns(at: height),
            block.height == height, walk.hash ?? block.header.previous == block.header.previous,
            columns.block[0].bytes == block.hash.bytes
        else { throw DamagedLedger(place: place) }
        let count = UInt64(block.header.transactionCount)
        let (first, isBelow) = block.header.logSize.subtractingReportingOverflow(count)
        guard !isBelow, columns.block[1] == StoredValue(first),
            columns.envelopes.count == block.envelopes.count
        else { throw DamagedLedger(place: "\(place), its place in the log") }
        var index = first
        for (envelope, columns) in zip(block.envelopes, columns.envelopes) {
            guard columns == [StoredValue(envelope.id.bytes), StoredValue(index)] else {
                throw DamagedLedger(place: "\(place), envelope \(envelope.id)")
            }
            for number in envelope.transactions.indices {
                walk.log?.append(envelope.logLeaf(number))
            }
            index += UInt64(envelope.transactions.count)
        }
        if let log = walk.log {
            guard log.size == block.header.logSize, log.root == block.header.logRoot else {
                throw DamagedLedger(place: "\(place), its transactions")
            }
        }
        guard let effects = file.effects(from: first, count: count),
            merkleRoot(effects.map(leafHash)) == block.header.effectsRoot
        else { throw DamagedLedger(place: "\(place), its effects") }
        try checkPostings(of: effects, from: first, height, &walk)
        (walk.height, walk.hash) = (height, block.hash)
    }

    private func checkPostings(
        of effects: [[UInt8]], from first: UInt64, _ height: Height, _ walk: inout Walk
    ) throws(DamagedLedger) {
        guard let posting = walk.posting else { return }
        var expected: [[StoredValue]] = []
        for (offset, bytes) in effects.enumerated() {
            guard let effect = try? WireEffect(strictly: bytes) else {
                throw DamagedLedger(place: "block \(height), its effects")
            }
            for posting in effect.postings {
                expected.append([
                    StoredValue(first + UInt64(offset)), StoredValue(height.value),
                    .text(posting.debit), .text(posting.credit), StoredValue(posting.microtokens),
                    .text(posting.rule), StoredValue(posting.availableFrom),
                ])
            }
        }
        guard file.postings(from: posting, count: expected.count) == expected else {
            throw DamagedLedger(place: "block \(height), its postings")
        }
        walk.posting = posting + Int64(expected.count)
    }
}
