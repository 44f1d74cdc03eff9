import Cryptography
import Ledger
import Replay
import Storage

/// Whose home is looked at: its account and its own vote keys.
struct HomeVoter: Sendable {
    let account: AccountID
    let keys: Set<VerifyingKey>

    /// Whether one of the sets lists a key of this home.
    func votes(in sets: [VoterSet]) -> Bool {
        sets.contains { $0.keys[account].map(keys.contains) == true }
    }
}

/// This node's votes, handed out slot by slot.
private struct VoteRows {
    struct Row {
        let columns: Slot?
        let isFirst: StoredValue
        let content: [UInt8]
        let place: String
    }

    private let rows: StoredRows
    private var waiting: Row?
    private var isReadable = true
    /// The highest term of any row read.
    private(set) var newestTerm = Term.genesis
    /// Rows at whose slots stands no block of the chain.
    private(set) var strays: [Row] = []

    init(_ rows: StoredRows) { self.rows = rows }

    private mutating func peek(_ findings: inout Findings) -> Row? {
        guard waiting == nil, isReadable else { return waiting }
        do {
            if let row = try rows.next() { waiting = Self.row(row) }
        } catch { findings.add("table votes", "\(error)") }
        isReadable = waiting != nil
        if let term = waiting?.columns?.term { newestTerm = max(newestTerm, term) }
        return waiting
    }

    private static func row(_ values: [StoredValue]) -> Row {
        let numbers = values.prefix(2).compactMap(\.integer).compactMap { UInt64(exactly: $0) }
        return Row(
            columns: numbers.count == 2
                ? Slot(term: Term(numbers[0]), height: Height(numbers[1])) : nil,
            isFirst: values[2], content: values[3].bytes ?? [],
            place: "table votes, term \(values[0].shown), height \(values[1].shown)")
    }

    mutating func take(at slot: Slot, _ findings: inout Findings) -> Row? {
        while let row = peek(&findings) {
            guard let columns = row.columns, columns >= slot else {
                strays.append(row)
                waiting = nil
                continue
            }
            guard columns == slot else { return nil }
            waiting = nil
            return row
        }
        return nil
    }

    mutating func finish(_ findings: inout Findings) {
        while let row = peek(&findings) {
            strays.append(row)
            waiting = nil
        }
    }
}

/// Checks this node's votes against the blocks that it keeps.
///
/// Not every settled block must have a vote, nor every vote a settled block: a voter that promised
/// a higher term is silent, and a term change drops blocks that were voted for.
struct VoteAudit {
    /// A block without this node's vote, though the node's key was asked for one.
    private struct Missing {
        let slot: Slot
        let isFirst: Bool
        /// The term of the next block above that this node did vote for: what it signed before it
        /// met the block without a vote was for no higher term.
        var until: Term?
    }

    private let network: NetworkID
    private let home: HomeVoter?
    private var rows: VoteRows
    private var missing: [Missing] = []
    /// Missing ones above which no vote was found yet.
    private var open = 0
    private var strays: [(vote: Vote, isFirst: Bool, place: String)] = []
    /// Slots of votes that a status names as its newest; they must be there.
    private var named: [Slot: String]
    private(set) var voters: Set<AccountID> = []

    /// - Parameters:
    ///   - rows: of the table of votes.
    ///   - network: of the chain.
    ///   - home: whose votes they are, when it can be told.
    ///   - named: slots at which there must be a vote, and the place of the status that says so.
    init(_ rows: StoredRows, network: NetworkID, home: HomeVoter?, named: [Slot: String]) {
        self.rows = VoteRows(rows)
        self.network = network
        self.home = home
        self.named = named
    }

    /// The highest term of a vote.
    var newestTerm: Term { rows.newestTerm }

    /// The vote at a slot; slots are asked for in ascending order.
    mutating func take(
        at slot: Slot, _ findings: inout Findings
    ) -> StoredBlock.StoredVote? {
        guard let row = rows.take(at: slot, &findings) else { return nil }
        named[slot] = nil
        if row.isFirst != .integer(0), row.isFirst != .integer(1) {
            findings.add(row.place, "column isFirst: it says \(row.isFirst.shown)")
        }
        return StoredBlock.StoredVote(isFirst: row.isFirst == .integer(1), content: row.content)
    }

