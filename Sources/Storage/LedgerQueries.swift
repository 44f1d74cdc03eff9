package import Contracts
package import Cryptography
import Foundation
import GRDB
package import Ledger
package import Wire

/// Where an envelope stands, in the words a user meets.
package enum Stage: String, Codable, Comparable, Sendable {
    case unknown, accepted, ordered, certified, settled

    private var rank: Int {
        switch self {
        case .unknown: 0
        case .accepted: 1
        case .ordered: 2
        case .certified: 3
        case .settled: 4
        }
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rank < rhs.rank }
}

extension LedgerStore {
    package func tip() throws -> Tip {
        let row = try read { db in try Row.fetchOne(db, sql: "SELECT * FROM tip") }
        guard let row else { throw damaged("table tip") }
        let peaks: Data = row["logPeaks"]
        let bytes = [UInt8](peaks)
        let digests = stride(from: 0, to: bytes.count, by: 32).compactMap {
            Digest(bytes[$0..<min($0 + 32, bytes.count)])
        }
        let hash: Data = row["hash"]
        guard let hash = Digest(hash), let size: UInt64 = row["logSize"],
            let log = MerkleFrontier(size: size, peaks: digests), let term: UInt64 = row["term"],
            let height: UInt64 = row["height"], let time: UInt64 = row["timeMilliseconds"]
        else { throw damaged("table tip") }
        return Tip(
            slot: Slot(term: Term(term), height: Height(height)), hash: hash,
            timeMilliseconds: time, log: log,
            terms: TermHistory(
                genesis: genesis, openings: try openings(), upTo: Height(height)))
    }

    /// What the settled chain lists for a member; nil when it is none, or has left.
    package func listedMember(_ account: AccountID) throws -> WireMemberDocument? {
        try memberState(account).flatMap { $0.endedHeight == 0 ? $0.document : nil }
    }

    /// The settled height at which a member's keys ended; nil when they are in force, or it never
    /// was one.
    package func endedHeight(of account: AccountID) throws -> Height? {
        try memberState(account).flatMap { $0.endedHeight == 0 ? nil : Height($0.endedHeight) }
    }

    private func memberState(_ account: AccountID) throws -> WireMemberState? {
        let key = StateKey(.members, Array(account.text.utf8))
        guard let bytes = try SQLiteState(self).value(at: key) else { return nil }
        do {
            return try WireMemberState(strictly: bytes)
        } catch { throw damaged("table state, member \(account): \(error)") }
    }

    /// The terms of the settled chain, each with the height of its first block.
    package func terms() throws -> TermHistory { try tip().terms }

