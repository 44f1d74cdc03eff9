import Foundation
import Processes

extension Ended {
    /// Lines in which the program says why it could not.
    var sentences: [String] {
        errors.split(whereSeparator: \.isNewline).map(String.init)
            .filter { $0.hasPrefix("error: ") }
    }
}

/// Something that a test waits for did not happen, or a command that must work did not.
struct Unexpected: Error, CustomStringConvertible {
    let description: String
}

/// Starts the real executable; its output goes into two files.
///
/// - Parameters:
///   - arguments: of `tally`.
///   - path: of both files, without the extensions that set them apart.
///   - fileLimit: the largest file that it may write, in bytes: a full disk in miniature.
/// - Returns: the process.
/// - Throws: ``NotBuilt`` or ``ProcessFault``.
func startTally(
    _ arguments: [String], output path: String, fileLimit: Int? = nil
) throws -> ChildProcess {
    var environment = ProcessInfo.processInfo.environment
    environment["TALLY_HOME"] = nil
    environment["TALLY_PASSPHRASE"] = nil
    var command = [try builtExecutable("tally")] + arguments
    if let fileLimit {
        // POSIX counts this limit in blocks of 512 bytes.
        command =
            ["/bin/sh", "-c", "ulimit -f \"$1\"; shift; exec \"$@\"", "sh", "\(fileLimit / 512)"]
            + command
    }
    return try ChildProcess(
        command[0], Array(command.dropFirst()), environment: environment,
        output: .file(path + ".out"), errors: .file(path + ".log"))
}
