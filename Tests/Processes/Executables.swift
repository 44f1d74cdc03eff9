import Foundation
import Synchronization

/// An executable of this package is not where the tests run.
package struct NotBuilt: Error, CustomStringConvertible {
    package let path: String

    package var description: String { "\(path) is not there; run swift build --build-tests" }
}

/// The path of an executable of this package, which the build puts beside the tests.
///
/// - Throws: ``NotBuilt``.
package func builtExecutable(_ name: String) throws -> String {
    let tests = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    let path = tests.deletingLastPathComponent().appending(path: name).path()
    guard FileManager.default.isExecutableFile(atPath: path) else { throw NotBuilt(path: path) }
    return path
}

/// The processes of one test, none of which outlives it.
///
/// A suite keeps one as a property; when the suite's instance goes, so do its processes.
package final class ChildProcesses: Sendable {
    private let started = Mutex<[ChildProcess]>([])

    package init() {}

    deinit {
        for process in started.withLock({ $0 }) { process.signal(SIGKILL) }
    }

    /// Starts an executable of this package; its standard error is the tests' own.
    ///
    /// - Throws: ``NotBuilt``, or ``ProcessFault``.
    package func start(_ executable: String, _ arguments: [String]) throws -> ChildProcess {
        let process = try ChildProcess(
            builtExecutable(executable), arguments, errors: .inherited, holdsInput: true)
        started.withLock { $0.append(process) }
        return process
    }
}
