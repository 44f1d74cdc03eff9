/// What became of a file of answers.
package struct AnnotateReport: Codable, Sendable {
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
