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
    /// Whose votes the file holds.
    var voters: Set<AccountID>
    /// Votes above the settled blocks, by height, and what else there is of them.
    var votes: VoteRows
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
    private(set) var findings = Findings()

    init(genesis: Genesis, rows: LedgerRows) {
        self.genesis = genesis
        self.rows = rows
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
        var votes = VoteRows(try rows.rows(of: .votes))
        var envelopes = EnvelopeRows(try rows.rows(of: .envelopes))
        var result = Collected()
        var bytes: [Int] = []
        let blocks = try rows.rows(of: .blocks)
        do {
            while let row = try blocks.next() {
                let height = UInt64(clamping: row.first?.integer ?? 0)
                let own = envelopes.take(height: height, &findings)
                var block = storedBlock(row, height, own)
                block.vote = votes.take(height: height, &findings)
                pipeline.submit(block)
                bytes.append(own.reduce(0) { $0 + $1.content.count })
                while pipeline.underWay > Self.window || bytes.reduce(0, +) > Self.windowBytes,
                    let audited = pipeline.next()
                {
                    bytes.removeFirst()
                    compare(audited, &effects, &postings, &result)
                    progress(audited.height)
                }
            }
        } catch { findings.add("table blocks", "\(error)") }
        while let audited = pipeline.next() {
            compare(audited, &effects, &postings, &result)
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
            audit: audit, keys: keys, envelopes: result.envelopes, voters: result.voters,
            votes: votes, postings: result.postings)
    }

    private struct Collected {
        var envelopes: Set<Digest> = []
        var voters: Set<AccountID> = []
        var postings: Int64 = 0
    }

    private func storedBlock(
        _ row: [StoredValue], _ height: UInt64, _ envelopes: [StoredBlock.StoredEnvelope]
    ) -> StoredBlock {
        // A value of another type reads as nothing, and then fails every check of its column.
        StoredBlock(
            place: "table blocks, height \(height)", height: height, header: row[2].bytes ?? [],
            signature: row[3].bytes ?? [], certificate: row[4].bytes ?? [],
            columns: StoredBlock.Columns(
                hash: row[1].bytes ?? [], firstIndex: row[5].integer ?? -1),
            envelopes: envelopes)
    }

    /// Compares the rows that a block's execution must have left.
    private mutating func compare(
        _ block: AuditedBlock, _ effects: inout RowCheck, _ postings: inout RowCheck,
        _ result: inout Collected
    ) {
        result.envelopes.formUnion(block.envelopeIDs)
        if let voter = block.voter { result.voters.insert(voter) }
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
            if number != last + 1 {
                findings.add(
                    "table envelopes, row \(number)", "column id: it should be \(last + 1)")
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

/// This node's votes, handed out height by height; there is one term yet.
struct VoteRows {
    private let rows: StoredRows
    private var waiting: [StoredValue]?
    private var isReadable = true

    init(_ rows: StoredRows) { self.rows = rows }

    private mutating func peek(_ findings: inout Findings) -> [StoredValue]? {
        if waiting == nil, isReadable {
            do { waiting = try rows.next() } catch { findings.add("table votes", "\(error)") }
            isReadable = waiting != nil
        }
        return waiting
    }

    mutating func take(
        height: UInt64, _ findings: inout Findings
    ) -> StoredBlock.StoredVote? {
        let wanted = (Term.first.value, height)
        while let row = peek(&findings) {
            let found = (
                UInt64(clamping: row[0].integer ?? 0), UInt64(clamping: row[1].integer ?? 0)
            )
            guard found >= wanted else {
                report(row, &findings)
                continue
            }
            guard found == wanted else { return nil }
            waiting = nil
            return StoredBlock.StoredVote(
                isFirst: row[2] == .integer(1), content: row[3].bytes ?? [])
        }
        return nil
    }

    mutating func finish(_ findings: inout Findings) {
        while let row = peek(&findings) { report(row, &findings) }
    }

    private mutating func report(_ row: [StoredValue], _ findings: inout Findings) {
        waiting = nil
        findings.add(
            "table votes, term \(row[0].shown), height \(row[1].shown)",
            "this node keeps no block there")
    }
}
