import Cryptography
import Foundation
import GRDB
package import Ledger
import Wire

/// A posting of the ledger, with the transaction that caused it.
package struct RecordedPosting: Hashable, Sendable {
    package let logIndex: UInt64
    package let height: Height
    package let timeMilliseconds: UInt64
    package let cause: TransactionID
    package let debit: AccountID
    package let credit: AccountID
    package let amount: TokenAmount
    package let rule: String
    package let availableFrom: Height
    /// Of a correction: which posting it takes back.
    package let corrects: String
}

extension LedgerStore {
    /// The bytes of the effects of settled transactions, by their place in the log.
    package func effects(from first: UInt64, below end: UInt64) throws -> [[UInt8]] {
        try read { db in
            try Data.fetchAll(
                db,
                sql: """
                    SELECT content FROM effects WHERE logIndex >= ? AND logIndex < ?
                    ORDER BY logIndex
                    """,
                arguments: [Int64(clamping: first), Int64(clamping: end)]
            ).map { [UInt8]($0) }
        }
    }

    /// Everything posted to or from an account, in order; of all accounts when none is named.
    package func postings(of account: AccountID?) throws -> [RecordedPosting] {
        let columns = """
            SELECT postings.*, effects.content AS effect, blocks.header AS header FROM postings
            JOIN effects ON effects.logIndex = postings.logIndex
            JOIN blocks ON blocks.height = postings.height
            """
        let rows = try read { db in
            guard let account else {
                return try Row.fetchAll(db, sql: columns + " ORDER BY postings.id")
            }
            return try Row.fetchAll(
                db,
                sql: columns + """
                     WHERE postings.id IN (SELECT id FROM postings WHERE debit = ?1
                    UNION SELECT id FROM postings WHERE credit = ?1) ORDER BY postings.id
                    """, arguments: [account.text])
        }
        return try rows.map(recorded)
    }

    /// Everything that one settled transaction posted, in order; nothing for one that is not there.
    package func postings(by transaction: TransactionID) throws -> [RecordedPosting] {
        let row = try read { db in
            try Row.fetchOne(
                db,
                sql: """
                    SELECT effects.logIndex, effects.content AS effect, envelopes.height,
                    blocks.header AS header FROM envelopes
                    JOIN blocks ON blocks.height = envelopes.height
                    JOIN effects ON effects.logIndex = envelopes.firstIndex + ?
                    WHERE envelopes.hash = ?
                    """,
                arguments: [Int64(transaction.index), Data(transaction.envelope.bytes)])
        }
        guard let row else { return [] }
        let (content, header): (Data, Data) = (row["effect"], row["header"])
        guard let effect = try? WireEffect(strictly: [UInt8](content)),
            let index: UInt64 = row["logIndex"], let height: UInt64 = row["height"],
            let time = try? WireBlockHeader(strictly: [UInt8](header)).timeMs
        else { throw damaged("table effects") }
        guard [UInt8](effect.envelope) == transaction.envelope.bytes,
            effect.index == transaction.index
        else { return [] }
        return try effect.postings.map { posting in
            guard let debit = AccountID(posting.debit), let credit = AccountID(posting.credit)
            else { throw damaged("table effects") }
            return RecordedPosting(
                logIndex: index, height: Height(height), timeMilliseconds: time,
                cause: transaction, debit: debit, credit: credit,
                amount: TokenAmount(microtokens: posting.microtokens), rule: posting.rule,
                availableFrom: Height(posting.availableFrom), corrects: posting.corrects)
        }
    }

    /// Settled envelopes that hold these bytes, oldest first; every one above a height is read.
    package func envelopes(holding bytes: [UInt8], from height: Height) throws -> [Envelope] {
        let contents = try read { db in
            try Data.fetchAll(
                db,
                sql: """
                    SELECT content FROM envelopes WHERE height >= ? AND instr(content, ?) > 0
                    ORDER BY height, id
                    """, arguments: [Int64(clamping: height.value), Data(bytes)])
        }
        return try contents.map { content in
            do {
                return try Envelope(strictly: [UInt8](content), network: genesis.network)
            } catch { throw damaged("table envelopes") }
        }
    }

    private func recorded(_ row: Row) throws -> RecordedPosting {
        let (effect, header): (Data, Data) = (row["effect"], row["header"])
        let microtokens: Int64 = row["microtokens"]
        let availableFrom: Int64 = row["availableFrom"]
        guard let index: UInt64 = row["logIndex"], let height: UInt64 = row["height"],
            let debit = AccountID(row["debit"] as String),
            let credit = AccountID(row["credit"] as String),
            let cause = try? WireEffect(strictly: [UInt8](effect)),
            let envelope = Digest(cause.envelope),
            let time = try? WireBlockHeader(strictly: [UInt8](header)).timeMs
        else { throw damaged("table postings") }
        let amount = UInt64(bitPattern: microtokens)
        let corrects = cause.postings.first {
            !$0.corrects.isEmpty && $0.debit == debit.text && $0.credit == credit.text
                && $0.microtokens == amount
        }?.corrects
        return RecordedPosting(
            logIndex: index, height: Height(height), timeMilliseconds: time,
            cause: TransactionID(envelope: envelope, index: cause.index), debit: debit,
            credit: credit,
            amount: TokenAmount(microtokens: amount), rule: row["rule"],
            availableFrom: Height(UInt64(bitPattern: availableFrom)), corrects: corrects ?? "")
    }
}
