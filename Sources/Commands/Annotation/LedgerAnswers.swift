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
        rejected: [RejectedRow]
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
