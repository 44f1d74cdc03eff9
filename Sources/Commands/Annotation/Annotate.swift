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
    /// Of those missed: committed, and not revealed in time.
    let unrevealed: Int
    let rejected: [WriteReport.RejectedRow]

    var text: String {
        var lines = [
            "\(answers) answers: \(committed) committed and \(revealed) revealed now, \(done) done, "
                + "\(waiting) waiting for other readers, \(missed) missed"
        ]
        if unrevealed > 0 {
            lines.append(
                "\(unrevealed) of those missed were committed and not revealed in time: that "
                    + "costs the stake, as `tally statement` shows")
        }
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
                FILE is a table item,answer, or a wide one with a column named after the reader (of \
                boxes item,width,height,label,left,top,right,bottom, of masks \
                item,width,height,runs); a COCO file of one annotator (boxes; masks in either form \
                of run lengths); or a Label Studio export (choices, rating, number, rectangles, \
                brush). Images are items by their file's name; one without boxes or masks says that \
                there is nothing on it, so leave out what you have not read. `tally annotations \
                show` says what a file holds. \
                Nothing is sent unless every answer is good and on the reader's worklist. Salts are \
                derived from the reader's key, so after a crash the same command goes on where it \
                stopped: keep the file until all is revealed.

                Example: tally annotate readings.csv --key readers/north-1
                """)

        @Argument(
            help: "A table, a COCO file or a Label Studio export.",
            completion: .file(extensions: ["csv", "json"]))
        var file: String
        @Option(
            name: [.long, .customLong("key")],
            help: ArgumentHelp(
                "The reader's home, with its keys; without it, TALLY_HOME.", valueName: "folder"))
        var home: String?
        @Option(help: "Whose annotations to take from an export of several people.")
        var annotator: String?
        @Option(help: "Which of several questions of a Label Studio export is meant.")
        var control: String?
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
            let bytes = try readFile(file)
            let isTable = !isJSON(bytes)
            let report = try await SiteLink.connected(from: home) { link in
                let source = AnswerSource(
                    file: file, rule: try await link.annotationRule(),
                    annotator: annotator ?? (isTable ? account.name : nil), control: control)
                let rows = try unsent { try readAnswers(bytes, source) }
                var session = AnnotationSession(link: link, source: source, rows: rows)
                return try await session.run(waits: !noWait)
            }
            try output.show(report, \.text)
            guard report.rejected.isEmpty, report.missed == 0 else { throw ExitCode.failure }
        }
    }
}

/// Says of a refused file that none of it left, so that nobody wonders about its other rows.
private func unsent<Value>(_ read: () throws -> Value) throws -> Value {
    do {
        return try read()
    } catch let fault as InputFault {
        throw InputFault(
            file: fault.file, line: fault.line, reason: fault.reason + "; nothing was sent")
    }
}
