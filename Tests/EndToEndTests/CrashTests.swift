import Deployments
import Foundation
import Testing

extension EndToEnd {
    /// In short what `crash-hunt` does for as long as it is told to.
    @Suite("Crashes")
    struct Crashes {
        @Test("workers killed at any point of a training lose nothing and change no bit")
        func kills() async throws {
            let prepared = try #require(Prepared.current)
            let models = try await prepared.undisturbed().rounds.map(\.model)
            let end = ContinuousClock.now + .seconds(90)
            var counts = KillCounts()
            var seed: UInt64 = 1
            while counts.planned < 20 || counts.least == 0, .now < end {
                let (before, current) = (counts, seed)
                counts.add(
                    try await prepared.withCopy(of: .annotated) { deployment in
                        try await KillHunt(
                            deployment, seed: current, after: before, time: .seconds(20)
                        ).run(expecting: models)
                    })
                seed += 1
            }
            print(counts)
            #expect(
                counts.planned >= 20 && counts.least > 0,
                "too few plans were followed; libtally-faults.so may not have been loaded")
        }

        @Test("a failed call or a loss of power at any call is borne, and no sync is tried again")
        func faults() async throws {
            let prepared = try #require(Prepared.current)
            let model = try #require(try await prepared.undisturbed().rounds.first).model
            try await withDeployment(.annotated) { deployment in
                let hunt = FaultHunt(deployment)
                try await hunt.begin()
                let recorded = try await hunt.recordedFaults(.everyWay)
                #expect(recorded.count > 1_000)
                var reached = 0
                for fault in FaultHunt.sample(recorded, 50, seed: 1) {
                    if try await hunt.disturb(by: fault) != nil { reached += 1 }
                }
                print("\(reached) of 50 drawn faults of \(recorded.count) were reached")
                // How many calls there are depends a little on timing.
                #expect(reached >= 40)
                try await hunt.check(expecting: model)
            }
        }

        @Test("a sync that fails stops the worker for good, whatever it was to make durable")
        func failedSyncs() async throws {
            let prepared = try #require(Prepared.current)
            let model = try #require(try await prepared.undisturbed().rounds.first).model
            try await withDeployment(.annotated) { deployment in
                let hunt = FaultHunt(deployment)
                try await hunt.begin()
                for name in [Deployment.coordinator, "north"] {
                    // The first syncs of a life are those of the folder that names its files.
                    for phase in [FaultPlan.Phase.other, .commit, .upload, .vote, .close] {
                        let plan = FaultPlan(phase, .sync, 1, .fails(EIO))
                        let call = try await hunt.disturb(by: .init(name: name, plan: plan))
                        #expect(call?.phase == phase, "\(plan) in \(name) was not reached")
                    }
                }
                try await hunt.check(expecting: model)
            }
        }
    }
}
