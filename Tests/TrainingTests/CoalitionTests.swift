import Ledger
import TestSupport
import Testing
import Training

struct CoalitionTests {
    let reference = ReferenceSet(
        features: [[1, 0], [2, 1], [-1, 0], [0, -2]], labels: [true, true, false, false],
        utility: .concordance)

    func update(_ name: String, player: Int, weight: UInt64, _ values: [Float]) throws
        -> CoalitionUpdate
    {
        let parameters = try Parameters([
            Tensor(name: "bias", shape: [1], values: [values[0]]),
            Tensor(name: "weight", shape: [2], values: Array(values[1...])),
        ])
        return CoalitionUpdate(
            site: AccountID(.site, name), player: player, weight: weight, update: parameters)
    }

    @Test("a coalition's model moves by its own updates alone")
    func advances() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let start = trainer.initialParameters(seed: 0)
        let updates = [
            try update("a", player: 1, weight: 1, [1, 2, 3]),
            try update("b", player: 0, weight: 3, [5, 6, 7]),
            try update("c", player: 1, weight: 1, [3, 0, 1]),
        ]
        #expect(try advance(start, coalition: 0, updates: updates) == start)
        #expect(try advance(start, coalition: 0b100, updates: updates) == start)
        #expect(try advance(start, coalition: 0b01, updates: updates).flat == [5, 6, 7])
        #expect(try advance(start, coalition: 0b10, updates: updates).flat == [2, 1, 2])
        let once = try advance(start, coalition: 0b11, updates: updates)
        #expect(once.flat == [3.8, 4, 5])
        #expect(try advance(once, coalition: 0b01, updates: updates).flat == [8.8, 10, 12])
    }

    @Test("a whole round values every coalition; all together get the round's own model")
    func wholeRound() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let start = trainer.initialParameters(seed: 0)
        var models = Array(repeating: start, count: 8)
        var random = SplitMix64(seed: 3)
        var expected = models
        for _ in 1...3 {
            let updates = try ["a", "b", "c"].enumerated().map { player, name in
                let values = (0..<3).map { _ in Float.random(in: -1...1, using: &random) }
                return try update(name, player: player, weight: UInt64(player + 1), values)
            }
            let utilities = try coalitionUtilities(
                models: &models, updates: updates, reference: reference, trainer: trainer)
            #expect(utilities.count == 8 && utilities[0] == 4 && models[0] == start)
            for coalition in 1..<8 {
                var mean = WeightedMean(base: expected[coalition])
                for update in updates where coalition >> update.player & 1 == 1 {
                    try mean.add(update.update, weight: update.weight, from: update.site)
                }
                expected[coalition] = try mean.result()
                #expect(models[coalition] == expected[coalition])
                let value = try reference.value(of: expected[coalition], trainer: trainer)
                #expect(utilities[coalition] == value)
            }
        }
    }

    @Test("utility of known models")
    func utility() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let right = try update("a", player: 0, weight: 1, [0, 1, 1]).update
        let wrong = try update("a", player: 0, weight: 1, [0, -1, -1]).update
        #expect(reference.floor == 4)
        #expect(try reference.value(of: right, trainer: trainer) == 8)
        #expect(try reference.value(of: wrong, trainer: trainer) == 0)
        let start = trainer.initialParameters(seed: 0)
        #expect(try reference.value(of: start, trainer: trainer) == 4)
    }

    @Test("every refusal by name, with the models as they were")
    func refusals() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let start = trainer.initialParameters(seed: 0)
        let good = try update("a", player: 0, weight: 1, [1, 2, 3])
        for count in [0, 1, 3, 1 << 13] {
            var models = Array(repeating: start, count: count)
            #expect(throws: CoalitionError.modelCount(count)) {
                try coalitionUtilities(
                    models: &models, updates: [good], reference: reference, trainer: trainer)
            }
        }
        for player in [-1, 1, .max] {
            var models = [start, start]
            let stranger = try update("b", player: player, weight: 1, [1, 2, 3])
            #expect(throws: CoalitionError.playerOutOfRange(stranger.site)) {
                try coalitionUtilities(
                    models: &models, updates: [good, stranger], reference: reference,
                    trainer: trainer)
            }
            #expect(models == [start, start])
        }
        var models = [start, start]
        let narrow = try #require(LogisticRegression(features: 1))
        #expect(throws: CoalitionError.training(.wrongParameters)) {
            try coalitionUtilities(
                models: &models, updates: [good], reference: reference, trainer: narrow)
        }
        #expect(throws: CoalitionError.aggregation(.notAscending(good.site))) {
            try coalitionUtilities(
                models: &models, updates: [good, good], reference: reference, trainer: trainer)
        }
        #expect(models == [start, start])
    }
}
