import Foundation
package import Processes
import Synchronization

/// A coordinator and three sites as real processes, in a folder that is theirs alone.
///
/// Ports stand in the members' documents, so copies of one deployment must not run together.
package final class Deployment: Sendable {
    package static let coordinator = "hub"
    package static let sites = ["north", "east", "west"]
    package static let nodes = [coordinator] + sites

    package let folder: String
    private let running = Mutex<[String: ChildProcess]>([:])
    private let commands = Mutex<[ChildProcess]>([])
    private let started = Atomic<Int>(0)

    /// - Parameter folder: exists, and is removed by whoever made it.
    package init(folder: String) { self.folder = folder }

    package func home(_ name: String) -> String { "\(folder)/\(name)" }

    /// A new file in the folder.
    package func file(_ name: String, _ content: [UInt8]) throws -> String {
        let path = "\(folder)/\(name)"
        try Data(content).write(to: URL(filePath: path))
        return path
    }

    package func file(_ name: String, _ content: String) throws -> String {
        try file(name, Array(content.utf8))
    }

    private func outputPath(_ name: String) -> String {
        let number = started.add(1, ordering: .relaxed).newValue
        return "\(folder)/logs/\(number)-\(name)"
    }

    // MARK: services

    private static func arguments(_ name: String, home: String) -> [String] {
        [name.hasPrefix(coordinator) ? "coordinator" : "site", "run", "--home", home]
    }

    /// Starts the worker of a node and waits until it is up.
    ///
    /// - Parameters:
    ///   - name: of the node.
    ///   - fileLimit: the largest file that it may write, in bytes.
    /// - Throws: ``Unexpected`` with its log when it does not come up.
    package func start(_ name: String, fileLimit: Int? = nil) async throws {
        let process = try launch(name, fileLimit: fileLimit)
        try await eventually("\(name) is up", within: .seconds(60)) {
            if process.log.contains(" is up") { return true }
            guard process.isRunning else {
                throw Unexpected(description: "\(name) did not start: \(process.log)")
            }
            return false
        }
    }

    package func startAll() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in Self.nodes { group.addTask { try await self.start(name) } }
            try await group.waitForAll()
        }
    }

    /// Starts a worker without waiting for it.
    ///
    /// - Parameters:
    ///   - name: of the node.
    ///   - fileLimit: the largest file that it may write, in bytes.
    ///   - variables: of its environment.
    /// - Returns: the process.
    /// - Throws: what starting a process throws.
    package func launch(
        _ name: String, fileLimit: Int? = nil, variables: [String: String] = [:]
    ) throws -> ChildProcess {
        let process = try startTally(
            Self.arguments(name, home: home(name)), output: outputPath(name),
            fileLimit: fileLimit, variables: variables)
        running.withLock { $0[name] = process }
        return process
    }

    package func service(_ name: String) throws -> ChildProcess {
        guard let process = running.withLock({ $0[name] }) else {
            throw Unexpected(description: "\(name) was never started")
        }
        return process
    }

    /// Sends SIGTERM and waits for the end.
    package func stop(_ name: String, within time: Duration = .seconds(20)) async throws -> Ended {
        let process = try service(name)
        process.signal(SIGTERM)
        return try await process.ended(within: time)
    }

    /// Stops all workers together.
    ///
    /// - Throws: ``Unexpected`` when one does not end with 0.
    package func stopAll(but gone: String? = nil) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in running.withLock({ $0.keys.sorted() }) where name != gone {
                group.addTask {
                    let ended = try await self.stop(name)
                    guard ended.status == 0 else {
                        throw Unexpected(description: "\(name) ended with \(ended)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// SIGKILL: the process gets no chance to do anything more.
    package func killNow(_ name: String) throws { try service(name).killNow() }

    /// What the newest workers said last.
    package var lastWords: String {
        running.withLock { $0 }.sorted { $0.key < $1.key }.map { name, process in
            let lines = process.log.split(whereSeparator: \.isNewline).suffix(4)
            return "\(name), \(process.isRunning ? "running" : "ended"): "
                + lines.joined(separator: "\n    ")
        }.joined(separator: "\n")
    }

    /// Kills whatever still runs.
    package func killAll() {
        let processes = running.withLock { Array($0.values) } + commands.withLock { $0 }
        for process in processes { process.signal(SIGKILL) }
        for process in processes {
            do { try process.killNow() } catch { print(error) }
        }
    }

    // MARK: commands

    /// Starts a command in a home and does not wait for its end.
    package func begin(_ arguments: [String], in name: String) throws -> ChildProcess {
        let process = try startTally(
            arguments + ["--home", home(name)],
            output: outputPath(arguments.prefix(2).joined(separator: "-").filter { $0 != "/" }))
        commands.withLock { commands in
            commands.removeAll { !$0.isRunning }
            commands.append(process)
        }
        return process
    }

    /// Runs a command in a home to its end, whatever that is.
    package func tally(_ arguments: String..., in name: String) async throws -> Ended {
        try await begin(arguments, in: name).ended()
    }

    /// Runs a command that must work.
    ///
    /// - Throws: ``Unexpected`` with its words when it ends with anything but 0.
    @discardableResult
    package func done(_ arguments: [String], in name: String) async throws -> Ended {
        let ended = try await begin(arguments, in: name).ended()
        guard ended.status == 0 else {
            throw Unexpected(
                description: "tally \(arguments.joined(separator: " ")) in \(name): \(ended)")
        }
        return ended
    }

    /// Runs a command that must work, and reads its JSON.
    package func report<Report: Decodable>(
        _ type: Report.Type, _ arguments: String..., in name: String
    ) async throws -> Report {
        let ended = try await done(arguments + ["--format", "json"], in: name)
        return try Report(json: ended.output)
    }
}

/// Waits for something that must happen.
///
/// - Throws: ``Unexpected`` when the time is over, or what the condition throws.
package func eventually(
    _ what: String, within time: Duration = .seconds(60),
    every pause: Duration = .milliseconds(20), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + time
    while !(try await condition()) {
        guard .now < deadline else {
            throw Unexpected(description: "within \(time) this did not happen: \(what)")
        }
        try await Task.sleep(for: pause)
    }
}

/// Does the same for several names side by side.
///
/// - Returns: the results in the order of the names.
package func together<Value: Sendable>(
    _ names: [String], _ body: @escaping @Sendable (String) async throws -> Value
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        for (index, name) in names.enumerated() {
            group.addTask { (index, try await body(name)) }
        }
        var values: [(Int, Value)] = []
        for try await value in group { values.append(value) }
        return values.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
