import Foundation
import Synchronization

/// How a process ended, and what it printed.
package struct Ended: Sendable, CustomStringConvertible {
    /// The exit code, or the negative number of the signal that ended it.
    package let status: Int32
    package let output: String
    package let errors: String

    package var description: String { "status \(status): \(output)\(errors)" }
}

/// A process that we started.
///
/// Nobody ever waits for it without an end: whether it runs is asked again and again, and when
/// the time is over it is killed and the wait fails with its name and its last words.
package final class ChildProcess: Sendable {
    /// Where what it prints goes.
    package enum Destination: Sendable {
        /// A file without a name, read through this object.
        case unnamed
        case file(String)
        /// Our own; what goes there cannot be read here.
        case inherited

        fileprivate func open() throws -> OutputFile? {
            switch self {
            case .unnamed: try OutputFile()
            case .file(let path): try OutputFile(path: path)
            case .inherited: nil
            }
        }
    }

    private static let pollInterval = Duration.milliseconds(2)
    /// The kernel needs far less to end a killed process.
    private static let patienceAfterKill = Duration.seconds(10)

    package let id: Int32
    private let command: String
    private let output: OutputFile?
    private let errors: OutputFile?
    /// Our end of its standard input, held open for as long as this object lives.
    private let input: Int32?
    private let status = Mutex<Int32?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - path: of the program.
    ///   - arguments: without the program's own name.
    ///   - environment: all of it; our own by default.
    ///   - output: where its standard output goes.
    ///   - errors: where its standard error goes.
    ///   - holdsInput: whether its standard input is a pipe that ends when we do; else it is empty.
    /// - Throws: ``ProcessFault``.
    package init(
        _ path: String, _ arguments: [String], environment: [String: String]? = nil,
        output: Destination = .unnamed, errors: Destination = .unnamed, holdsInput: Bool = false
    ) throws {
        command = ([path] + arguments).joined(separator: " ")
        self.output = try output.open()
        self.errors = try errors.open()
        var ends: [Int32] = [-1, -1]
        if holdsInput {
            guard pipe(&ends) == 0 else { throw ProcessFault("there is no pipe left") }
        } else {
            ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)
        }
        defer { close(ends[0]) }
        input = holdsInput ? ends[1] : nil
        do {
            id = try spawn(
                path, arguments,
                environment: environment ?? ProcessInfo.processInfo.environment,
                descriptors: Descriptors(
                    input: ends[0], output: self.output?.descriptor ?? STDOUT_FILENO,
                    errors: self.errors?.descriptor ?? STDERR_FILENO))
        } catch {
            if holdsInput { close(ends[1]) }
            throw error
        }
    }

    deinit { if let input { close(input) } }

    /// Every line of its standard output so far.
    package var lines: [String] { output?.lines ?? [] }

    /// What it has said on its standard error so far.
    package var log: String { errors?.text ?? "" }

    package var isRunning: Bool { exitStatus == nil }

    /// The exit code, or the negative number of the signal; nil while it runs.
    private var exitStatus: Int32? {
        status.withLock { status in
            if status == nil { status = Self.reap(id) }
            return status
        }
    }

    private static func reap(_ id: pid_t) -> Int32? {
        var status: Int32 = 0
        let reaped = waitpid(id, &status, WNOHANG)
        if reaped == 0 || (reaped < 0 && errno == EINTR) { return nil }
        // Not our child any more: somebody else has reaped it, and how it ended is lost.
        guard reaped == id else { return .min }
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : -signal
    }

    /// Sends a signal; a process that has ended is left alone.
    package func signal(_ number: Int32) {
        status.withLock { status in
            if status == nil { status = Self.reap(id) }
            // Not reaped yet, so the id is still its own.
            if status == nil { Foundation.kill(id, number) }
        }
    }

    /// Sends SIGKILL and returns when the process is gone.
    ///
    /// - Throws: ``ProcessFault`` when the kernel does not end it.
    package func killNow() throws {
        signal(SIGKILL)
        let deadline = ContinuousClock.now + Self.patienceAfterKill
        while isRunning {
            guard .now < deadline else {
                throw fault("did not end within \(Self.patienceAfterKill) of SIGKILL")
            }
            usleep(500)
        }
    }

    /// Waits until the process has ended.
    ///
    /// - Parameter time: how long to wait; then it is killed.
    /// - Returns: its status and all that it printed.
    /// - Throws: ``ProcessFault`` when the time was over, or `CancellationError`.
    package func ended(within time: Duration = .seconds(90)) async throws -> Ended {
        let deadline = ContinuousClock.now + time
        while true {
            if let exitStatus {
                return Ended(status: exitStatus, output: output?.text ?? "", errors: log)
            }
            guard .now < deadline else {
                try killNow()
                throw fault("did not end within \(time) and was killed")
            }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    /// Waits for a line on its standard output.
    ///
    /// - Parameters:
    ///   - time: how long to wait.
    ///   - isWanted: the condition.
    /// - Returns: the first line that meets it, printed before or after the call.
    /// - Throws: ``ProcessFault`` when the process ended or the time is over, then it is killed.
    package func line(
        within time: Duration = .seconds(60), where isWanted: (String) -> Bool
    ) async throws -> String {
        let deadline = ContinuousClock.now + time
        var seen = 0
        while true {
            let hasEnded = !isRunning
            let lines = lines
            if let line = lines[seen...].first(where: isWanted) { return line }
            seen = lines.count
            guard !hasEnded else { throw fault("ended before it printed what was waited for") }
            guard .now < deadline else {
                try killNow()
                throw fault("did not print what was waited for within \(time) and was killed")
            }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    private func fault(_ what: String) -> ProcessFault {
        func last(_ text: String) -> String {
            text.split(whereSeparator: \.isNewline).suffix(3).joined(separator: " | ")
        }
        return ProcessFault(
            "process \(id), \(command), \(what); it last printed \"\(last(output?.text ?? ""))\" "
                + "and said \"\(last(log))\"")
    }
}
