import Foundation
import Ledger
import TestSupport
import Testing
import Training

struct TrainerTests {
    func records(_ count: Int, width: Int, seed: UInt64) throws -> [TrainingRecord] {
        var random = SplitMix64(seed: seed)
        return try (0..<count).map { index in
            let features = (0..<width).map { _ in Float.random(in: -2...2, using: &random) }
            let item = try #require(ItemID("site/\(index)"))
            let score = features.reduce(0, +) + Float.random(in: -1...1, using: &random)
            return TrainingRecord(item: item, features: features, label: score > 0)
        }
    }

    @Test("gradients agree with finite differences")
    func gradients() throws {
        try finiteDifferences(of: #require(LogisticRegression(features: 4)))
        try finiteDifferences(of: #require(MultilayerPerceptron(features: 4, hidden: 6)))
    }

    func finiteDifferences(of trainer: some Trainer) throws {
        let examples = try Examples(records(20, width: 4, seed: 3), width: 4)
        var random = SplitMix64(seed: 5)
        let count = trainer.initialParameters(seed: 1).count
        let weights = (0..<count).map { _ in Double.random(in: -1...1, using: &random) }
        for (batch, l2) in [(Array(0..<20), 0.0), ([3, 7, 11], 0.3)] {
            let (_, gradient) = trainer.meanLossAndGradient(
                at: weights, of: examples, batch: batch, l2: l2)
            #expect(gradient.count == count)
            for index in weights.indices {
                func loss(_ shift: Double) -> Double {
                    var moved = weights
                    moved[index] += shift
                    return trainer.meanLossAndGradient(
                        at: moved, of: examples, batch: batch, l2: l2
                    ).loss
                }
                let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
                #expect(abs(slope - gradient[index]) < 1e-7, "weight \(index)")
            }
        }
    }

    @Test("one step of logistic regression, by hand")
    func oneStep() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let item = try #require(ItemID("site/1"))
        let base = trainer.initialParameters(seed: 9)
        #expect(base.flat == [0, 0, 0] && base.tensors.map(\.name) == ["bias", "weight"])
        let delta = try trainer.train(
            base: base,
            records: [
                TrainingRecord(item: item, features: [1, 2], label: true),
                TrainingRecord(item: item, features: [4, 0], label: false),
            ], plan: TrainingPlan(localSteps: 1, learningRate: 0.5))
        // σ(0) = 1/2, so the mean gradient is (0, 3/4, −1/2).
        #expect(delta.flat == [0, -0.375, 0.25])
        let model = try Parameters([
            Tensor(name: "bias", shape: [1], values: [0.5]),
            Tensor(name: "weight", shape: [2], values: [2, -1]),
        ])
        #expect(
            try trainer.logits(model, features: [[1, 2], [0, 0], [3, 4]]) == [0.5, 0.5, 2.5])
    }

    @Test("L2 pulls the weights and leaves the bias alone")
    func regularisation() throws {
        let trainer = try #require(LogisticRegression(features: 1))
        let item = try #require(ItemID("site/1"))
        let base = try Parameters([
            Tensor(name: "bias", shape: [1], values: [3]),
            Tensor(name: "weight", shape: [1], values: [4]),
        ])
        // The two labels' gradients cancel but for σ(3) − 1/2 in the bias.
        let records = [true, false].map {
            TrainingRecord(item: item, features: [0], label: $0)
        }
        func delta(_ l2: Double) throws -> [Float] {
            let plan = TrainingPlan(localSteps: 1, learningRate: 0.5, l2: l2)
            return try trainer.train(base: base, records: records, plan: plan).flat
        }
        let (free, pulled) = (try delta(0), try delta(0.25))
        #expect(free[0] == pulled[0] && abs(free[0] + 0.226287) < 1e-5)
        #expect(free[1] == 0 && pulled[1] == -0.5)
    }

    @Test("a perceptron's logit, by hand")
    func forward() throws {
        let trainer = try #require(MultilayerPerceptron(features: 2, hidden: 2))
        let model = try Parameters([
            Tensor(name: "hidden.bias", shape: [2], values: [1, -10]),
            Tensor(name: "hidden.weight", shape: [2, 2], values: [1, 2, 3, 4]),
            Tensor(name: "output.bias", shape: [1], values: [0.25]),
            Tensor(name: "output.weight", shape: [2], values: [2, -3]),
        ])
        #expect(try trainer.logits(model, features: [[1, 1], [2, 2]]) == [8.25, 2.25])
        #expect(try trainer.logits(model, features: [[-3, 0]]) == [0.25])
    }

