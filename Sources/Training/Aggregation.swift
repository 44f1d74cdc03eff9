package import Ledger

/// Why an update is refused by name: it never reaches the sum.
package enum UpdateRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(SafetensorsError)
    /// A tensor that the model has not (`expected` nil), lacks (`found` nil) or has otherwise.
    case wrongShape(tensor: String, expected: [Int]?, found: [Int]?)
    case notFinite(tensor: String, index: Int)
    case normAboveBound(norm: Double, bound: Double)

    package var description: String {
        switch self {
        case .malformed(let error): "the update is no readable safetensors file: \(error)"
        case .wrongShape(let tensor, nil, _): "the update has a tensor \(tensor), the model none"
        case .wrongShape(let tensor, _, nil): "the update lacks the model's tensor \(tensor)"
        case .wrongShape(let tensor, let expected?, let found?):
            "tensor \(tensor) of the update has shape \(found), the model's has \(expected)"
        case .notFinite(let tensor, let index):
            "value \(index) of tensor \(tensor) of the update is not finite"
        case .normAboveBound(let norm, let bound):
            "the update's norm is \(norm), above the bound \(bound)"
        }
    }
}

/// Checks an update against the model it changes, before anything is added.
///
/// - Parameters:
///   - update: the delta a site submitted.
///   - base: the model of the round; only its names and shapes matter.
///   - normBound: the largest L2 norm that the agreement allows; a NaN allows nothing.
/// - Throws: the first reason in the order of ``UpdateRefusal``'s cases.
package func screen(
    _ update: Parameters, base: Parameters, normBound: Double
) throws(UpdateRefusal) {
    if !update.hasSameShape(as: base) { throw shapeRefusal(of: update, base: base) }
    if let place = update.firstNonFinite {
        throw .notFinite(tensor: place.tensor, index: place.index)
    }
    let norm = update.norm
    guard norm <= normBound else { throw .normAboveBound(norm: norm, bound: normBound) }
}

/// Names the first tensor, in ascending order, that differs.
private func shapeRefusal(of update: Parameters, base: Parameters) -> UpdateRefusal {
    let expected = Dictionary(base.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
    let found = Dictionary(update.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
    let names = Set(expected.keys).union(found.keys).filter { expected[$0] != found[$0] }
    let name = names.min() ?? ""
    return .wrongShape(tensor: name, expected: expected[name], found: found[name])
}

/// Reads and checks an update as a site sent it.
package func screenedUpdate(
    _ bytes: [UInt8], base: Parameters, normBound: Double
) throws(UpdateRefusal) -> Parameters {
    let file: Safetensors
    do { file = try Safetensors(decoding: bytes) } catch { throw .malformed(error) }
    try screen(file.parameters, base: base, normBound: normBound)
    return file.parameters
}

/// Why updates cannot be averaged; what was added before stays as it was.
package enum AggregationError: Error, Hashable, Sendable {
    /// A site that is not above the one added before it.
    case notAscending(AccountID)
    case shapeMismatch(AccountID)
    case notFinite(AccountID, tensor: String, index: Int)
    case zeroWeight(AccountID)
    /// Weights of 2⁵³ or more in all, which Float64 does not hold exactly.
    case weightOverflow(AccountID)
    case noUpdates
    /// The new model left the range of Float32.
    case resultNotFinite(tensor: String, index: Int)
}

/// The example-weighted mean of one round's updates (FedAvg), one update at a time.
///
/// mⱼ = Float32(bⱼ + (Σᵢ nᵢuᵢⱼ) / Σᵢ nᵢ) in Float64, sites in ascending order: float addition is
/// not associative, and a replay owes the same bits. Each product and each sum is rounded; Swift
/// never fuses a product and a sum by itself, it takes `addProduct` to do that. Memory is one model
/// in Float64 beside the base, whatever the number of sites.
///
/// - SeeAlso: McMahan et al., AISTATS 2017, algorithm 1 (arXiv:1602.05629).
package struct WeightedMean: Sendable {
    private let base: Parameters
    private var sums: [[Double]]
    private var last: AccountID?
    /// Σ nᵢ, below 2⁵³.
    package private(set) var totalWeight: UInt64 = 0

    package init(base: Parameters) {
        self.base = base
        sums = base.tensors.map { Array(repeating: 0, count: $0.values.count) }
    }

    /// Adds nᵢuᵢ of the next site.
    ///
    /// - Parameters:
    ///   - update: a delta of the base's shape.
    ///   - weight: nᵢ, the examples it was trained on.
    ///   - site: above every site added before.
    /// - Throws: ``AggregationError``, with nothing added.
    package mutating func add(
        _ update: Parameters, weight: UInt64, from site: AccountID
    ) throws(AggregationError) {
        if let last, !(last < site) { throw .notAscending(site) }
        guard update.hasSameShape(as: base) else { throw .shapeMismatch(site) }
        guard weight > 0 else { throw .zeroWeight(site) }
        let (total, overflow) = totalWeight.addingReportingOverflow(weight)
        guard !overflow, total < 1 << 53 else { throw .weightOverflow(site) }
        if let place = update.firstNonFinite {
            throw .notFinite(site, tensor: place.tensor, index: place.index)
        }
        for (tensor, source) in update.tensors.enumerated() {
            accumulate(source.values, times: Double(weight), into: &sums[tensor])
        }
        (last, totalWeight) = (site, total)
    }

    /// The new model.
    package func result() throws(AggregationError) -> Parameters {
        guard totalWeight > 0 else { throw .noUpdates }
        var model = base
        for index in sums.indices {
            model.tensors[index].values = moved(
                base.tensors[index].values, by: sums[index], over: Double(totalWeight))
        }
        if let place = model.firstNonFinite {
            throw .resultNotFinite(tensor: place.tensor, index: place.index)
        }
        return model
    }
}

private func accumulate(_ values: [Float], times weight: Double, into sums: inout [Double]) {
    sums.withUnsafeMutableBufferPointer { sums in
        values.withUnsafeBufferPointer { values in
            for index in values.indices { sums[index] += weight * Double(values[index]) }
        }
    }
}

private func moved(_ base: [Float], by sums: [Double], over total: Double) -> [Float] {
    base.withUnsafeBufferPointer { base in
        sums.withUnsafeBufferPointer { sums in
            [Float](unsafeUninitializedCapacity: base.count) { values, initialized in
                for index in base.indices {
                    values.initializeElement(
                        at: index, to: Float(Double(base[index]) + sums[index] / total))
                }
                initialized = base.count
            }
        }
    }
}
