import Foundation
import Fuzzing
import Processes
import Testing

@Suite("Mutated bytes", .serialized)
struct FuzzTests {
    /// Of wall clock for each target.
    private static let seconds =
        Int(ProcessInfo.processInfo.environment["TALLY_FUZZ_SECONDS"] ?? "") ?? 3
    private static let leastExecutions = 1_000

    // In a process of its own: the testing library remembers every error that is thrown in this one,
    // and what it takes for that would be laid to the parsers.
    @Test("no parser traps, hangs, takes memory or accepts what it does not mean")
    func everyTarget() async throws {
        let targets = try FuzzTarget.all().map(\.name)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let process = try ChildProcess(
            try builtExecutable("fuzz"),
            ["run", "--seconds", "\(Self.seconds)", "--parallel", "\(cores)"])
        let ended = try await process.ended(within: .seconds(300 + targets.count * Self.seconds))
        #expect(ended.status == 0, "\(ended.errors)")
        let lines = ended.output.split(separator: "\n")
        for line in lines where line.hasPrefix("FINDING") { Issue.record("\(line)") }
        for target in targets {
            let line = try #require(lines.first { $0.hasPrefix("\(target): ") }, "\(target)")
            print(line)
            let executions = line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            #expect(try #require(executions) > Self.leastExecutions)
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
