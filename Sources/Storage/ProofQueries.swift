import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger
import Wire

/// What proofs are made of.
extension LedgerStore {
    /// Height of the settled block that contains an envelope; nil when none does.
    package func height(of envelope: Digest) throws -> Height? {
        let height = try read { db in
            try UInt64.fetchOne(
                db, sql: "SELECT height FROM envelopes WHERE hash = ?",
                arguments: [Data(envelope.bytes)])
        }
        return height.map { Height($0) }
    }

    /// Header and signature of a settled block; nil when there is none.
    package func signedHeader(at height: Height) throws -> SignedHeader? {
        let row = try read { db in
            try Row.fetchOne(
                db, sql: "SELECT header, signature FROM blocks WHERE height = ?",
                arguments: [height.value])
        }
        guard let row else { return nil }
        let (header, signature): (Data, Data) = (row["header"], row["signature"])
        do {
            return try SignedHeader(
                bytes: [UInt8](header), signature: signature, network: genesis.network)
        } catch { throw damaged("block \(height): \(error)") }
    }

    /// Encoded effects of a settled block, in order.
    package func effects(of block: Block) throws -> [[UInt8]] {
        let count = UInt64(block.header.transactionCount)
        let (first, overflow) = block.header.logSize.subtractingReportingOverflow(count)
        guard !overflow else { throw damaged("block \(block.height)") }
        let effects = try read { db in
            try Data.fetchAll(
                db,
                sql: """
                    SELECT content FROM effects WHERE logIndex >= ? AND logIndex < ?
                    ORDER BY logIndex
                    """, arguments: [first, block.header.logSize])
        }
        return effects.map { [UInt8]($0) }
    }

    /// The audit path of a transaction in the log of the first so many.
    ///
    /// Every transaction up to that size is read and hashed; nothing is kept of them.
    ///
    /// - Parameters:
    ///   - index: of the transaction in the log.
    ///   - size: of the log, as a block's header states it.
    ///   - root: of that log.
    /// - Returns: the path, from the leaf upwards.
    /// - Throws: when the ledger holds another log, or cannot be read.
    package func logPath(
        of index: UInt64, size: UInt64, root: Digest
    ) throws -> [Digest] {
        var path = InclusionPath(of: index)
        let network = genesis.network
        try read { db in
            let rows = try Data.fetchCursor(db, sql: "SELECT content FROM envelopes ORDER BY id")
            while path.size < size, let content = try rows.next() {
                let envelope = try WireEnvelope(strictly: [UInt8](content))
                let id = payloadHash(.envelope, network: network, [UInt8](envelope.header))
                for (index, transaction) in envelope.transactions.enumerated() {
                    path.append(logLeaf(id, UInt32(index), [UInt8](transaction)))
                }
            }
        }
        guard path.size == size, let found = path.path(), found.root == root else {
            throw damaged("table envelopes")
        }
        return found.path
    }

    /// The newest settled posting to or from an account.
    package func newestCause(of account: AccountID) throws -> UInt64? {
        try read { db in
            try UInt64.fetchOne(
                db,
                sql: """
                    SELECT logIndex FROM postings WHERE id = (SELECT max(
                    ifnull((SELECT max(id) FROM postings WHERE debit = ?1), 0),
                    ifnull((SELECT max(id) FROM postings WHERE credit = ?1), 0)))
                    """, arguments: [account.text])
        }
    }

    /// The transaction at a place in the log.
    package func transaction(at logIndex: UInt64) throws -> TransactionID? {
        let content = try read { db in
            try Data.fetchOne(
                db, sql: "SELECT content FROM effects WHERE logIndex = ?", arguments: [logIndex])
        }
        guard let content else { return nil }
        guard let effect = try? WireEffect(strictly: [UInt8](content)),
            let envelope = Digest(effect.envelope)
        else { throw damaged("table effects, index \(logIndex)") }
        return TransactionID(envelope: envelope, index: effect.index)
    }

    /// Blocks above the settled one on the branch with the highest slot, ascending.
    package func branch() throws -> [Block] {
        let pending = Dictionary(
            try pendingBlocks().map { ($0.hash, $0) }, uniquingKeysWith: { first, _ in first })
        let settled = try tip().hash
        var branch: [Block] = []
        for top in pending.values.sorted(by: { ($0.slot, $0.hash) > ($1.slot, $1.hash) }) {
            branch = [top]
            while let first = branch.first, let parent = pending[first.header.previous] {
                branch.insert(parent, at: 0)
            }
            if branch.first?.header.previous == settled { return branch }
        }
        return []
    }
}
