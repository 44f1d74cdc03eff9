import Deployments
import Testing

extension EndToEnd {
    /// In short what `crash-hunt` does for as long as it is told to.
    @Suite("Crashes")
    struct Crashes {
        @Test("workers killed at any point of a training lose nothing and change no bit")
        func kills() async throws {
            let prepared = try #require(Prepared.current)
            let models = try await prepared.undisturbed().rounds.map(\.model)
            let end = ContinuousClock.now + .seconds(45)
            var counts = KillCounts()
            for seed in UInt64(1)... where counts.total == 0 || .now < end {
                let before = counts
                counts.add(
                    try await prepared.withCopy(of: .annotated) { deployment in
                        try await KillHunt(
                            deployment, seed: seed, after: before, time: end - .now
                        ).run(expecting: models)
                    })
                if .now >= end { break }
            }
            print(counts)
            #expect(
                counts.planned >= 10,
                "too few plans were followed; libtally-faults.so may not have been loaded")
        }

        @Test("a failed call or a loss of power at any call is borne, and no sync is tried again")
        func faults() async throws {
            let prepared = try #require(Prepared.current)
            let model = try #require(try await prepared.undisturbed().rounds.first).model
            try await withDeployment(.annotated) { deployment in
                let hunt = FaultHunt(deployment)
                let recorded = try await hunt.recordedFaults()
                #expect(recorded.count > 1_000)
                var reached = 0
                for fault in FaultHunt.sample(recorded, 50, seed: 1) {
                    if try await hunt.disturb(by: fault) != nil { reached += 1 }
                }
                // How many calls there are depends a little on timing.
                #expect(reached >= 40)
                try await hunt.check(expecting: model)
            }
        }
    }
}
