package import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger
import Wire

extension LedgerStore {
    /// Keeps a block and the vote for it with all that it stands on, in one transaction, one fsync.
    ///
    /// The vote's uniqueness by (term, height), and by term for first blocks, is the schema's.
    package func commit(_ commitment: Commitment) throws {
        try write { db in
            for settled in commitment.settled {
                try Self.writeSettled(settled, in: db)
            }
            if let tip = commitment.settled.last?.tip { try Self.writeTip(tip, in: db) }
            // Before the state, for it keeps what is there.
            try Self.writeCheckpoints(commitment.settled, in: db)
            let changes = commitment.settled.map(\.execution.changes)
                .reduce(into: StateChanges()) { $0.merge($1) { _, last in last } }
            try Self.writeState(changes, rehashed: commitment.rehashed, in: db)
            for dropped in commitment.dropped { try Self.writeDropped(dropped, in: db) }
            try Self.writeBlock(commitment, in: db)
            try Self.writeJournal(commitment.journal, in: db)
        }
    }

    private static func writeJournal(_ journal: Journal, in db: Database) throws {
        try db.cachedStatement(sql: "UPDATE journal SET term = ?, highest = ?").execute(arguments: [
            journal.term.value, Data(journal.highest?.bytes ?? []),
        ])
    }

    private static func writeBlock(_ commitment: Commitment, in db: Database) throws {
        let block = commitment.block.block
        if let vote = commitment.votes.first {
            try db.cachedStatement(sql: "INSERT INTO votes VALUES (?, ?, ?, ?)").execute(
                arguments: [
                    block.slot.term.value, block.height.value, block.isFirst,
                    Data(vote.encoded()),
                ])
        }
        try db.cachedStatement(sql: "INSERT INTO pending VALUES (?, ?, ?, ?)").execute(arguments: [
            block.slot.term.value, block.height.value, Data(block.hash.bytes), Data(block.bytes),
        ])
    }

