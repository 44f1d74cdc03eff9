import ArgumentParser
import Cryptography
import Foundation
import Node
import Storage

struct ExportedModel: Codable {
    let round: UInt32
    let model: String
    let file: String
    let bytes: Int
}

struct ExportReport: Codable {
    let run: UInt32
    let models: [ExportedModel]
}

extension Tally.Model {
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a model as a safetensors file.",
            discussion: """
                The file is the blob that the chain names, byte for byte; Python's safetensors \
                library opens it.

                Example: tally model export --final --out model.safetensors --home north
                Example: tally model export --all models --home north
                """)

        @Option(parsing: .unconditional, help: "The run; without it, the newest.")
        var run: UInt32?
        @Option(parsing: .unconditional, help: "The model after this round; 0 is the initial one.")
        var round: UInt32?
        @Flag(name: .customLong("final"), help: "The newest model of the run.")
        var isFinal = false
        @Option(
            help: ArgumentHelp("The file to write.", valueName: "file"),
            completion: .file(extensions: ["safetensors"]))
        var out: String?
        @Option(
            name: .customLong("all"),
            help: ArgumentHelp(
                "Write every round's model into this folder: round-001.safetensors and so on.",
                valueName: "folder"), completion: .directory)
        var folder: String?
        @OptionGroup var options: ReadOptions

        func validate() throws {
            let choices = [round != nil, isFinal, folder != nil].count { $0 }
            guard choices == 1 else {
                throw ValidationError("Choose one of --round N, --final and --all FOLDER.")
            }
            guard (folder == nil) == (out != nil) else {
                throw ValidationError(
                    folder == nil
                        ? "Name the file to write with --out." : "--out does not go with --all.")
            }
        }

        func run() async throws {
            let home = try options.home()
            try home.requireNode(for: "exporting models")
            let reporter = try reporter(home)
            guard let store = try blobs(home) else {
                throw CommandFault(
                    "\(home.blobs) is not there; this node has fetched no model yet, run its "
                        + "worker first")
            }
            let report = try reporter.rounds(run: run)
            let rounds =
                folder != nil
                ? report.rounds.map(\.round) : [round ?? report.closed]
            guard !rounds.isEmpty else {
                throw CommandFault("no round of run \(report.run) is closed yet; export later")
            }
            if let folder {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true)
            }
            let models = try rounds.map { number in
                let digest = try reporter.model(run: report.run, round: number)
                let file = out ?? "\(folder ?? ".")/round-\(padded(number)).safetensors"
                let bytes = try store.read(digest)
                try writeFile(bytes, to: file)
                return ExportedModel(
                    round: number, model: digest.hex, file: file, bytes: bytes.count)
            }
            try options.output.show(ExportReport(run: report.run, models: models)) { report in
                var table = Table("round", "bytes", "model", "file")
                for model in report.models {
                    table.add(
                        String(model.round), String(model.bytes), model.model, model.file)
                }
                return table.text
            }
        }
    }
}

/// A round in three digits, or as many as it needs.
private func padded(_ round: UInt32) -> String {
    let digits = String(round)
    return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
}
