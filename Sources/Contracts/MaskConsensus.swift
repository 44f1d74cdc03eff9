/// Walks over masks of one size together: stretches of pixels on which none of them changes.
private struct MaskSweep {
    private let masks: [RunMask]
    private var places: [Int]
    private var left: [UInt32]
    /// Whether each mask has the pixels of the present stretch.
    private(set) var isInside: [Bool]

    init(_ masks: [RunMask]) {
        self.masks = masks
        places = Array(repeating: 0, count: masks.count)
        left = masks.map { $0.runs.first ?? 0 }
        isInside = Array(repeating: false, count: masks.count)
        for mask in masks.indices { advance(mask, by: 0) }
    }

    /// How long the present stretch is; 0 at the end.
    var length: UInt32 { left.min() ?? 0 }

    mutating func next() {
        let length = length
        for mask in left.indices { advance(mask, by: length) }
    }

    private mutating func advance(_ mask: Int, by length: UInt32) {
        left[mask] -= length
        guard left[mask] == 0, places[mask] + 1 < masks[mask].runs.count else { return }
        places[mask] += 1
        left[mask] = masks[mask].runs[places[mask]]
        isInside[mask].toggle()
    }
}

extension RunMask {
    /// The pixels of any of the masks; nil for none, or for masks of two sizes.
    package static func union(_ masks: [Self]) -> Self? {
        guard let size = masks.first?.size, masks.allSatisfy({ $0.size == size }) else {
            return nil
        }
        var sweep = MaskSweep(masks)
        var builder = RunBuilder()
        while sweep.length > 0 {
            builder.append(sweep.length, isInside: sweep.isInside.contains(true))
            sweep.next()
        }
        return Self(size: size, built: builder)
    }
}

/// Pixels of two masks and of both, which Dice's coefficient is made of.
private struct Overlap {
    var own: UInt64 = 0
    var other: UInt64 = 0
    var both: UInt64 = 0

    mutating func count(_ length: UInt32, own isOwn: Bool, other isOther: Bool) {
        if isOwn { own += UInt64(length) }
        if isOther { other += UInt64(length) }
        if isOwn && isOther { both += UInt64(length) }
    }

    var dicePermille: UInt64 { own + other == 0 ? 1000 : 2000 * both / (own + other) }
}

/// When masks make a consensus; judged on run lengths, no pixel is ever looked at alone.
package struct MaskRule: GradedRule, Hashable {
    package let minimumAnswers: UInt64
    /// What the median of each mask's Dice with the majority of the others must reach.
    package let dicePermille: UInt64

    package init(dicePermille: UInt64 = 800, minimumAnswers: UInt64 = 3) {
        self.dicePermille = dicePermille
        self.minimumAnswers = minimumAnswers
    }

    /// The pixels that more than half of the weight has; nil also for masks of two sizes.
    package func reference(of answers: [(value: RunMask, weight: UInt64)]) -> RunMask? {
        let total = answers.reduce(UInt128(0)) { $0 + UInt128($1.weight) }
        guard let size = answers.first?.value.size, total > 0,
            answers.allSatisfy({ $0.value.size == size })
        else { return nil }
        var sweep = MaskSweep(answers.map(\.value))
        var builder = RunBuilder()
        while sweep.length > 0 {
            var held = UInt128(0)
            for (place, answer) in answers.enumerated() where sweep.isInside[place] {
                held += UInt128(answer.weight)
            }
            builder.append(sweep.length, isInside: 2 * held > total)
            sweep.next()
        }
        return RunMask(size: size, built: builder)
    }

    /// Dice in per mille; a reference to an image of another size is stretched to the own one.
    package func agreement(_ own: RunMask, _ reference: RunMask) -> UInt64 {
        var sweep = MaskSweep([own, reference.fitted(to: own.size)])
        var overlap = Overlap()
        while sweep.length > 0 {
            overlap.count(sweep.length, own: sweep.isInside[0], other: sweep.isInside[1])
            sweep.next()
        }
        return overlap.dicePermille
    }

    /// Approved with the majority when the median agreement with the others' majority is enough.
    package func consensus(of answers: [RunMask]) -> Consensus<RunMask> {
        guard answers.count >= max(2, minimumAnswers) else { return .indeterminate(.tooFew) }
        guard let label = reference(of: answers.map { (value: $0, weight: 1) }),
            let median = lowerMedian(leaveOneOut(answers)), median >= dicePermille
        else { return .indeterminate(.disputed) }
        return .approved(label)
    }

    package func supports(_ own: RunMask, _ consensus: RunMask) -> Bool {
        agreement(own, consensus) >= dicePermille
    }

    /// Each mask's Dice with the strict majority of the others, all in one walk.
    ///
    /// - Precondition: all masks are of one size, as those of one item are.
    package func leaveOneOut(_ answers: [RunMask]) -> [UInt64] {
        var sweep = MaskSweep(answers)
        var overlaps = Array(repeating: Overlap(), count: answers.count)
        while sweep.length > 0 {
            let held = sweep.isInside.count { $0 }
            for place in answers.indices {
                let isOwn = sweep.isInside[place]
                let others = held - (isOwn ? 1 : 0)
                overlaps[place].count(
                    sweep.length, own: isOwn, other: 2 * others > answers.count - 1)
            }
            sweep.next()
        }
        return overlaps.map(\.dicePermille)
    }
}
