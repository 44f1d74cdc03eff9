import Contracts
import Cryptography
import Foundation
import Ledger
import Replay
import Storage
import Wire

/// What a walk of a ledger file came to.
struct WalkedLedger {
    var audit: ChainAudit
    /// Signing keys of all members, for signatures outside the chain.
    let keys: [AccountID: VerifyingKey]
    /// Ids of all settled envelopes.
    let envelopes: Set<Digest>
    /// Ids of envelopes that this node, as coordinator, must have accepted.
    let accepted: Set<Digest>
    /// What was found of this node's votes, and those above the settled blocks.
    var votes: VoteAudit
    let statuses: [StatusRow]
    /// Up to the newest settled block.
    let terms: TermWalk
    let settledHeight: Height
    let settledHash: Digest
    let postings: Int64
}

/// Walks a ledger file from genesis to its newest settled block.
///
/// Every row of the settled blocks, their envelopes, effects and postings, and this node's vote for
/// each block, is compared with what re-execution gives.
struct LedgerAudit {
    /// Blocks and bytes that may be under way at once.
    private static let window = 128
    private static let windowBytes = 48 << 20

    let genesis: Genesis
    let rows: LedgerRows
    /// Whose home it is, when it can be told.
    let home: HomeVoter?
    private(set) var findings = Findings()

    init(genesis: Genesis, rows: LedgerRows, home: HomeVoter?) {
        self.genesis = genesis
        self.rows = rows
        self.home = home
    }

    /// Walks all settled blocks; ``findings`` then holds what was found.
    ///
    /// - Parameter progress: told the height reached.
    /// - Returns: the re-executed chain.
    /// - Throws: ``TableFault`` for a table that is not there.
    mutating func walk(progress: (UInt64) -> Void) throws -> WalkedLedger {
        let pipeline = AuditPipeline(genesis: genesis)
        var effects = RowCheck(try rows.rows(of: .effects))
        var postings = RowCheck(try rows.rows(of: .postings))
        let statuses = try statusRows(rows, &findings)
        let named = statuses.compactMap { row in row.status.lastVote.map { ($0, row.place) } }
        var votes = VoteAudit(
            try rows.rows(of: .votes), network: genesis.network, home: home,
            named: Dictionary(named, uniquingKeysWith: { first, _ in first }))
        var terms = TermWalk(genesis: genesis)
        var envelopes = EnvelopeRows(try rows.rows(of: .envelopes))
        var result = Collected()
        var bytes: [Int] = []
        let blocks = try rows.rows(of: .blocks)
        do {
            while let row = try blocks.next() {
                let height = UInt64(clamping: row.first?.integer ?? 0)
                let own = envelopes.take(height: height, &findings)
                var block = storedBlock(row, height, own)
                let place = terms.take(block)
                let slot = Slot(term: place.rules.term, height: Height(height))
                block.vote = votes.take(at: slot, &findings)
                pipeline.submit(block, at: place)
                bytes.append(own.reduce(0) { $0 + $1.content.count })
                while pipeline.underWay > Self.window || bytes.reduce(0, +) > Self.windowBytes,
                    let audited = pipeline.next()
                {
                    bytes.removeFirst()
                    compare(audited, &effects, &postings, &votes, &result)
                    progress(audited.height)
                }
            }
        } catch { findings.add("table blocks", "\(error)") }
        while let audited = pipeline.next() {
            compare(audited, &effects, &postings, &votes, &result)
            progress(audited.height)
        }
        let (audit, keys) = pipeline.finish()
        var all = audit.findings
        all.add(findings)
        findings = all
        envelopes.finish(&findings)
        if audit.isExecuting {
            effects.finish(&findings)
            postings.finish(&findings)
        }
        return WalkedLedger(
            audit: audit, keys: keys, envelopes: result.envelopes,
            accepted: result.accepted, votes: votes, statuses: statuses, terms: terms,
            settledHeight: Height(audit.height), settledHash: audit.hash,
            postings: result.postings)
    }

    private struct Collected {
        var envelopes: Set<Digest> = []
        var accepted: Set<Digest> = []
        var postings: Int64 = 0
    }

