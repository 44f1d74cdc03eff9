import Foundation
package import Processes

extension Ended {
    /// Lines in which the program says why it could not.
    package var sentences: [String] {
        errors.split(whereSeparator: \.isNewline).map(String.init)
            .filter { $0.hasPrefix("error: ") }
    }
}

/// Something that a test waits for did not happen, or a command that must work did not.
package struct Unexpected: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Starts the real executable; its output goes into two files.
///
/// - Parameters:
///   - arguments: of `tally`.
///   - path: of both files, without the extensions that set them apart.
///   - fileLimit: the largest file that it may write, in bytes: a full disk in miniature.
///   - variables: of its environment, beside our own.
/// - Returns: the process.
/// - Throws: ``NotBuilt`` or ``ProcessFault``.
package func startTally(
    _ arguments: [String], output path: String, fileLimit: Int? = nil,
    variables: [String: String] = [:]
) throws -> ChildProcess {
    var environment = ProcessInfo.processInfo.environment
    environment["TALLY_HOME"] = nil
    environment["TALLY_PASSPHRASE"] = nil
    environment.merge(variables) { _, new in new }
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
