import ArgumentParser
import Foundation
import Fuzzing
import Synchronization

extension FuzzHunt {
    /// Targets one after the other, several at a time.
    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Feed targets, each for some seconds.")

        @Argument(help: "As `fuzz list` names them; all without any.") var targets: [String] = []
        @Option(help: "Of wall clock for each target.") var seconds = 20
        @Option(help: "So many executions of each target instead.") var executions: Int?
        @Option(help: "Of all that is drawn.") var seed: UInt64 = 1
        @Option(help: "Targets at a time.") var parallel = 1
        @Option(help: "A folder for inputs that led to something new, one folder per target.")
        var keep: String?

        func run() throws {
            let targets = try named(targets)
            let findings = Mutex(0)
            let next = Mutex(0)
            DispatchQueue.concurrentPerform(iterations: max(1, parallel)) { _ in
                while true {
                    let index = next.withLock { next -> Int in
                        defer { next += 1 }
                        return next
                    }
                    guard index < targets.count else { return }
                    do {
                        let found = try feed(targets[index])
                        findings.withLock { $0 += found }
                    } catch {
                        say("\(targets[index].name): \(error)")
                        findings.withLock { $0 += 1 }
                    }
                }
            }
            if findings.withLock({ $0 }) > 0 { throw ExitCode(2) }
        }

        private static let leastExecutions = 1_000

        private func feed(_ target: FuzzTarget) throws -> Int {
            let start = ContinuousClock.now
            var run = try FuzzRun(target, seed: seed, corpus: kept(target))
            say("\(target.name) begins; should it end the process, its input is \(run.tapePath)")
            if let executions {
                run.run(executions: executions)
            } else {
                // However slow the machine is.
                run.run(executions: Self.leastExecutions)
                run.run(for: .seconds(seconds))
            }
            try keep(run.found, of: target)
            let report = run.finish()
            let time = ContinuousClock.now - start
            let rate = Double(report.executions) / (time / .seconds(1))
            say("\(report), \(Int(rate))/s")
            for finding in report.findings { say("FINDING \(finding)") }
            guard report.accepted > 0, report.refusals > 0 else {
                say("FINDING \(target.name): a target that takes nothing, or all, finds nothing")
                return report.findings.count + 1
            }
            return report.findings.count
        }

        private func folder(_ target: FuzzTarget) -> URL? {
            keep.map { URL(filePath: $0).appending(path: target.name) }
        }

        private func kept(_ target: FuzzTarget) throws -> [[UInt8]] {
            guard let folder = folder(target),
                FileManager.default.fileExists(atPath: folder.path())
            else { return [] }
            return try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted()
                .map { [UInt8](try Data(contentsOf: folder.appending(path: $0))) }
        }

        private func keep(_ inputs: [[UInt8]], of target: FuzzTarget) throws {
            guard let folder = folder(target) else { return }
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true)
            for (index, input) in inputs.enumerated() {
                try Data(input).write(to: folder.appending(path: "\(100_000 + index)"))
            }
        }
    }
}