    /// Takes note of what was found of a block of the chain; blocks come in ascending order.
    mutating func note(_ block: AuditedBlock, _ findings: inout Findings) {
        switch block.vote {
        case .given(let voter):
            voters.insert(voter)
            for index in open..<missing.count { missing[index].until = block.slot.term }
            open = missing.count
        case .forAnother(let vote, let isFirst):
            take(
                vote, isFirst: isFirst, at: block.slot,
                "table votes, term \(block.slot.term), height \(block.height)", &findings)
        case .unreadable: break
        case .none:
            guard home?.votes(in: block.terms.after.certifying) == true else { return }
            missing.append(Missing(slot: block.slot, isFirst: block.terms.isFirst))
        }
    }

    private mutating func take(
        _ vote: Vote, isFirst: Bool, at slot: Slot?, _ place: String, _ findings: inout Findings
    ) {
        guard vote.slot == slot else {
            return findings.add(place, "column content: it is a vote at another slot")
        }
        named[vote.slot] = nil
        voters.insert(vote.voter)
        strays.append((vote, isFirst, place))
    }

    /// Checks the votes that are for no block of the chain, and blocks without a vote.
    ///
    /// - Parameters:
    ///   - blocks: kept beside the chain, by hash.
    ///   - sets: every voter set that this node knows of.
    ///   - statuses: terms for which this node signed a status.
    ///   - findings: where a difference goes.
    mutating func finish(
        blocks: [Digest: PendingBlock], sets: Set<VoterSet>, statuses: Set<Term>,
        _ findings: inout Findings
    ) {
        rows.finish(&findings)
        for row in rows.strays {
            do throws(VoteFault) {
                let vote = try Vote(strictly: row.content)
                if row.isFirst != .integer(0), row.isFirst != .integer(1) {
                    findings.add(row.place, "column isFirst: it says \(row.isFirst.shown)")
                }
                take(
                    vote, isFirst: row.isFirst == .integer(1), at: row.columns, row.place,
                    &findings)
            } catch { findings.add(row.place, "column content: \(error)") }
        }
        for stray in strays {
            if !isSigned(stray.vote, sets) {
                findings.add(
                    stray.place,
                    "column content: no voter set lists a key of \(stray.vote.voter) that signed it"
                )
            }
            if let block = blocks[stray.vote.block],
                block.slot != stray.vote.slot || block.isFirst != stray.isFirst
            {
                findings.add(stray.place, "it does not fit the block that it is for")
            }
        }
        reportMissing(statuses, &findings)
        for (slot, place) in named.sorted(by: { $0.key < $1.key }) {
            findings.add(
                "table votes, term \(slot.term), height \(slot.height)",
                "there is no vote, though \(place), says so")
        }
    }

    private func isSigned(_ vote: Vote, _ sets: Set<VoterSet>) -> Bool {
        var keys = Set(sets.compactMap { $0.keys[vote.voter] })
        if let home, home.account == vote.voter { keys.formUnion(home.keys) }
        return keys.contains { vote.isSigned(by: $0, network: network) }
    }

    /// Reports blocks without a vote, save those that this node may have met when it was bound
    /// otherwise: by a status or vote of a higher term, or by its vote for another first block.
    private func reportMissing(_ statuses: Set<Term>, _ findings: inout Findings) {
        let terms = statuses.union(strays.map(\.vote.slot.term)).sorted()
        let firsts = Set(strays.filter(\.isFirst).map(\.vote.slot.term))
        var next = 0
        for block in missing {
            // Ascending like the blocks.
            while next < terms.count, terms[next] <= block.slot.term { next += 1 }
            let isBound = next < terms.count && block.until.map { terms[next] <= $0 } ?? true
            if isBound || block.isFirst && firsts.contains(block.slot.term) { continue }
            findings.add(
                "table votes, term \(block.slot.term), height \(block.slot.height)",
                "there is no vote, though this node keeps the block")
        }
    }
}
