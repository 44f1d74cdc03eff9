package import Foundation
import Synchronization

/// An executable of this package is not where the tests run.
package struct NotBuilt: Error, CustomStringConvertible {
    package let path: String

    package var description: String { "\(path) is not there; run swift build --build-tests" }
}

/// An executable of this package, which the build puts beside the tests.
///
/// - Throws: ``NotBuilt``.
package func builtExecutable(_ name: String) throws -> URL {
    let tests = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    let executable = tests.deletingLastPathComponent().appending(path: name)
    guard FileManager.default.isExecutableFile(atPath: executable.path()) else {
        throw NotBuilt(path: executable.path())
    }
    return executable
}

/// The processes of one test, none of which outlives it.
///
/// A suite keeps one as a property; when the suite's instance goes, so do its processes.
package final class ChildProcesses: Sendable {
    private let started = Mutex<[ChildProcess]>([])

    package init() {}

    deinit {
        for process in started.withLock({ $0 }) { process.kill() }
    }

    /// Starts an executable of this package.
    ///
    /// - Throws: ``NotBuilt``, or the system's error.
    package func start(_ executable: String, _ arguments: [String]) throws -> ChildProcess {
        let process = try ChildProcess(builtExecutable(executable), arguments)
        started.withLock { $0.append(process) }
        return process
    }
}

/// A process did not print what a test waits for.
package struct MissingLine: Error, CustomStringConvertible {
    package let description: String
}

/// A running process and the lines that it has printed.
///
/// `@unchecked Sendable`: `Process` and the pipes are set up before anybody else sees them; after
/// that the process is only asked whether it runs, and the input is only held open.
package final class ChildProcess: @unchecked Sendable {
    private static let pollInterval = Duration.milliseconds(2)

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private let printed = Mutex(Printed())

    private struct Printed {
        var lines: [String] = []
        var rest: [UInt8] = []
        var hasEnded = false
    }

    /// Its standard output is kept; its standard error is the tests' own.
    init(_ executable: URL, _ arguments: [String]) throws {
        process.executableURL = executable
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let handle = output.fileHandleForReading
        Thread.detachNewThread { [printed = Weak(self)] in
            while case let bytes = handle.availableData, !bytes.isEmpty {
                printed.process?.take(bytes)
            }
            printed.process?.printed.withLock { $0.hasEnded = true }
        }
    }

    /// Everything printed so far, line by line.
    package var lines: [String] { printed.withLock { $0.lines } }

    /// Waits for a line.
    ///
    /// - Parameters:
    ///   - time: how long to wait.
    ///   - isWanted: the condition.
    /// - Returns: the first line that meets it, printed before or after the call.
    /// - Throws: ``MissingLine`` when the process ended or the time is over.
    package func line(
        within time: Duration = .seconds(60), where isWanted: (String) -> Bool
    ) async throws -> String {
        let deadline = ContinuousClock.now + time
        var seen = 0
        while true {
            let (lines, hasEnded) = printed.withLock { ($0.lines, $0.hasEnded) }
            if let line = lines[seen...].first(where: isWanted) { return line }
            seen = lines.count
            guard !hasEnded, .now < deadline else {
                let last = lines.suffix(3).joined(separator: " | ")
                throw MissingLine(
                    description: "\(hasEnded ? "it ended" : "time is over"); last: \(last)")
            }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    /// Waits until the process has ended and all its output is read.
    ///
    /// - Parameter time: how long to wait; then it is killed.
    /// - Returns: its exit code, or the negative number of the signal that ended it.
    /// - Throws: `CancellationError`.
    package func exit(within time: Duration = .seconds(60)) async throws -> Int32 {
        let deadline = ContinuousClock.now + time
        while process.isRunning || !printed.withLock({ $0.hasEnded }) {
            if .now > deadline { kill() }
            try await Task.sleep(for: Self.pollInterval)
        }
        let status = process.terminationStatus
        return process.terminationReason == .exit ? status : -status
    }

    /// Sends SIGKILL; a process that has ended is left alone.
    package func kill() { signal(SIGKILL) }

    package func signal(_ number: Int32) {
        if process.isRunning { Foundation.kill(process.processIdentifier, number) }
    }

    private func take(_ bytes: Data) {
        printed.withLock { printed in
            printed.rest += bytes
            while let end = printed.rest.firstIndex(of: UInt8(ascii: "\n")) {
                printed.lines.append(String(decoding: printed.rest[..<end], as: UTF8.self))
                printed.rest.removeSubrange(...end)
            }
        }
    }

    /// Lets the reading thread end with the process, not the other way round.
    private final class Weak: @unchecked Sendable {
        // Set once, before the thread starts; weak references are read atomically.
        weak var process: ChildProcess?
        init(_ process: ChildProcess) { self.process = process }
    }
}