    private func openings() throws -> [(height: Height, opening: Opening)] {
        let rows = try read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT height, opening FROM blocks WHERE length(opening) > 0 ORDER BY height")
        }
        var openings: [(height: Height, opening: Opening)] = []
        if let snapshot = try snapshot() {
            openings = try snapshot.openings(network: genesis.network)
        }
        return try openings
            + rows.map { row in
                let bytes: Data = row["opening"]
                guard let height: UInt64 = row["height"] else { throw damaged("table blocks") }
                do {
                    return (
                        Height(height),
                        try Opening(strictly: [UInt8](bytes), network: genesis.network)
                    )
                } catch { throw damaged("block \(height): \(error)") }
            }
    }

    /// What this voter has signed, as far as it still matters.
    package func journal() throws -> Journal {
        let (row, votes) = try read { db in
            (
                try Row.fetchOne(db, sql: "SELECT * FROM journal"),
                try Data.fetchAll(
                    db,
                    sql: """
                        SELECT content FROM votes WHERE height > (SELECT height FROM tip)
                        OR isFirst = 1 AND term = (SELECT term FROM journal)
                        OR (term, height) = (SELECT term, height FROM votes ORDER BY term DESC,
                        height DESC LIMIT 1) ORDER BY term, height
                        """)
            )
        }
        guard let row, let term: UInt64 = row["term"] else { throw damaged("table journal") }
        let highest: Data = row["highest"]
        var journal = Journal(term: Term(term))
        do {
            for bytes in votes {
                let vote = try Vote(strictly: [UInt8](bytes))
                journal.votes[vote.slot] = vote.block
                journal.lastVote = vote.slot
            }
            if !highest.isEmpty { journal.highest = try Certificate(strictly: [UInt8](highest)) }
        } catch { throw damaged("table votes or journal: \(error)") }
        journal.firstBlock = try firstVote(of: journal.term)?.block
        return journal
    }

    private func firstVote(of term: Term) throws -> Vote? {
        let bytes = try read { db in
            try Data.fetchOne(
                db, sql: "SELECT content FROM votes WHERE isFirst = 1 AND term = ?",
                arguments: [term.value])
        }
        guard let bytes else { return nil }
        do {
            return try Vote(strictly: [UInt8](bytes))
        } catch { throw damaged("table votes, term \(term): \(error)") }
    }

    /// This voter's statuses for the highest term that it signed one for, as they travel.
    package func statusReports() throws -> [WireStatusReport] {
        let rows = try read { db in
            try Data.fetchAll(
                db,
                sql: """
                    SELECT report FROM statuses WHERE term = (SELECT max(term) FROM statuses)
                    ORDER BY number
                    """)
        }
        return try rows.map { bytes in
            do {
                return try WireStatusReport(strictly: [UInt8](bytes))
            } catch { throw damaged("table statuses: \(error)") }
        }
    }

    /// Decisions of terms above one, ascending by term, then by hash.
    package func decisions(above term: Term) throws -> [Decision] {
        let rows = try read { db in
            try Data.fetchAll(
                db, sql: "SELECT content FROM decisions WHERE term > ? ORDER BY term, hash",
                arguments: [Int64(clamping: term.value)])
        }
        return try rows.map { bytes in
            do {
                return try Decision(strictly: [UInt8](bytes), network: genesis.network)
            } catch { throw damaged("table decisions: \(error)") }
        }
    }

    /// Ballots for a decision, voters ascending.
    package func ballots(for decision: Digest) throws -> [Ballot] {
        let rows = try read { db in
            try Data.fetchAll(
                db, sql: "SELECT content FROM ballots WHERE decision = ? ORDER BY voter",
                arguments: [Data(decision.bytes)])
        }
        return try rows.map { bytes in
            do {
                return try Ballot(strictly: [UInt8](bytes))
            } catch { throw damaged("table ballots: \(error)") }
        }
    }

    package func stateTree() throws -> StateTree {
        let rows = try read { db in try Row.fetchAll(db, sql: "SELECT * FROM buckets") }
        var buckets: [UInt16: Digest] = [:]
        var dirty: Set<UInt16> = []
        for row in rows {
            let digest: Data = row["digest"]
            guard let number: Int = row["bucket"], let bucket = UInt16(exactly: number),
                let digest = Digest(digest)
            else { throw damaged("table buckets") }
            buckets[bucket] = digest
            if row["isDirty"] == 1 { dirty.insert(bucket) }
        }
        return StateTree(buckets: buckets, dirty: dirty)
    }

    /// Blocks above the settled ones that this node executed, ascending by slot.
    package func pendingBlocks() throws -> [Block] {
        try blocks(
            sql: "SELECT block FROM pending ORDER BY term, height, hash", table: "pending")
    }

    /// Proposals that are not settled, ascending by slot.
    package func proposals() throws -> [Block] {
        try blocks(sql: "SELECT block FROM proposals ORDER BY term, height", table: "proposals")
    }

    /// Whether this coordinator appended a first block of a term.
    package func hasFirstProposal(of term: Term) throws -> Bool {
        try read { db in
            try Bool.fetchOne(
                db,
                sql: "SELECT EXISTS (SELECT 1 FROM proposals WHERE isFirst = 1 AND term = ?)",
                arguments: [Int64(clamping: term.value)]) == true
        }
    }

    private func blocks(sql: String, table: String) throws -> [Block] {
        let rows = try read { db in try Data.fetchAll(db, sql: sql) }
        return try rows.map { bytes in
            do {
                return try Block(strictly: [UInt8](bytes), network: genesis.network)
            } catch { throw damaged("table \(table): \(error)") }
        }
    }

    package func vote(at slot: Slot) throws -> Vote? {
        let bytes = try read { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT content FROM votes WHERE term = ? AND height = ?"),
                arguments: [Int64(clamping: slot.term.value), Int64(clamping: slot.height.value)])
        }
        guard let bytes else { return nil }
        do {
            return try Vote(strictly: [UInt8](bytes))
        } catch { throw damaged("table votes, \(slot): \(error)") }
    }

    /// Accepted envelopes that are not in a settled block, in order of acceptance.
    package func waitingEnvelopes() throws -> [Envelope] {
        let rows = try read { db in
            try Data.fetchAll(
                db,
                sql: "SELECT envelope FROM accepted WHERE envelope IS NOT NULL ORDER BY id")
        }
        return try rows.map { bytes in
            do {
                return try Envelope(strictly: [UInt8](bytes), network: genesis.network)
            } catch { throw damaged("table accepted: \(error)") }
        }
    }

    package func receipt(of envelope: Digest) throws -> WireReceipt? {
        let bytes = try read { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT receipt FROM accepted WHERE hash = ?"),
                arguments: [Data(envelope.bytes)])
        }
        guard let bytes else { return nil }
        do {
            return try WireReceipt(strictly: [UInt8](bytes))
        } catch { throw damaged("table accepted: \(error)") }
    }

    /// The hash of a settled block; of genesis the network's id.
    package func hash(at height: Height) throws -> Digest? {
        guard height > .genesis else { return genesis.network.digest }
        let bytes = try read { db in
            try Data.fetchOne(
                db.cachedStatement(
                    sql: """
                        SELECT hash FROM blocks WHERE height = ?1
                        UNION ALL SELECT hash FROM snapshot WHERE height = ?1
                        """),
                arguments: [Int64(clamping: height.value)])
        }
        return bytes.flatMap { Digest($0) }
    }

    /// The certificate that a settled block carries, of the one below it; empty when there is none.
    package func parentCertificate(at height: Height) throws -> [UInt8] {
        let bytes = try read { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT parentCertificate FROM blocks WHERE height = ?"),
                arguments: [Int64(clamping: height.value)])
        }
        return bytes.map { [UInt8]($0) } ?? []
    }

    /// A settled block, put together again from its parts; nil when there is none.
    package func block(at height: Height) throws -> Block? {
        let parts = try read { db -> (Row, [Data])? in
            guard
                let row = try Row.fetchOne(
                    db, sql: "SELECT * FROM blocks WHERE height = ?",
                    arguments: [Int64(clamping: height.value)])
            else { return nil }
            let envelopes = try Data.fetchAll(
                db, sql: "SELECT content FROM envelopes WHERE height = ? ORDER BY id",
                arguments: [height.value])
            return (row, envelopes)
        }
        guard let (row, envelopes) = parts else { return nil }
        var wire = WireBlock()
        wire.header = row["header"]
        wire.signature = row["signature"]
        wire.parentCertificate = row["parentCertificate"]
        wire.envelopes = envelopes
        wire.opening = row["opening"]
        do {
            return try Block(strictly: wire.encoded(), network: genesis.network)
        } catch { throw damaged("block \(height): \(error)") }
    }

    /// The height of a settled envelope and the outcomes of its transactions.
    package func outcomes(of envelope: Digest) throws -> (height: Height, outcomes: [UInt32])? {
        try read { db in
            guard
                let row = try Row.fetchOne(
                    db, sql: "SELECT height, firstIndex, content FROM envelopes WHERE hash = ?",
                    arguments: [Data(envelope.bytes)]),
                let height: UInt64 = row["height"], let first: UInt64 = row["firstIndex"]
            else { return nil }
            let content: Data = row["content"]
            let held = try Envelope(strictly: [UInt8](content), network: genesis.network)
            let effects = try Data.fetchAll(
                db, sql: "SELECT content FROM effects WHERE logIndex >= ? AND logIndex < ?",
                arguments: [first, first + UInt64(held.transactions.count)])
            let outcomes = try effects.map { try WireEffect(strictly: [UInt8]($0)).outcome }
            return (Height(height), outcomes)
        }
    }
}
