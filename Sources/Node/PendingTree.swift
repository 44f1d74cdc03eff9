import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// A block that is kept above the settled ones.
struct PendingBlock: Sendable {
    let place: String
    let stored: StoredBlock
    let block: Block
    /// Where it stands among the terms; nil when its parent is not kept.
    var terms: TermPlace?

    var slot: Slot { block.slot }
    var isFirst: Bool { block.isFirst }

    /// Reads a block that is kept whole; what is wrong with it is a finding.
    init?(_ bytes: [UInt8], place: String, network: NetworkID, _ findings: inout Findings) {
        do {
            block = try Block(strictly: bytes, network: network)
            stored = try StoredBlock(place: place, height: block.height.value, whole: bytes)
        } catch {
            findings.add(place, "column block: \(error)")
            return nil
        }
        self.place = place
    }
}

/// The blocks above the settled ones: a small tree, for a term change may leave a branch behind.
struct PendingTree {
    private(set) var blocks: [Digest: PendingBlock] = [:]
    /// From the settled block to the highest slot that stands above it.
    private(set) var path: [Digest] = []

    /// Puts the rows of the table together.
    ///
    /// - Parameters:
    ///   - rows: of the ledger file.
    ///   - network: of the chain.
    ///   - settled: hash and height of the newest settled block.
    ///   - walk: up to that block.
    ///   - findings: where a difference goes.
    /// - Throws: ``TableFault`` for a table that is not there.
    init(
        _ rows: LedgerRows, network: NetworkID, settled: (hash: Digest, height: Height),
        walk: TermWalk, _ findings: inout Findings
    ) throws {
        let stored = try rows.rows(of: .pending)
        while let row = try stored.next() {
            let place = "table pending, term \(row[0].shown), height \(row[1].shown)"
            guard
                let pending = PendingBlock(
                    row[3].bytes ?? [], place: place, network: network, &findings)
            else { continue }
            if row[0] != StoredValue(pending.slot.term.value)
                || row[1] != StoredValue(pending.slot.height.value)
            {
                findings.add(place, "columns term and height: the block's are \(pending.slot)")
            }
            if row[2].bytes != pending.block.hash.bytes {
                findings.add(place, "column hash: it is not the block's, \(pending.block.hash)")
            }
            guard pending.block.height > settled.height else {
                findings.add(place, "such a block must not wait at settled heights")
                continue
            }
            blocks[pending.block.hash] = pending
        }
        grow(from: settled, walk, &findings)
    }

    /// Finds what stands above the settled block, and the way to the highest slot.
    private mutating func grow(
        from settled: (hash: Digest, height: Height), _ walk: TermWalk,
        _ findings: inout Findings
    ) {
        let children = Dictionary(grouping: ascending, by: \.block.header.previous)
        var growing = [(hash: settled.hash, height: settled.height, walk: walk, depth: 0)]
        var head: (slot: Slot, hash: Digest)?
        while let parent = growing.popLast() {
            let isFirst = blocks[parent.hash]?.isFirst ?? true
            for child in children[parent.hash] ?? []
            where child.block.height == parent.height.next {
                let hash = child.block.hash
                var walk = parent.walk
                blocks[hash]?.terms = walk.take(child.stored)
                if parent.depth > 1, !isFirst {
                    findings.add(
                        child.place, "such a block must not wait above height \(settled.height)")
                }
                if head.map({ $0 < (child.slot, hash) }) ?? true { head = (child.slot, hash) }
                growing.append((hash, child.block.height, walk, parent.depth + 1))
            }
        }
        var next = head?.hash
        while let hash = next, let block = blocks[hash] {
            path.append(hash)
            next = block.block.header.previous
        }
        path.reverse()
    }

    private var ascending: [PendingBlock] {
        blocks.sorted { ($0.value.slot, $0.key) < ($1.value.slot, $1.key) }.map(\.value)
    }

    /// Blocks beside the path, ascending by slot.
    var branches: [PendingBlock] {
        let own = Set(path)
        return ascending.filter { !own.contains($0.block.hash) }
    }
}
