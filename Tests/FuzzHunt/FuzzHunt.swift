import ArgumentParser
import Foundation
import Fuzzing

/// Feeds the parsers of outside bytes for as long as wanted.
@main struct FuzzHunt: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz",
        abstract: "Feed mutated bytes to every parser of bytes from outside.",
        discussion: """
            No parser may trap, hang, hold more than a few MiB beyond its input, or take bytes that \
            its content does not encode to. Inputs follow from the seed alone. One that gives a \
            refusal not seen before becomes a seed of further ones; in a build that counts \
            branches (Tests/FuzzHunt/coverage) also one that reaches a new branch.

            A trap ends the process; the input is then in the file that is named at the beginning \
            of the run, and `fuzz replay TARGET FILE --tape` runs it again.

            Example: fuzz run --seconds 600 --parallel 2
            """,
        subcommands: [Run.self, Replay.self, List.self])
}

/// A line at once, also into a pipe.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

extension FuzzHunt {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The names of all targets.")

        func run() throws {
            for target in try FuzzTarget.all() { say(target.name) }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give one input to a target.")

        @Argument(help: "As `fuzz list` names it.") var target: String
        @Argument(help: "The input.") var file: String
        @Flag(help: "The file is one that a crash left.") var tape = false
        @Flag(help: "The file holds hex digits.") var hex = false

        func run() throws {
            let target = try named([target])[0]
            var input = [UInt8](try Data(contentsOf: URL(filePath: file)))
            if tape { input = try Fuzzing.input(ofTape: input).orFail("no tape") }
            if hex {
                let text = String(decoding: input, as: UTF8.self)
                input = try bytes(hexadecimal: text).orFail("no hex digits")
            }
            switch target.outcome(of: input) {
            case .accepted(let encoded):
                say(
                    "accepted" + (encoded.map { $0 == input } == false ? ", encodes otherwise" : "")
                )
            case .refused(let reason): say("refused: \(reason)")
            }
        }
    }
}

/// The targets of these names, or all.
func named(_ names: [String]) throws -> [FuzzTarget] {
    let all = try FuzzTarget.all()
    guard !names.isEmpty else { return all }
    return try names.map { name in
        try all.first { $0.name == name }.orFail(
            "there is no target \(name); there are \(all.map(\.name).joined(separator: ", "))")
    }
}

extension Optional {
    fileprivate func orFail(_ reason: String) throws -> Wrapped {
        guard let self else { throw ValidationError(reason) }
        return self
    }
}
