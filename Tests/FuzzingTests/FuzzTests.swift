import Foundation
import Fuzzing
import Synchronization
import Testing

@Suite("Mutated bytes", .serialized)
struct FuzzTests {
    /// Of wall clock for each target, after the inputs that always run.
    private static let seconds =
        Double(
            ProcessInfo.processInfo.environment["TALLY_FUZZ_SECONDS"] ?? "") ?? 3
    private static let leastExecutions = 1_000

    @Test("no parser traps, hangs, takes memory or accepts what it does not mean")
    func everyTarget() throws {
        let targets = try FuzzTarget.all()
        let next = Mutex(0)
        let reports = Mutex<[FuzzReport]>([])
        let fault = Mutex<(any Error)?>(nil)
        DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) {
            _ in
            while true {
                let index = next.withLock { next -> Int in
                    defer { next += 1 }
                    return next
                }
                guard index < targets.count else { return }
                do {
                    var run = try FuzzRun(targets[index], seed: 1)
                    run.run(executions: Self.leastExecutions)
                    run.run(for: .seconds(Self.seconds))
                    let report = run.finish()
                    reports.withLock { $0.append(report) }
                } catch { fault.withLock { $0 = error } }
            }
        }
        if let error = fault.withLock({ $0 }) { throw error }
        for report in reports.withLock({ $0 }).sorted(by: { $0.target < $1.target }) {
            print(report)
            #expect(report.executions > Self.leastExecutions)
            // A target that takes nothing, or everything, would find nothing.
            #expect(report.accepted > 0 && report.refusals > 0, "\(report.target)")
            for finding in report.findings { Issue.record("\(finding)") }
        }
    }

    @Test("a seed says every input of a run", arguments: ["envelope", "agreement", "frames"])
    func isDeterministic(name: String) throws {
        let target = try #require(try FuzzTarget.all().first { $0.name == name })
        func digest(seed: UInt64) throws -> String {
            var run = try FuzzRun(target, seed: seed)
            run.run(executions: 300)
            return run.finish().digest
        }
        #expect(try digest(seed: 7) == digest(seed: 7))
        #expect(try digest(seed: 7) != digest(seed: 8))
    }

    @Test("parsers with a planted fault are found out", arguments: PlantedFault.allCases)
    func findsPlantedFaults(fault: PlantedFault) throws {
        var run = try FuzzRun(fault.target, seed: 1)
        for _ in 0..<200 where run.report.findings.isEmpty { run.run(executions: 1_000) }
        let report = run.finish()
        #expect(report.findings.contains { $0.fault.contains(fault.words) }, "\(fault)")
        print("\(fault): found within \(report.executions) executions")
    }
}
