/// Why a model cannot be trained or asked.
package enum TrainingError: Error, Hashable, Sendable {
    case noRecords
    /// Parameters of another model.
    case wrongParameters
    /// A record whose features are not as many as the model reads, or not finite.
    case badFeatures(record: Int)
    case badPlan
    /// The steps led out of the range of Float32; a smaller learning rate helps.
    case diverged
}

/// How a site trains in a round.
package struct TrainingPlan: Hashable, Sendable {
    package enum Batch: Hashable, Sendable {
        case full
        /// So many records a step, all of them once in a seeded order before any comes again.
        case random(size: Int, seed: UInt64)
    }

    package let localSteps: Int
    package let learningRate: Double
    /// Times half the squared length of all weights but the biases, added to the mean loss.
    package let l2: Double
    package let batch: Batch

    package init(localSteps: Int, learningRate: Double, l2: Double = 0, batch: Batch = .full) {
        self.localSteps = localSteps
        self.learningRate = learningRate
        self.l2 = l2
        self.batch = batch
    }

    var isSound: Bool {
        if case .random(let size, _) = batch, size < 1 { return false }
        return localSteps > 0 && learningRate > 0 && learningRate.isFinite && l2 >= 0
            && l2.isFinite
    }
}

/// One tensor of a model's parameters before it has values.
package struct TensorLayout: Hashable, Sendable {
    package let name: String
    package let shape: [Int]
    /// Whether L2 pulls it to zero; biases are left alone.
    package let isPenalised: Bool

    var count: Int { shape.reduce(1, *) }
}

/// Records as one n × d block of numbers and n labels, 0 or 1.
package struct Examples: Hashable, Sendable {
    package let width: Int
    /// n × d, row-major.
    package let features: [Double]
    package let labels: [Double]

    package var count: Int { labels.count }

    package init(_ records: [TrainingRecord], width: Int) throws(TrainingError) {
        features = try flattened(records.lazy.map(\.features), width: width)
        labels = records.map { $0.label ? 1 : 0 }
        self.width = width
    }
}

/// A built-in model of one logit: what it is made of, what it answers, how its loss falls.
///
/// Weights are the flat parameters in Float64, in the order of ``layout``.
package protocol Trainer: Sendable {
    /// d, the features of a record.
    var features: Int { get }
    /// In ascending order of name.
    var layout: [TensorLayout] { get }

    /// The same for the same seed, by + − × ÷ √ alone.
    func initialParameters(seed: UInt64) -> Parameters

    /// One logit for each row of a flat n × d block, by + − × ÷ and comparisons alone.
    func logits(at weights: [Double], of rows: [Double]) -> [Double]

    /// Adds the gradient of the summed logistic loss of some examples.
    ///
    /// - Returns: that summed loss.
    func addGradient(
        at weights: [Double], of examples: Examples, batch: [Int], to gradient: inout [Double]
    ) -> Double
}

extension Trainer {
    /// Logits that may decide money: every site gets the same bits.
    ///
    /// - Parameters:
    ///   - parameters: of this model.
    ///   - rows: n × d features.
    /// - Returns: n logits.
    /// - Throws: ``TrainingError`` for another model's parameters or features that do not fit.
    package func logits(
        _ parameters: Parameters, features rows: [[Float]]
    ) throws(TrainingError) -> [Double] {
        guard fits(parameters) else { throw .wrongParameters }
        return logits(
            at: parameters.flat.map(Double.init), of: try flattened(rows, width: features))
    }

    /// Trains from `base` on a site's records, in Float64.
    ///
    /// - Returns: the change of the parameters, rounded to Float32.
    package func train(
        base: Parameters, records: [TrainingRecord], plan: TrainingPlan
    ) throws(TrainingError) -> Parameters {
        guard plan.isSound else { throw .badPlan }
        guard fits(base), base.firstNonFinite == nil else { throw .wrongParameters }
        guard !records.isEmpty else { throw .noRecords }
        let examples = try Examples(records, width: features)
        let start = base.flat.map(Double.init)
        var weights = start
        var batches = BatchOrder(plan.batch, count: examples.count)
        for _ in 0..<plan.localSteps {
            let (_, gradient) = meanLossAndGradient(
                at: weights, of: examples, batch: batches.next(), l2: plan.l2)
            for index in weights.indices {
                weights[index] -= plan.learningRate * gradient[index]
            }
        }
        let delta = zip(weights, start).map { Float($0 - $1) }
        guard !containsNonFinite(delta) else { throw .diverged }
        return assembled(delta)
    }

    /// The mean logistic loss of some examples with its L2 term, and its gradient.
    package func meanLossAndGradient(
        at weights: [Double], of examples: Examples, batch: [Int], l2: Double
    ) -> (loss: Double, gradient: [Double]) {
        var gradient = Array(repeating: 0.0, count: weights.count)
        var loss = addGradient(at: weights, of: examples, batch: batch, to: &gradient)
        let count = Double(max(1, batch.count))
        loss /= count
        var place = 0
        for tensor in layout {
            for index in place..<place + tensor.count {
                gradient[index] /= count
                guard tensor.isPenalised else { continue }
                gradient[index] += l2 * weights[index]
                loss += l2 / 2 * weights[index] * weights[index]
            }
            place += tensor.count
        }
        return (loss, gradient)
    }

    func fits(_ parameters: Parameters) -> Bool {
        parameters.tensors.elementsEqual(layout) { $0.name == $1.name && $0.shape == $1.shape }
    }

    /// Flat values as named tensors.
    func assembled(_ flat: [Float]) -> Parameters {
        var place = 0
        return Parameters(
            sorted: layout.map { tensor in
                defer { place += tensor.count }
                return Tensor(
                    known: tensor.name, shape: tensor.shape,
                    values: Array(flat[place..<place + tensor.count]))
            })
    }
}

/// Rows one after the other in Float64.
private func flattened(
    _ rows: some Sequence<[Float]>, width: Int
) throws(TrainingError) -> [Double] {
    var flat: [Double] = []
    for (index, row) in rows.enumerated() {
        guard row.count == width, !containsNonFinite(row) else {
            throw .badFeatures(record: index)
        }
        for value in row { flat.append(Double(value)) }
    }
    return flat
}

/// Which examples each step takes.
private struct BatchOrder {
    private let size: Int
    private var order: [Int]
    private var place = 0
    private var random: SplitMix64?

    init(_ batch: TrainingPlan.Batch, count: Int) {
        order = Array(0..<count)
        switch batch {
        case .full: size = count
        case .random(let size, let seed):
            self.size = min(size, count)
            random = SplitMix64(seed: seed)
            place = count
        }
    }

    /// All examples, or the next of a seeded order that is drawn again when it is used up.
    mutating func next() -> [Int] {
        guard var random else { return order }
        if place == order.count {
            for index in order.indices.reversed() {
                order.swapAt(index, Int(random.below(UInt64(index) + 1)))
            }
            place = 0
            self.random = random
        }
        let end = min(place + size, order.count)
        defer { place = end }
        return Array(order[place..<end])
    }
}

/// Steele, Lea & Flood's generator (OOPSLA 2014): a seed gives the same numbers everywhere.
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by the upper half of a full product.
    mutating func below(_ bound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: bound).high
    }

    /// A number in [−1, 1), with 52 bits.
    mutating func signedUnit() -> Double {
        Double(next() >> 11) / 4_503_599_627_370_496 - 1
    }
}
