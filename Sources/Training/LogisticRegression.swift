import Foundation

/// A linear model: logit = bias + Σⱼ weightⱼ · xⱼ, summed in ascending order of j.
package struct LogisticRegression: Trainer, Hashable {
    package let features: Int

    /// - Returns: nil without features.
    package init?(features: Int) {
        guard features > 0 else { return nil }
        self.features = features
    }

    package var layout: [TensorLayout] {
        [
            TensorLayout(name: "bias", shape: [1], isPenalised: false),
            TensorLayout(name: "weight", shape: [features], isPenalised: true),
        ]
    }

    /// Zeros, whatever the seed: the loss has one minimum.
    package func initialParameters(seed: UInt64) -> Parameters {
        assembled(Array(repeating: 0, count: features + 1))
    }

    package func logits(at weights: [Double], of rows: [Double]) -> [Double] {
        (0..<rows.count / features).map { logit(at: weights, of: rows, row: $0) }
    }

    package func addGradient(
        at weights: [Double], of examples: Examples, batch: [Int], to gradient: inout [Double]
    ) -> Double {
        var loss = 0.0
        for row in batch {
            let logit = logit(at: weights, of: examples.features, row: row)
            let label = examples.labels[row]
            loss += logisticLoss(logit: logit, label: label)
            let slope = sigmoid(logit) - label
            gradient[0] += slope
            for feature in 0..<features {
                gradient[1 + feature] += slope * examples.features[row * features + feature]
            }
        }
        return loss
    }

    private func logit(at weights: [Double], of rows: [Double], row: Int) -> Double {
        var logit = weights[0]
        for feature in 0..<features {
            logit += weights[1 + feature] * rows[row * features + feature]
        }
        return logit
    }
}

/// 1 / (1 + e⁻ᶻ), without overflow for any z; for training only, since `exp` differs by machine.
func sigmoid(_ logit: Double) -> Double {
    guard logit < 0 else { return 1 / (1 + exp(-logit)) }
    let power = exp(logit)
    return power / (1 + power)
}

/// ln(1 + eᶻ) − y·z, without overflow for any z; shown to people, decides nothing.
func logisticLoss(logit: Double, label: Double) -> Double {
    max(logit, 0) - label * logit + log1p(exp(-abs(logit)))
}
