import ArgumentParser
import Ledger
import Messaging
import Node

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
        @Option(
            help: "Whose column of a wide table, or annotations of an export of several people.")
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
            // Nil until the home is known to be whole.
            var sent: Int?
            do {
                let report = try await SiteLink.connected(from: home) { link in
                    sent = 0
                    let source = AnswerSource(
                        file: file, rule: try await link.annotationRule(), annotator: annotator,
                        reader: account.name, control: control)
                    let rows = try unsent { try readAnswers(bytes, source) }
                    var session = AnnotationSession(link: link, source: source, rows: rows)
                    defer { sent = session.sent }
                    return try await session.run(waits: !noWait)
                }
                try output.show(report, \.text)
                guard report.isWhole else { throw ExitCode.failure }
            } catch let error where isOfTheSite(error) {
                guard let sent else { throw error }
                throw interruption(error, sent: sent)
            }
        }
    }
}

/// Whether the site, or the way to it, ended the command, and not what the reader handed in.
private func isOfTheSite(_ error: any Error) -> Bool {
    error is MessagingError || error is RemoteFailure || error is CommandFault
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
