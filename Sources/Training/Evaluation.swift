import Foundation

/// Why logits cannot be compared with labels.
package enum EvaluationError: Error, Hashable, Sendable {
    case countMismatch(logits: Int, labels: Int)
    case notANumber(index: Int)
}

/// How many pairs of a positive and a negative record are in the right order.
package struct PairCount: Hashable, Sendable {
    /// The positive one has the larger logit.
    package let concordant: Int64
    /// Both have the same.
    package let tied: Int64
    /// P · N.
    package let pairs: Int64

    /// 2 · concordant + tied: what decides money, a whole number.
    package var utility: Int64 { 2 * concordant + tied }
    /// What a coin would reach: P · N.
    package var floor: Int64 { pairs }

    /// The area under the ROC curve, for display; nil when one class is missing.
    package var auc: Double? { pairs > 0 ? Double(utility) / Double(2 * pairs) : nil }
}

/// Counts ordered pairs in O(n log n), by comparisons alone.
///
/// - Parameters:
///   - logits: n.
///   - labels: n.
/// - Returns: the pairs by their order.
/// - Throws: ``EvaluationError``.
package func concordance(
    logits: [Double], labels: [Bool]
) throws(EvaluationError) -> PairCount {
    try check(logits, labels)
    let order = logits.indices.sorted { logits[$0] < logits[$1] }
    var (below, concordant, tied, positives) = (Int64(0), Int64(0), Int64(0), Int64(0))
    var begin = 0
    while begin < order.count {  // one run of equal logits after the other
        let value = logits[order[begin]]
        let end = order[begin...].firstIndex { logits[$0] != value } ?? order.count
        let positive = Int64(order[begin..<end].count { labels[$0] })
        let negative = Int64(end - begin) - positive
        concordant += positive * below
        tied += positive * negative
        positives += positive
        below += negative
        begin = end
    }
    return PairCount(concordant: concordant, tied: tied, pairs: positives * below)
}

/// The records on the right side of zero; a logit of exactly zero says negative.
package func correctAnswers(
    logits: [Double], labels: [Bool]
) throws(EvaluationError) -> Int64 {
    try check(logits, labels)
    return Int64(zip(logits, labels).count { ($0 > 0) == $1 })
}

/// The mean logistic loss, for display; nil for no records.
package func meanLogLoss(
    logits: [Double], labels: [Bool]
) throws(EvaluationError) -> Double? {
    try check(logits, labels)
    guard !logits.isEmpty else { return nil }
    let sum = zip(logits, labels).reduce(0.0) {
        $0 + logisticLoss(logit: $1.0, label: $1.1 ? 1 : 0)
    }
    return sum / Double(logits.count)
}

private func check(_ logits: [Double], _ labels: [Bool]) throws(EvaluationError) {
    guard logits.count == labels.count else {
        throw .countMismatch(logits: logits.count, labels: labels.count)
    }
    if let index = logits.firstIndex(where: \.isNaN) { throw .notANumber(index: index) }
}

/// What a model is worth, as a whole number; the raw value is the agreement's word.
package enum Utility: String, Hashable, Sendable {
    case concordance, correct

    package func value(logits: [Double], labels: [Bool]) throws(EvaluationError) -> Int64 {
        switch self {
        case .concordance: try Training.concordance(logits: logits, labels: labels).utility
        case .correct: try correctAnswers(logits: logits, labels: labels)
        }
    }

    /// What is reached without any model: P · N, or the larger class.
    package func floor(labels: [Bool]) -> Int64 {
        let positives = Int64(labels.count { $0 })
        let negatives = Int64(labels.count) - positives
        return self == .concordance ? positives * negatives : max(positives, negatives)
    }
}