    /// Takes back what no block of the chain holds: its envelopes wait again.
    private static func writeDropped(_ dropped: ExecutedBlock, in db: Database) throws {
        for envelope in dropped.block.envelopes {
            let hash = Data(envelope.id.bytes)
            let isSettled = try Bool.fetchOne(
                db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM envelopes WHERE hash = ?)"),
                arguments: [hash])
            guard isSettled == false else { continue }
            try db.cachedStatement(
                sql: """
                    INSERT INTO accepted (hash, receipt, envelope) VALUES (?, ?, ?)
                    ON CONFLICT (hash) DO UPDATE SET envelope = excluded.envelope
                    """
            ).execute(arguments: [hash, Data(), Data(envelope.bytes)])
        }
    }

    private static func writeSettled(_ settled: ExecutedBlock, in db: Database) throws {
        let block = settled.block
        let height = block.height.value
        let count = UInt64(settled.execution.effects.count)
        let first = settled.tip.log.size - count
        try db.cachedStatement(sql: "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)").execute(
            arguments: [
                height, Data(block.hash.bytes), Data(block.headerBytes),
                Data(block.signature.bytes), Data(block.parentCertificate?.bytes ?? []), first,
                Data(block.opening?.bytes ?? []),
            ])
        var index = first
        for envelope in block.envelopes {
            try db.cachedStatement(
                sql: """
                    INSERT INTO envelopes (hash, height, firstIndex, content) VALUES (?, ?, ?, ?)
                    """
            ).execute(arguments: [
                Data(envelope.id.bytes), height, index, Data(envelope.bytes),
            ])
            try db.cachedStatement(sql: "UPDATE accepted SET envelope = NULL WHERE hash = ?")
                .execute(arguments: [Data(envelope.id.bytes)])
            index += UInt64(envelope.transactions.count)
        }
        let effectRow = try db.cachedStatement(sql: "INSERT INTO effects VALUES (?, ?)")
        let postingRow = try db.cachedStatement(
            sql: """
                INSERT INTO postings (logIndex, height, debit, credit, microtokens, rule,
                availableFrom) VALUES (?, ?, ?, ?, ?, ?, ?)
                """)
        for (offset, effect) in settled.execution.effects.enumerated() {
            let index = first + UInt64(offset)
            try effectRow.execute(arguments: [index, Data(effect.encoded())])
            for posting in effect.postings {
                try postingRow.execute(arguments: [
                    index, height, posting.debit, posting.credit,
                    Int64(bitPattern: posting.microtokens), posting.rule,
                    Int64(bitPattern: posting.availableFrom),
                ])
            }
        }
        try db.cachedStatement(sql: "DELETE FROM pending WHERE height <= ?")
            .execute(arguments: [height])
        try db.cachedStatement(sql: "DELETE FROM proposals WHERE height <= ?")
            .execute(arguments: [height])
    }

    static func writeTip(_ tip: Tip, in db: Database) throws {
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO tip VALUES (1, ?, ?, ?, ?, ?, ?)"
        ).execute(arguments: [
            tip.slot.term.value, tip.height.value, Data(tip.hash.bytes), tip.timeMilliseconds,
            tip.log.size, Data(tip.log.peaks.flatMap(\.bytes)),
        ])
    }

    static func writeState(
        _ changes: StateChanges, rehashed: [UInt16: Digest], in db: Database
    ) throws {
        let set = try db.cachedStatement(sql: "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)")
        let remove = try db.cachedStatement(sql: "DELETE FROM state WHERE kind = ? AND key = ?")
        var dirty: Set<UInt16> = []
        for key in changes.keys.sorted() {
            let kind = Int(key.table.rawValue)
            if let value = changes[key] ?? nil {
                try set.execute(arguments: [
                    kind, Data(key.key), Int(key.bucket), Data(value),
                ])
            } else {
                try remove.execute(arguments: [kind, Data(key.key)])
            }
            if rehashed[key.bucket] == nil { dirty.insert(key.bucket) }
        }
        let mark = try db.cachedStatement(
            sql: """
                INSERT INTO buckets VALUES (?, ?, 1) ON CONFLICT (bucket) DO UPDATE SET isDirty = 1
                """)
        let empty = Data(MerkleFrontier().root.bytes)
        for bucket in dirty.sorted() { try mark.execute(arguments: [Int(bucket), empty]) }
        let clean = try db.cachedStatement(sql: "INSERT OR REPLACE INTO buckets VALUES (?, ?, 0)")
        for (bucket, digest) in rehashed.sorted(by: { $0.key < $1.key }) {
            try clean.execute(arguments: [Int(bucket), Data(digest.bytes)])
        }
    }

    // MARK: what the coordinator keeps

    /// The orderer: the durable append of a proposal decides what stands at its slot.
    ///
    /// - Returns: false when another block already stands there, or another first block of its term.
    package func append(_ proposal: Block) throws -> Bool {
        var stands = false
        try write { db in
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO proposals VALUES (?, ?, ?, ?)")
                .execute(arguments: [
                    proposal.slot.term.value, proposal.height.value, proposal.isFirst,
                    Data(proposal.bytes),
                ])
            let bytes = try Data.fetchOne(
                db.cachedStatement(
                    sql: "SELECT block FROM proposals WHERE term = ? AND height = ?"),
                arguments: [proposal.slot.term.value, proposal.height.value])
            stands = bytes.map { [UInt8]($0) } == proposal.bytes
        }
        return stands
    }

    // MARK: what is kept of the next term

    /// Keeps statuses before they leave; they cannot be taken back.
    package func commit(_ commitment: StatusCommitment) throws {
        try write { db in
            for (number, report) in commitment.reports.enumerated() {
                try db.cachedStatement(sql: "INSERT INTO statuses VALUES (?, ?, ?)").execute(
                    arguments: [commitment.journal.term.value, number, Data(report)])
            }
            try Self.writeJournal(commitment.journal, in: db)
        }
    }

    /// Keeps a decision, of which people may vote.
    package func keep(_ decision: Decision) throws {
        try write { db in
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?)").execute(
                arguments: [
                    Data(decision.hash.bytes), decision.term.value, Data(decision.bytes),
                ])
        }
    }

    /// Keeps a ballot for a decision that is kept.
    package func keep(_ ballot: Ballot) throws {
        try write { db in
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO ballots VALUES (?, ?, ?)").execute(
                arguments: [
                    Data(ballot.decision.bytes), ballot.voter.text, Data(ballot.bytes),
                ])
        }
    }

    /// Forgets decisions that gave way to newer ones, with the ballots for them.
    package func forget(_ decisions: [Digest]) throws {
        try write { db in
            for hash in decisions {
                for sql in [
                    "DELETE FROM ballots WHERE decision = ?",
                    "DELETE FROM decisions WHERE hash = ?",
                ] {
                    try db.cachedStatement(sql: sql).execute(arguments: [Data(hash.bytes)])
                }
            }
        }
    }

    /// Keeps an envelope with the receipt that promises its inclusion, until it is settled.
    ///
    /// The coordinator keeps what it accepted; a site what it handed in, for the next coordinator
    /// may never have heard of it.
    package func accept(_ envelope: Envelope, receipt: [UInt8]) throws {
        try write { db in
            let isSettled = try Bool.fetchOne(
                db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM envelopes WHERE hash = ?)"),
                arguments: [Data(envelope.id.bytes)])
            try db.cachedStatement(
                sql: """
                    INSERT INTO accepted (hash, receipt, envelope) VALUES (?, ?, ?)
                    ON CONFLICT (hash) DO UPDATE SET receipt = excluded.receipt
                    """
            ).execute(arguments: [
                Data(envelope.id.bytes), Data(receipt),
                isSettled == true ? nil : Data(envelope.bytes),
            ])
        }
    }

    /// Forgets an envelope that can never be ordered, such as one that expired.
    package func giveUp(_ envelope: Digest) throws {
        try write { db in
            try db.cachedStatement(
                sql: "DELETE FROM accepted WHERE hash = ? AND envelope IS NOT NULL"
            ).execute(arguments: [Data(envelope.bytes)])
        }
    }
}
