import Foundation
import TestSupport

/// How a process of `tally` ended, and what it printed.
struct Ended: Sendable, CustomStringConvertible {
    /// The exit code, or the negative number of the signal that ended it.
    let status: Int32
    let output: String
    let errors: String

    var description: String { "status \(status): \(output)\(errors)" }

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

/// A process of the real executable, its output kept in files.
///
/// `@unchecked Sendable`: the `Process` is set up before anybody else sees it; after that it is
/// only asked whether it runs.
final class TallyProcess: @unchecked Sendable {
    private static let pollInterval = Duration.milliseconds(5)

    private let process = Process()
    private let output: URL
    private let errors: URL

    /// Starts it; its output goes into two files of the given path with extensions of their own.
    ///
    /// A limit of the files that it may write, in bytes, is a full disk in miniature.
    init(_ arguments: [String], output path: String, fileLimit: Int? = nil) throws {
        let executable = try builtExecutable("tally")
        output = URL(filePath: path + ".out")
        errors = URL(filePath: path + ".log")
        if let fileLimit {
            // POSIX counts this limit in blocks of 512 bytes.
            process.executableURL = URL(filePath: "/bin/sh")
            process.arguments =
                ["-c", "ulimit -f \"$1\"; shift; exec \"$@\"", "sh", "\(fileLimit / 512)"]
                + [executable.path()] + arguments
        } else {
            process.executableURL = executable
            process.arguments = arguments
        }
        var environment = ProcessInfo.processInfo.environment
        environment["TALLY_HOME"] = nil
        environment["TALLY_PASSPHRASE"] = nil
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        let files = try [output, errors].map { file in
            try Data().write(to: file)
            return try FileHandle(forWritingTo: file)
        }
        process.standardOutput = files[0]
        process.standardError = files[1]
        try process.run()
        for file in files { try file.close() }
    }

    var isRunning: Bool { process.isRunning }

    /// What it has said on stderr so far.
    var log: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

    /// Waits until the process has ended.
    ///
    /// - Parameter time: how long to wait; then it is killed, and its status is -9.
    /// - Returns: its status and all that it printed.
    /// - Throws: `CancellationError`, or an error of the files.
    func ended(within time: Duration = .seconds(90)) async throws -> Ended {
        let deadline = ContinuousClock.now + time
        while process.isRunning {
            if .now > deadline { signal(SIGKILL) }
            try await Task.sleep(for: Self.pollInterval)
        }
        let status = process.terminationStatus
        return Ended(
            status: process.terminationReason == .exit ? status : -status,
            output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
    }

    /// Sends a signal; a process that has ended is left alone.
    func signal(_ number: Int32) {
        if process.isRunning { kill(process.processIdentifier, number) }
    }

    /// Kills the process and returns when it is gone.
    func killNow() {
        signal(SIGKILL)
        process.waitUntilExit()
    }
}