    private func storedBlock(
        _ row: [StoredValue], _ height: UInt64, _ envelopes: [StoredBlock.StoredEnvelope]
    ) -> StoredBlock {
        // A value of another type reads as nothing, and then fails every check of its column.
        StoredBlock(
            place: "table blocks, height \(height)", height: height, header: row[2].bytes ?? [],
            signature: row[3].bytes ?? [], certificate: row[4].bytes ?? [],
            opening: row[6].bytes ?? [],
            columns: StoredBlock.Columns(
                hash: row[1].bytes ?? [], firstIndex: row[5].integer ?? -1),
            envelopes: envelopes)
    }

    /// Compares the rows that a block's execution must have left.
    private mutating func compare(
        _ block: AuditedBlock, _ effects: inout RowCheck, _ postings: inout RowCheck,
        _ votes: inout VoteAudit, _ result: inout Collected
    ) {
        result.envelopes.formUnion(block.envelopeIDs)
        votes.note(block, &findings)
        // What waited when a later term opened came from the blocks that it dropped, too.
        if block.slot.term == .first, case .given(let voter) = block.vote,
            voter == home?.account, voter == block.terms.rules.coordinator
        {
            result.accepted.formUnion(block.acceptedIDs)
        }
        guard let expected = block.effects else { return }
        for (offset, effect) in expected.enumerated() {
            let index = block.firstIndex + UInt64(offset)
            func detail() -> String {
                " (transaction \(hexString(effect.envelope))/\(effect.index), height \(block.height))"
            }
            effects.expect(
                [StoredValue(index), StoredValue(effect.encoded())], detail(), &findings)
            for posting in effect.postings {
                result.postings += 1
                postings.expect(
                    [
                        .integer(result.postings), StoredValue(index), StoredValue(block.height),
                        StoredValue(Array(posting.debit.utf8)),
                        StoredValue(Array(posting.credit.utf8)),
                        StoredValue(posting.microtokens), StoredValue(Array(posting.rule.utf8)),
                        StoredValue(posting.availableFrom),
                    ], detail(), &findings)
            }
        }
    }
}

/// The rows of the table of envelopes, handed out block by block.
private struct EnvelopeRows {
    private let rows: StoredRows
    private var waiting: [[StoredValue]] = []
    private var isReadable = true
    private var last: Int64 = 0

    init(_ rows: StoredRows) { self.rows = rows }

    private mutating func fill(_ count: Int, _ findings: inout Findings) {
        while waiting.count < count, isReadable {
            do {
                if let row = try rows.next() { waiting.append(row) } else { isReadable = false }
            } catch {
                findings.add("table envelopes", "\(error)")
                isReadable = false
            }
        }
    }

    /// The next rows, as far as they belong to a block.
    ///
    /// A single row of another height between two of this block's is taken for one of them, so that
    /// a changed height is named by its row.
    mutating func take(
        height: UInt64, _ findings: inout Findings
    ) -> [StoredBlock.StoredEnvelope] {
        var result: [StoredBlock.StoredEnvelope] = []
        fill(2, &findings)
        while let row = waiting.first {
            let belongs = isOf(height, row)
            guard belongs || waiting.count > 1 && isOf(height, waiting[1]) else { break }
            let number = row[0].integer ?? 0
            if number != last &+ 1 {
                findings.add(
                    "table envelopes, row \(number)", "column id: it should be \(last &+ 1)")
            }
            last = number
            result.append(
                StoredBlock.StoredEnvelope(
                    content: row[4].bytes ?? [],
                    columns: StoredBlock.StoredEnvelope.Columns(
                        row: number, hash: row[1].bytes ?? [], height: row[2].integer ?? -1,
                        firstIndex: row[3].integer ?? -1)))
            waiting.removeFirst()
            fill(2, &findings)
        }
        return result
    }

    private func isOf(_ height: UInt64, _ row: [StoredValue]) -> Bool {
        row[2].integer.flatMap { UInt64(exactly: $0) } == height
    }

    mutating func finish(_ findings: inout Findings) {
        fill(1, &findings)
        while let row = waiting.first {
            findings.add(
                "table envelopes, row \(row[0].shown)",
                "it says height \(row[2].shown), where the blocks have no such envelope")
            waiting.removeFirst()
            fill(1, &findings)
        }
    }
}
