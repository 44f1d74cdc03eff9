/// One answer by numbers instead of names; all of them are counted from 0.
package struct IndexedAnswer: Hashable, Sendable {
    package let item: Int32
    package let annotator: Int32
    package let answer: Int32

    package init(item: Int32, annotator: Int32, answer: Int32) {
        self.item = item
        self.annotator = annotator
        self.answer = answer
    }
}

/// Answers as flat integers, ordered by item, annotator and class: what a sweep reads is
/// contiguous, and a million answers are eight megabytes.
package struct AnswerGrid: Sendable {
    package let classes: Int
    package let annotatorCount: Int
    /// Items + 1; the answers of item i are `rows[starts[i]..<starts[i + 1]]`.
    package let starts: [Int32]
    /// annotator · classes + answer, ascending inside an item.
    package let rows: [Int32]
    /// The true class of a gold item, else −1.
    package let gold: [Int16]

    package var itemCount: Int { gold.count }

    /// Orders answers in two counting passes, so that their arrival does not matter.
    ///
    /// - Parameters:
    ///   - classes: 2 to 255; answers are 0 ..< classes.
    ///   - annotators: how many there are; each answer's is below.
    ///   - items: how many there are; each answer's is below.
    ///   - answers: in any order; one annotator may answer an item twice.
    ///   - truths: gold, the true class of some items, by number.
    /// - Throws: ``ScoreError``; `malformedCounts` for an item or annotator out of range.
    package init(
        classes: Int, annotators: Int, items: Int, answers: [IndexedAnswer],
        gold truths: [Int32: Int] = [:]
    ) throws(ScoreError) {
        guard (2...255).contains(classes) else { throw .classCount(classes) }
        let (rowCount, isTooMany) = annotators.multipliedReportingOverflow(by: classes)
        guard annotators >= 0, items >= 0, !isTooMany, rowCount < Int32.max, items < Int32.max,
            answers.count < Int32.max
        else { throw .overflow }
        var rowEnds = [Int32](repeating: 0, count: rowCount)
        var itemEnds = [Int32](repeating: 0, count: items + 1)
        for answer in answers {
            guard (0..<Int32(items)).contains(answer.item),
                (0..<Int32(annotators)).contains(answer.annotator)
            else { throw .malformedCounts(nil) }
            guard (0..<Int32(classes)).contains(answer.answer) else {
                throw .classOutOfRange(Int(answer.answer), classes: classes)
            }
            rowEnds[Int(answer.annotator) * classes + Int(answer.answer)] += 1
            itemEnds[Int(answer.item) + 1] += 1
        }
        for item in 0..<items { itemEnds[item + 1] += itemEnds[item] }
        var gold = [Int16](repeating: -1, count: items)
        for (item, truth) in truths.sorted(by: { $0.key < $1.key }) {
            guard gold.indices.contains(Int(item)) else { throw .malformedCounts(nil) }
            guard (0..<classes).contains(truth) else {
                throw .classOutOfRange(truth, classes: classes)
            }
            gold[Int(item)] = Int16(truth)
        }
        for item in 0..<items where gold[item] < 0 && itemEnds[item] == itemEnds[item + 1] {
            throw .itemWithoutAnswers(position: item)
        }
        self.classes = classes
        annotatorCount = annotators
        self.gold = gold
        starts = itemEnds
        rows = Self.ordered(answers, classes: classes, rowCounts: rowEnds, starts: itemEnds)
    }

    /// A counting sort by row, then a stable one by item.
    private static func ordered(
        _ answers: [IndexedAnswer], classes: Int, rowCounts: [Int32], starts: [Int32]
    ) -> [Int32] {
        var next = rowCounts
        var begin: Int32 = 0
        for row in next.indices {
            (next[row], begin) = (begin, begin + next[row])
        }
        var byRow = [Int32](repeating: 0, count: answers.count)
        for (place, answer) in answers.enumerated() {
            let row = Int(answer.annotator) * classes + Int(answer.answer)
            byRow[Int(next[row])] = Int32(truncatingIfNeeded: place)
            next[row] += 1
        }
        var free = starts
        var rows = [Int32](repeating: 0, count: answers.count)
        for place in byRow {
            let answer = answers[Int(place)]
            rows[Int(free[Int(answer.item)])] =
                answer.annotator * Int32(truncatingIfNeeded: classes) + answer.answer
            free[Int(answer.item)] += 1
        }
        return rows
    }

    /// Counts an item's votes by class into a table of as many cells.
    ///
    /// - Returns: all of its votes.
    @discardableResult
    package func count(_ votes: inout [UInt64], of item: Int) -> UInt64 {
        for answer in 0..<classes { votes[answer] = 0 }
        for place in Int(starts[item])..<Int(starts[item + 1]) {
            votes[Int(rows[place]) % classes] += 1
        }
        return UInt64(starts[item + 1] - starts[item])
    }

    /// How often each annotator is counted when a gold item counts `goldWeight` times.
    func mass(goldWeight: UInt64) -> [UInt64] {
        var mass = [UInt64](repeating: 0, count: annotatorCount)
        for item in 0..<itemCount {
            let weight = gold[item] < 0 ? 1 : goldWeight
            for place in Int(starts[item])..<Int(starts[item + 1]) {
                mass[Int(rows[place]) / classes] += weight
            }
        }
        return mass
    }
}
