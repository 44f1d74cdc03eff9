package import Ledger
package import Node

/// What the ledger has of a reader's answers, as the worklist of its site tells it.
package struct LedgerAnswers: Sendable {
    private let items: [String: WorklistItem]
    private let salts: ReaderSalts

    package init(_ items: [String: WorklistItem], salts: ReaderSalts) {
        self.items = items
        self.salts = salts
    }

    package func state(of row: AnnotatedItem) -> WorklistItem.State {
        items[row.item.text]?.state ?? .missed
    }

    package func isCommitted(_ row: AnnotatedItem) -> Bool {
        items[row.item.text]?.commitment != nil
    }

    /// The salt with which an answer opens the commitment that the ledger has of it.
    ///
    /// - Returns: nil without a commitment, or when it is one to another answer.
    package func opening(_ row: AnnotatedItem) -> [UInt8]? {
        items[row.item.text]?.commitment.flatMap {
            salts.salt(opening: $0, row.answer, of: row.item)
        }
    }

    /// Why an answer is not the one that the ledger has; nil when it has this one, or none.
    ///
    /// Of a missed item nothing is compared: no answer to it is taken any more.
    package func contradiction(_ row: AnnotatedItem) -> String? {
        guard isCommitted(row), opening(row) == nil else { return nil }
        switch state(of: row) {
        case .commit, .missed: return nil
        case .wait, .reveal:
            return "\(row.item) was committed with another answer than this, or under a key that "
                + "this home has not; reveal it with the file that was committed"
        case .done, .closed:
            return "\(row.item) was revealed with another answer than this, or under a key that "
                + "this home has not; the answer on the ledger stays: leave this one out"
        }
    }

    /// Whether the ledger has this very answer, though what was sent of it was rejected: another
    /// run of the command was faster.
    package func has(_ row: AnnotatedItem, revealed: Bool) -> Bool {
        guard opening(row) != nil else { return false }
        switch state(of: row) {
        case .done, .closed: return true
        case .wait, .reveal, .missed: return !revealed
        case .commit: return false
        }
    }

    /// What the file's items have come to.
    package func report(
        _ rows: [AnnotatedItem], account: AccountID, committed: Int, revealed: Int,
        rejected: [AnnotateReport.RejectedRow]
    ) -> AnnotateReport {
        let states = rows.map { state(of: $0) }
        let missed = rows.filter { state(of: $0) == .missed }
        return AnnotateReport(
            account: account.text, answers: rows.count, committed: committed, revealed: revealed,
            done: states.count { $0 == .done || $0 == .closed },
            waiting: states.count(where: \.isOwed), missed: missed.count,
            missedItems: missed.map(\.item.text), unrevealed: missed.count(where: isCommitted),
            rejected: rejected)
    }
}

/// What became of a file of answers.
package struct AnnotateReport: Codable, Sendable {
    package struct RejectedRow: Codable, Sendable {
        package let row: String
        package let reason: String

        package init(row: String, reason: String) {
            self.row = row
            self.reason = reason
        }
    }

    let account: String
    let answers: Int
    /// Sent by this command.
    let committed: Int
    let revealed: Int
    /// Of the file's items: revealed or with an outcome, at the end.
    let done: Int
    /// Committed, and waiting for the other readers.
    let waiting: Int
    /// Too late: the item's window passed without this reader.
    let missed: Int
    /// Their names, in the order of the file.
    let missedItems: [String]
    /// Of those missed: committed, and not revealed in time.
    let unrevealed: Int
    let rejected: [RejectedRow]

    /// How many missed items, and rejected rows, are listed for people.
    private static let listed = (items: 5, rows: 10)

    /// Whether all answers of the file are on the ledger, or may still get there.
    var isWhole: Bool { rejected.isEmpty && missed == 0 }

    package var text: String {
        var lines = [
            "\(answers) answers: \(committed) committed and \(revealed) revealed now, \(done) done, "
                + "\(waiting) waiting for other readers, \(missed) missed"
        ]
        if missed > 0 {
            let more = missed - Self.listed.items
            lines.append(
                "missed: " + missedItems.prefix(Self.listed.items).joined(separator: ", ")
                    + (more > 0 ? " and \(more) more (--format json lists all)" : "")
                    + "; their time is over and no answer to them is taken any more: leave them "
                    + "out of the file")
        }
        if unrevealed > 0 {
            lines.append(
                "\(unrevealed) of those missed were committed and not revealed in time: that "
                    + "costs the stake, as `tally statement` shows")
        }
        for row in rejected.prefix(Self.listed.rows) { lines.append("  \(row.row): \(row.reason)") }
        if rejected.count > Self.listed.rows {
            lines.append(
                "  … and \(rejected.count - Self.listed.rows) more; --format json lists all")
        }
        if waiting > 0 {
            lines.append(
                "run the same command again before the reveal window ends; a commitment "
                    + "never revealed costs the stake")
        }
        return lines.joined(separator: "\n")
    }
}

/// Why the command ended before it knew what became of the answers, and that it can be repeated.
///
/// - Parameters:
///   - error: that ended it.
///   - sent: transactions handed to the site before, of which the last may not have arrived.
/// - Returns: the sentence of the error, and what became of the answers.
package func interruption(_ error: any Error, sent: Int) -> CommandFault {
    CommandFault(
        sentence(for: error)
            + (sent == 0
                ? ". Nothing was sent; when that is mended, run the same command again"
                : ". What this run had sent before is not lost; run the same command again, it goes "
                    + "on where this one stopped"))
}
