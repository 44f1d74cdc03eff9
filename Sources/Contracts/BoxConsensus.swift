/// A rectangle with a class; edges in thousandths of a pixel from the image's upper left corner.
package struct Box: Hashable, Comparable, Sendable {
    /// Counted from 1.
    package let label: UInt32
    package let left: UInt32
    package let top: UInt32
    package let right: UInt32
    package let bottom: UInt32

    package init(label: UInt32, left: UInt32, top: UInt32, right: UInt32, bottom: UInt32) {
        self.label = label
        self.left = left
        self.top = top
        self.right = right
        self.bottom = bottom
    }

    /// - Precondition: at least five fields.
    init(fields: some Sequence<UInt32>) {
        let fields = Array(fields.prefix(5))
        self.init(
            label: fields[0], left: fields[1], top: fields[2], right: fields[3],
            bottom: fields[4])
    }

    var fields: [UInt32] { [label, left, top, right, bottom] }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.label, lhs.left, lhs.top, lhs.right, lhs.bottom)
            < (rhs.label, rhs.left, rhs.top, rhs.right, rhs.bottom)
    }

    /// Below 2⁴⁸, since an edge is below 2²⁴.
    private var area: UInt64 { UInt64(right - left) * UInt64(bottom - top) }

    /// Millionths of intersection over union, rounded down; 0 for two classes.
    package func overlap(_ other: Self) -> UInt64 {
        let (left, right) = (max(left, other.left), min(right, other.right))
        let (top, bottom) = (max(top, other.top), min(bottom, other.bottom))
        guard label == other.label, left < right, top < bottom else { return 0 }
        let both = UInt64(right - left) * UInt64(bottom - top)
        return (area + other.area - both).dividingFullWidth(
            both.multipliedFullWidth(by: 1_000_000)
        ).quotient
    }
}

/// The boxes of one image: inside it, ascending, each once.
package struct BoxSet: Hashable, Sendable {
    package static let mostBoxes = 256

    package let size: ImageSize
    package let boxes: [Box]

    /// - Returns: nil for boxes that are empty, outside, out of order, or more than 256.
    package init?(size: ImageSize, boxes: [Box]) {
        guard boxes.count <= Self.mostBoxes,
            boxes.allSatisfy({
                $0.left < $0.right && $0.top < $0.bottom && $0.right <= size.width * 1000
                    && $0.bottom <= size.height * 1000
            }),
            zip(boxes, boxes.dropFirst()).allSatisfy({ $0 < $1 })
        else { return nil }
        self.size = size
        self.boxes = boxes
    }

    fileprivate init(size: ImageSize, ordering boxes: some Sequence<Box>) {
        self.size = size
        self.boxes = Set(boxes).sorted()
    }

    /// The same boxes on an image of another size; what becomes empty is dropped.
    fileprivate func fitted(to other: ImageSize) -> [Box] {
        guard other != size else { return boxes }
        func scaled(_ edge: UInt32, _ from: UInt32, _ to: UInt32) -> UInt32 {
            UInt32(truncatingIfNeeded: UInt64(edge) * UInt64(to) / UInt64(from))
        }
        let fitted = boxes.map { box in
            Box(
                label: box.label, left: scaled(box.left, size.width, other.width),
                top: scaled(box.top, size.height, other.height),
                right: scaled(box.right, size.width, other.width),
                bottom: scaled(box.bottom, size.height, other.height))
        }
        return Set(fitted.filter { $0.left < $0.right && $0.top < $0.bottom }).sorted()
    }
}

