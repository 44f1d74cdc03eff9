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
            (EIO, and ENOSPC where there is something to write), is cut in half by SIGKILL, or is \
            the moment at which everything that was not synchronised is lost.

            After a failed synchronisation the worker must stop with one sentence and never try \
            again (its cache aside, which may be lost); after any other failed call it may go on.

            Example: crash-hunt faults --sample 50 --seed 1
            """)

    @Option(help: "How many faults, drawn from all; without it, every one.") var sample: Int?
    @Option(help: "Of the sample.") var seed: UInt64 = 1
    @Option(help: "Only calls of this kind: write, sync or rename.")
    var point = FaultPlan.Point.call
    @Option(help: "The first fault of the list to begin with, from 0.") var from = 0
    @Option(help: "All chains are checked after so many faults, and at the end.") var every = 25

    func run() async throws {
        let prepared = try await Prepared.founded(rounds: 1)
        do {
            let model = try await prepared.undisturbed().model
            let options = self
            try await prepared.withCopy(of: .annotated) { deployment in
                try await options.disturb(deployment, expecting: model)
            }
        } catch {
            await prepared.remove()
            throw error
        }
        await prepared.remove()
    }

    private func disturb(_ deployment: Deployment, expecting model: String) async throws {
        let hunt = FaultHunt(deployment)
        let all = try await hunt.recordedFaults()
        var faults = all.filter { point == .call || $0.plan.point == point }
        faults = Array(faults.dropFirst(from))
        if let sample { faults = FaultHunt.sample(faults, sample, seed: seed) }
        say("\(all.count) faults at the calls of the workload, \(faults.count) of them now")
        var counts: [String: Int] = [:]
        for (number, fault) in faults.enumerated() {
            let call = try await hunt.disturb(by: fault)
            say("\(number) \(fault): \(call.map { "\($0)" } ?? "not reached")")
            counts[
                call.map { "\(fault.plan.how) of a \($0.point)" } ?? "not reached", default: 0] +=
                1
            if (number + 1).isMultiple(of: every) || number + 1 == faults.count {
                try await hunt.check(expecting: model)
                say("all homes are sound")
            }
        }
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) { say("\(name): \(count)") }
    }
}

extension FaultPlan.Point: ExpressibleByArgument {}
