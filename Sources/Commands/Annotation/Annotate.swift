import ArgumentParser
import Ledger
import Node
import Wire

/// What became of a file of answers.
struct AnnotateReport: Codable {
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
    let rejected: [WriteReport.RejectedRow]

    var text: String {
        var lines = [
            "\(answers) answers: \(committed) committed and \(revealed) revealed now, \(done) done, "
                + "\(waiting) waiting for other readers, \(missed) missed"
        ]
        for row in rejected.prefix(10) { lines.append("  \(row.row): \(row.reason)") }
        if rejected.count > 10 { lines.append("  … and \(rejected.count - 10) more") }
        if waiting > 0 {
            lines.append(
                "run the same command again before the reveal window ends; a commitment "
                    + "never revealed costs the stake")
        }
        return lines.joined(separator: "\n")
    }
}

extension Tally {
    struct Annotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Commit a reader's answers, wait until reveals open, and reveal them.",
            discussion: """
                FILE has the columns item,answer. Nothing is sent unless every row is good and on \
                the reader's worklist. Salts are derived from the reader's key, so after a crash the \
                same command goes on where it stopped: keep the file until all is revealed.

                Example: tally annotate readings.csv --key readers/north-1
                """)

        @Argument(help: "A table of answers.", completion: .file(extensions: ["csv"]))
        var file: String
        @Option(
            name: [.long, .customLong("key")],
            help: ArgumentHelp(
                "The reader's home, with its keys; without it, TALLY_HOME.", valueName: "folder"))
        var home: String?
        @Flag(
            name: .customLong("no-wait"),
            help: "Do not wait for other readers; run the command again to reveal.")
        var noWait = false
        @OptionGroup var output: FormatOptions

        func validate() throws { _ = try homePath(home) }

        func run() async throws {
            let home = Home(try homePath(home))
            let account = try home.member().account
            guard account.role == .annotator else {
                throw CommandFault("\(home.path) is the home of \(account), not of an annotator")
            }
            let rule = try home.genesisDocument().agreement.annotation
            let table = try CSVTable(file: file, columns: ["item", "answer"])
            let rows = try readAnswers(table, classes: rule.classes)
            let report = try await SiteLink.connected(from: home) { link in
                var session = AnnotationSession(link: link, rows: rows)
                return try await session.run(waits: !noWait)
            }
            try output.show(report, \.text)
            guard report.rejected.isEmpty, report.missed == 0 else { throw ExitCode.failure }
        }
    }
}
