import ArgumentParser
import Deployments
import Foundation

/// SIGKILL at random points of coordinator and sites.
struct Kills: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "SIGKILL coordinator and sites at random points while they train.",
        discussion: """
            Trains again and again until there were enough kills in all and in each phase, and \
            prints how many there were. With --state the counts survive the command, and the next \
            one goes on from there.

            Example: crash-hunt kills --count 500 --seed 1 --state kills.json
            """)

    @Option(help: "How many kills there must have been.") var count = 500
    @Option(help: "How many of them in each phase.") var each = 30
    @Option(help: "Of all that is drawn; the number of the training is added.") var seed: UInt64 = 1
    @Option(help: "A file that keeps the counts.") var state: String?
    @Option(help: "The rounds of one training, at most 20.") var rounds = 20

    private struct State: Codable {
        var trainings: UInt64 = 0
        var counts = KillCounts()
    }

    func run() async throws {
        var state = State()
        if let file = self.state, FileManager.default.fileExists(atPath: file) {
            state = try JSONDecoder().decode(
                State.self, from: Data(contentsOf: URL(filePath: file)))
        }
        let prepared = try await Prepared.founded(rounds: rounds)
        do {
            let models = try await prepared.undisturbed().rounds.map(\.model)
            while state.counts.total < count || state.counts.least < each {
                try await train(prepared, models, &state)
            }
        } catch {
            await prepared.remove()
            throw error
        }
        await prepared.remove()
    }

    private func train(
        _ prepared: Prepared, _ models: [String], _ state: inout State
    ) async throws {
        let before = state
        let start = ContinuousClock.now
        let counts = try await prepared.withCopy(of: .annotated) { deployment in
            try await KillHunt(
                deployment, seed: seed &+ before.trainings, after: before.counts,
                time: .seconds(600)
            ).run(expecting: models)
        }
        state.trainings += 1
        state.counts.add(counts)
        say("training \(state.trainings): \(counts.total) kills in \(ContinuousClock.now - start)")
        say("\(state.counts)")
        if let file = self.state {
            try JSONEncoder().encode(state).write(to: URL(filePath: file), options: .atomic)
        }
    }
}
