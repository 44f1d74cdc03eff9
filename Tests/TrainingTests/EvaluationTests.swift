import Foundation
import TestSupport
import Testing
import Training

struct EvaluationTests {
    @Test("counts every pair like the obvious double loop", arguments: UInt64(0)..<80)
    func agreesWithSlowTwin(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let count = Int.random(in: 0...60, using: &random)
        // Few different values, so that many are tied; −0 and 0 are one value.
        let logits = (0..<count).map { _ in
            Double(Int.random(in: -4...4, using: &random)) * (Bool.random(using: &random) ? 1 : -1)
        }
        let labels = (0..<count).map { _ in Bool.random(using: &random) }
        var (concordant, tied, pairs) = (Int64(0), Int64(0), Int64(0))
        for positive in labels.indices where labels[positive] {
            for negative in labels.indices where !labels[negative] {
                pairs += 1
                if logits[positive] > logits[negative] { concordant += 1 }
                if logits[positive] == logits[negative] { tied += 1 }
            }
        }
        let found = try concordance(logits: logits, labels: labels)
        #expect(found.concordant == concordant, "replay with seed \(seed)")
        #expect(found.tied == tied && found.pairs == pairs, "replay with seed \(seed)")
        #expect(found.utility == 2 * concordant + tied && found.floor == pairs)
        #expect(found.auc == (pairs == 0 ? nil : Double(2 * concordant + tied) / Double(2 * pairs)))
    }

    @Test("a logit of exactly zero says negative")
    func correct() throws {
        let logits = [0, 0, 1, -1, 2, -0.0]
        let labels = [true, false, true, false, false, false]
        #expect(try correctAnswers(logits: logits, labels: labels) == 4)
    }

    @Test("utilities and their floors")
    func utilities() throws {
        let (logits, labels) = ([2.0, 1, 1, -3], [true, true, false, false])
        #expect(try Utility.concordance.value(logits: logits, labels: labels) == 7)
        #expect(try Utility.correct.value(logits: logits, labels: labels) == 3)
        #expect(Utility.concordance.floor(labels: labels + [true]) == 6)
        #expect(Utility.correct.floor(labels: labels + [true]) == 3)
        #expect(Utility.correct.floor(labels: [false, false, true]) == 2)
        #expect(Utility(rawValue: "concordance") == .concordance)
    }

    @Test("the loss is stable far from zero")
    func loss() throws {
        let half = try #require(try meanLogLoss(logits: [0, 0], labels: [true, false]))
        #expect(abs(half - log(2)) < 1e-15)
        let far = try #require(try meanLogLoss(logits: [800, -800], labels: [true, true]))
        #expect(abs(far - 400) < 1e-9)
        #expect(try meanLogLoss(logits: [], labels: []) == nil)
    }

    @Test("no input traps: every refusal by name")
    func refusals() {
        #expect(throws: EvaluationError.countMismatch(logits: 1, labels: 2)) {
            try concordance(logits: [1], labels: [true, false])
        }
        #expect(throws: EvaluationError.notANumber(index: 1)) {
            try correctAnswers(logits: [1, .nan], labels: [true, false])
        }
        #expect(throws: Never.self) {
            try concordance(logits: [.infinity, -.infinity], labels: [true, false])
        }
    }
}
