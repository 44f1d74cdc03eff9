/// One hidden layer of ReLU units: logit = c + Σₖ vₖ · max(0, bₖ + Σⱼ Wₖⱼ · xⱼ).
package struct MultilayerPerceptron: Trainer, Hashable {
    package let features: Int
    package let hidden: Int

    /// - Returns: nil without features or hidden units, or for more than 2³¹ weights.
    package init?(features: Int, hidden: Int) {
        guard features > 0, hidden > 0, features < 1 << 31, hidden < 1 << 31,
            (features + 2) * hidden < 1 << 31
        else { return nil }
        self.features = features
        self.hidden = hidden
    }

    package var layout: [TensorLayout] {
        [
            TensorLayout(name: "hidden.bias", shape: [hidden], isPenalised: false),
            TensorLayout(name: "hidden.weight", shape: [hidden, features], isPenalised: true),
            TensorLayout(name: "output.bias", shape: [1], isPenalised: false),
            TensorLayout(name: "output.weight", shape: [hidden], isPenalised: true),
        ]
    }

    private var outputBias: Int { hidden + hidden * features }

    /// Uniform weights in ±√(6 / inputs), biases zero.
    ///
    /// - SeeAlso: He et al., ICCV 2015 (arXiv:1502.01852).
    package func initialParameters(seed: UInt64) -> Parameters {
        var random = SplitMix64(seed: seed)
        var flat = Array(repeating: Float(0), count: outputBias + 1 + hidden)
        let inner = (6 / Double(features)).squareRoot()
        for index in hidden..<outputBias { flat[index] = Float(inner * random.signedUnit()) }
        let outer = (6 / Double(hidden)).squareRoot()
        for index in outputBias + 1..<flat.count {
            flat[index] = Float(outer * random.signedUnit())
        }
        return assembled(flat)
    }

    package func logits(at weights: [Double], of rows: [Double]) -> [Double] {
        var units = Array(repeating: 0.0, count: hidden)
        return (0..<rows.count / features).map { row in
            forward(at: weights, of: rows, row: row, units: &units)
        }
    }

    package func addGradient(
        at weights: [Double], of examples: Examples, batch: [Int], to gradient: inout [Double]
    ) -> Double {
        var loss = 0.0
        var units = Array(repeating: 0.0, count: hidden)
        for row in batch {
            let logit = forward(at: weights, of: examples.features, row: row, units: &units)
            let label = examples.labels[row]
            loss += logisticLoss(logit: logit, label: label)
            let slope = sigmoid(logit) - label
            gradient[outputBias] += slope
            for unit in 0..<hidden where units[unit] > 0 {
                gradient[outputBias + 1 + unit] += slope * units[unit]
                let inner = slope * weights[outputBias + 1 + unit]
                gradient[unit] += inner
                for feature in 0..<features {
                    gradient[hidden + unit * features + feature] +=
                        inner * examples.features[row * features + feature]
                }
            }
        }
        return loss
    }

    /// The logit of one row; leaves what each hidden unit gives in `units`.
    private func forward(
        at weights: [Double], of rows: [Double], row: Int, units: inout [Double]
    ) -> Double {
        var logit = weights[outputBias]
        for unit in 0..<hidden {
            var sum = weights[unit]
            for feature in 0..<features {
                sum += weights[hidden + unit * features + feature] * rows[row * features + feature]
            }
            units[unit] = sum > 0 ? sum : 0
            logit += weights[outputBias + 1 + unit] * units[unit]
        }
        return logit
    }
}