    @Test("a perceptron begins in the bounds of its layers, the same for the same seed")
    func initialisation() throws {
        let trainer = try #require(MultilayerPerceptron(features: 6, hidden: 24))
        let start = trainer.initialParameters(seed: 7)
        #expect(start == trainer.initialParameters(seed: 7))
        #expect(start != trainer.initialParameters(seed: 8))
        #expect(start["hidden.bias"]?.values.allSatisfy { $0 == 0 } == true)
        let inner = try #require(start["hidden.weight"])
        #expect(inner.shape == [24, 6] && inner.values.allSatisfy { abs($0) <= 1 })
        #expect(inner.values.contains { $0 > 0.9 } && inner.values.contains { $0 < -0.9 })
        let outer = try #require(start["output.weight"])
        #expect(outer.values.allSatisfy { abs($0) <= 0.5 } && Set(outer.values).count == 24)
    }

    @Test("a perceptron learns what no line divides")
    func exclusiveOr() throws {
        let trainer = try #require(MultilayerPerceptron(features: 2, hidden: 8))
        let item = try #require(ItemID("site/1"))
        let rows: [[Float]] = [[0, 0], [0, 1], [1, 0], [1, 1]]
        let labels = [false, true, true, false]
        let records = zip(rows, labels).map {
            TrainingRecord(item: item, features: $0, label: $1)
        }
        let base = trainer.initialParameters(seed: 1)
        let delta = try trainer.train(
            base: base, records: records, plan: TrainingPlan(localSteps: 2000, learningRate: 0.5))
        var mean = WeightedMean(base: base)
        try mean.add(delta, weight: 4, from: AccountID(.site, "a"))
        let logits = try trainer.logits(mean.result(), features: rows)
        #expect(try correctAnswers(logits: logits, labels: labels) == 4)
    }

    @Test("batches are seeded, take every record once in turn, and at most all of them")
    func batches() throws {
        let trainer = try #require(LogisticRegression(features: 3))
        let records = try records(12, width: 3, seed: 2)
        let base = trainer.initialParameters(seed: 0)
        func train(_ steps: Int, _ batch: TrainingPlan.Batch) throws -> Parameters {
            try trainer.train(
                base: base, records: records,
                plan: TrainingPlan(localSteps: steps, learningRate: 1e-4, batch: batch))
        }
        let full = try train(1, .full)
        #expect(try train(5, .random(size: 4, seed: 1)) == train(5, .random(size: 4, seed: 1)))
        #expect(try train(1, .random(size: 4, seed: 1)) != train(1, .random(size: 4, seed: 2)))
        // With steps so short, three thirds add up to three full steps; two do not.
        let thirds = try train(3, .random(size: 4, seed: 1))
        let twice = try train(2, .random(size: 4, seed: 1))
        for index in full.flat.indices {
            #expect(abs(thirds.flat[index] - 3 * full.flat[index]) < 1e-7)
        }
        #expect(zip(twice.flat, full.flat).contains { abs($0 - 2 * $1) > 1e-6 })
        for (one, other) in zip(try train(1, .random(size: 99, seed: 1)).flat, full.flat) {
            #expect(abs(one - other) < 1e-9)
        }
    }

    @Test("every refusal by name")
    func refusals() throws {
        let trainer = try #require(LogisticRegression(features: 2))
        let base = trainer.initialParameters(seed: 0)
        let item = try #require(ItemID("site/1"))
        let good = TrainingRecord(item: item, features: [1, 2], label: true)
        let plan = TrainingPlan(localSteps: 1, learningRate: 1)
        #expect(throws: TrainingError.noRecords) {
            try trainer.train(base: base, records: [], plan: plan)
        }
        for features in [[1], [1, .nan], [1, 2, 3]] as [[Float]] {
            #expect(throws: TrainingError.badFeatures(record: 1)) {
                let bad = TrainingRecord(item: item, features: features, label: true)
                return try trainer.train(base: base, records: [good, bad], plan: plan)
            }
            #expect(throws: TrainingError.badFeatures(record: 0)) {
                try trainer.logits(base, features: [features])
            }
        }
        let other = try #require(LogisticRegression(features: 3)).initialParameters(seed: 0)
        #expect(throws: TrainingError.wrongParameters) { try trainer.logits(other, features: []) }
        #expect(throws: TrainingError.wrongParameters) {
            try trainer.train(base: other, records: [good], plan: plan)
        }
        for plan in [
            TrainingPlan(localSteps: 0, learningRate: 1),
            TrainingPlan(localSteps: 1, learningRate: 0),
            TrainingPlan(localSteps: 1, learningRate: .nan),
            TrainingPlan(localSteps: 1, learningRate: 1, l2: -1),
            TrainingPlan(localSteps: 1, learningRate: 1, batch: .random(size: 0, seed: 1)),
        ] {
            #expect(throws: TrainingError.badPlan) {
                try trainer.train(base: base, records: [good], plan: plan)
            }
        }
        #expect(throws: TrainingError.diverged) {
            try trainer.train(
                base: base, records: [good], plan: TrainingPlan(localSteps: 1, learningRate: 1e300))
        }
        #expect(LogisticRegression(features: 0) == nil)
        #expect(MultilayerPerceptron(features: 1, hidden: 0) == nil)
        #expect(MultilayerPerceptron(features: .max, hidden: .max) == nil)
    }
}