/// When boxes make a consensus: clusters of overlapping boxes that half of the readers hold.
package struct BoxRule: GradedRule, Hashable {
    package let minimumAnswers: UInt64
    /// Two boxes of one class from here on mean the same thing.
    package let overlapPermille: UInt64
    /// From here on a reader is in consensus.
    package let agreementPermille: UInt64

    package init(
        overlapPermille: UInt64 = 500, agreementPermille: UInt64 = 700, minimumAnswers: UInt64 = 3
    ) {
        self.overlapPermille = overlapPermille
        self.agreementPermille = agreementPermille
        self.minimumAnswers = minimumAnswers
    }

    private var threshold: UInt64 { max(1, overlapPermille * 1000) }

    /// The consensus boxes: of each cluster the lower medians of the edges.
    ///
    /// Boxes with the most readers near them found clusters first, in the order of the answers
    /// and of their boxes between equals. A cluster takes the best overlapping free box of each
    /// other reader, and counts when half of all weight holds it.
    package func reference(of answers: [(value: BoxSet, weight: UInt64)]) -> BoxSet? {
        let total = answers.reduce(UInt128(0)) { $0 + UInt128($1.weight) }
        guard let size = answers.first?.value.size, total > 0 else { return nil }
        var clusters = Clustering(answers: answers, threshold: threshold)
        var found: Set<Box> = []
        for seed in clusters.seeds where clusters.isFree(seed) {
            let members = clusters.take(around: seed)
            let held = members.reduce(UInt128(0)) { $0 + UInt128($1.weight) }
            guard 2 * held >= total, let label = members.first?.box.label else { continue }
            func median(_ edge: KeyPath<Box, UInt32>) -> UInt32 {
                weightedLowerMedian(members.map { ($0.box[keyPath: edge], $0.weight) }) ?? 0
            }
            found.insert(
                Box(
                    label: label, left: median(\.left), top: median(\.top),
                    right: median(\.right), bottom: median(\.bottom)))
        }
        return BoxSet(size: size, ordering: found)
    }

    /// Twice the overlap of matched boxes over the boxes of both, in per mille.
    ///
    /// Matched greedily, the largest overlap first. A reference to an image of another size is
    /// stretched to the own one.
    package func agreement(_ own: BoxSet, _ reference: BoxSet) -> UInt64 {
        let others = reference.fitted(to: own.size)
        guard !own.boxes.isEmpty || !others.isEmpty else { return 1000 }
        var pairs: [(overlap: UInt64, own: Int, other: Int)] = []
        for (place, box) in own.boxes.enumerated() {
            for (other, candidate) in others.enumerated() {
                let overlap = box.overlap(candidate)
                if overlap >= threshold { pairs.append((overlap, place, other)) }
            }
        }
        pairs.sort { ($1.overlap, $0.own, $0.other) < ($0.overlap, $1.own, $1.other) }
        var (isOwnFree, isOtherFree) = (
            Array(repeating: true, count: own.boxes.count),
            Array(repeating: true, count: others.count)
        )
        var matched: UInt64 = 0
        for pair in pairs where isOwnFree[pair.own] && isOtherFree[pair.other] {
            isOwnFree[pair.own] = false
            isOtherFree[pair.other] = false
            matched += pair.overlap
        }
        return 2 * matched / (1000 * UInt64(own.boxes.count + others.count))
    }

    /// Approved when more than half of the readers are in consensus.
    package func consensus(of answers: [BoxSet]) -> Consensus<BoxSet> {
        guard answers.count >= minimumAnswers,
            let reference = reference(of: answers.map { (value: $0, weight: 1) })
        else { return .indeterminate(.tooFew) }
        guard answers.count(where: { supports($0, reference) }) > answers.count / 2 else {
            return .indeterminate(.disputed)
        }
        return .approved(reference)
    }

    package func supports(_ own: BoxSet, _ consensus: BoxSet) -> Bool {
        agreement(own, consensus) >= agreementPermille
    }
}

/// The boxes of all readers in one row, and which of them are in no cluster yet.
private struct Clustering {
    private let boxes: [(reader: Int, box: Box)]
    private let weights: [UInt64]
    private let threshold: UInt64
    /// Where each reader's boxes stand.
    private let ranges: [Range<Int>]
    private var free: [Bool]

    init(answers: [(value: BoxSet, weight: UInt64)], threshold: UInt64) {
        boxes = answers.enumerated().flatMap { reader, answer in
            answer.value.boxes.map { (reader, $0) }
        }
        var begin = 0
        ranges = answers.map { answer in
            defer { begin += answer.value.boxes.count }
            return begin..<begin + answer.value.boxes.count
        }
        weights = answers.map(\.weight)
        self.threshold = threshold
        free = Array(repeating: true, count: boxes.count)
    }

    /// All boxes, those with the most weight near them first.
    var seeds: [Int] {
        let support = boxes.map { entry in
            ranges.enumerated().reduce(UInt128(0)) { sum, other in
                let isNear =
                    other.offset == entry.reader
                    || other.element.contains { entry.box.overlap(boxes[$0].box) >= threshold }
                return isNear ? sum + UInt128(weights[other.offset]) : sum
            }
        }
        return boxes.indices.sorted { (support[$1], $0) < (support[$0], $1) }
    }

    func isFree(_ place: Int) -> Bool { free[place] }

    mutating func take(around seed: Int) -> [(box: Box, weight: UInt64)] {
        let center = boxes[seed]
        var members = [seed]
        for (reader, range) in ranges.enumerated() where reader != center.reader {
            var best: (overlap: UInt64, place: Int)?
            for place in range where free[place] {
                let overlap = center.box.overlap(boxes[place].box)
                if overlap >= threshold, overlap > best?.overlap ?? 0 { best = (overlap, place) }
            }
            if let best { members.append(best.place) }
        }
        for member in members { free[member] = false }
        return members.map { (boxes[$0].box, weights[boxes[$0].reader]) }
    }
}
