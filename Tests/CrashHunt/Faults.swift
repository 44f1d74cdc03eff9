import ArgumentParser
import Deployments
import Foundation

/// Errors and losses of power at every call of a recorded workload.
struct Faults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Let every write, sync and rename of a short workload fail, or the power with it.",
        discussion: """
            Records what the coordinator and one site write, synchronise and rename while they \
            start, take a consent, train one round and stop. Then each of these calls fails once \
            (EIO or ENOSPC) and is cut once: in half by SIGKILL, or by a loss of power, after \
            which everything that was not synchronised is gone, or half of it. With --all each \
            call fails and is cut in every way that there is for it.

            After a failed synchronisation the worker must stop with one sentence and never try \
            again (its cache aside, which may be lost); after any other failed call it may go on.

            With --state the list and what was done of it survive the command, and the next one \
            goes on from there.

            Examples: crash-hunt faults --sample 50 --seed 1
                      crash-hunt faults --state faults.json
            """)

    @Flag(help: "Every way to fail at every call.") var all = false
    @Option(help: "How many faults, drawn from all; without it, every one.") var sample: Int?
    @Option(help: "Of the sample.") var seed: UInt64 = 1
    @Option(help: "Only calls of this kind: write, sync or rename.")
    var point = FaultPlan.Point.call
    @Option(help: "A file that keeps the list and how far it was worked through.")
    var state: String?
    @Option(help: "All chains are checked after so many faults, and new homes are taken.")
    var every = 100

    private struct State: Codable, Sendable {
        var recorded = 0
        var faults: [FaultHunt.Fault] = []
        var done = 0
        var counts: [String: Int] = [:]
    }

    func run() async throws {
        var state = State()
        if let file = self.state, FileManager.default.fileExists(atPath: file) {
            state = try JSONDecoder().decode(
                State.self, from: Data(contentsOf: URL(filePath: file)))
        }
        let prepared = try await Prepared.founded(rounds: 1)
        do {
            try await work(on: prepared, &state)
        } catch {
            await prepared.remove()
            throw error
        }
        await prepared.remove()
    }

    private func work(on prepared: Prepared, _ state: inout State) async throws {
        let model = try await prepared.undisturbed().model
        repeat {
            let (options, before) = (self, state)
            state = try await prepared.withCopy(of: .annotated) { deployment in
                let hunt = FaultHunt(deployment)
                try await hunt.begin()
                var state = before
                if state.recorded == 0 { try await options.record(with: hunt, &state) }
                for _ in 0..<options.every where state.done < state.faults.count {
                    try await options.disturb(with: hunt, &state)
                }
                try await hunt.check(expecting: model)
                return state
            }
            say("all homes are sound after \(state.done) of \(state.faults.count) faults")
            if let file = self.state {
                try JSONEncoder().encode(state)
                    .write(to: URL(filePath: file), options: .atomic)
            }
        } while state.done < state.faults.count
        for (name, count) in state.counts.sorted(by: { $0.key < $1.key }) {
            say("\(name): \(count)")
        }
    }

    private func record(with hunt: FaultHunt, _ state: inout State) async throws {
        let faults = try await hunt.recordedFaults(
            all || sample != nil ? .everyWay : .errorAndCut)
        state.recorded = faults.count
        state.faults = faults.filter { point == .call || $0.plan.point == point }
        if let sample { state.faults = FaultHunt.sample(state.faults, sample, seed: seed) }
        say(
            "\(faults.count) faults at the calls of the workload, \(state.faults.count) of them now"
        )
    }

    private func disturb(with hunt: FaultHunt, _ state: inout State) async throws {
        let fault = state.faults[state.done]
        let start = ContinuousClock.now
        let call = try await hunt.disturb(by: fault)
        state.done += 1
        let what = call.map { "\($0)" } ?? "not reached"
        say("\(state.done) \(fault): \(what), \(ContinuousClock.now - start)")
        state.counts[
            call.map { "\(fault.plan.how) of a \($0.point)" } ?? "not reached", default: 0] += 1
    }
}

extension FaultPlan.Point: ExpressibleByArgument {}
