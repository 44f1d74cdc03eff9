import Contracts
import TestSupport
import Testing

struct OrdinalConsensusTests {
    @Test(
        "a table of cases",
        arguments: [
            ([3, 3, 3], .approved(3)),
            ([2, 3, 4], .approved(3)),
            ([4, 2, 3, 4], .approved(3)),  // the lower of two middle grades
            ([1, 2, 3, 3], .approved(2)),
            ([1, 1, 3], .approved(1)),  // two of three are exactly two thirds
            ([1, 1, 3, 3], .indeterminate(.disputed)),  // half is not
            ([1, 2, 2, 4], .indeterminate(.disputed)),  // spread
            ([5, 5], .indeterminate(.tooFew)),
            ([], .indeterminate(.tooFew)),
            ([.min, .max, 0], .indeterminate(.disputed)),
            ([.max, .max, .max], .approved(.max)),
        ] as [([Int], Consensus<Int>)])
    func table(grades: [Int], expected: Consensus<Int>) {
        #expect(OrdinalRule().outcome(of: grades) == expected)
        #expect(OrdinalRule().outcome(of: grades.reversed()) == expected)
    }

    @Test("the agreement's parameters count")
    func parameters() {
        #expect(OrdinalRule(minimumAnswers: 2).outcome(of: [4, 5]) == .approved(4))
        #expect(OrdinalRule(spread: 1).outcome(of: [2, 3, 4]) == .indeterminate(.disputed))
        #expect(
            OrdinalRule(tolerance: 0).outcome(of: [2, 3, 3, 4]) == .indeterminate(.disputed))
        #expect(OrdinalRule(support: 1, outOf: 2).outcome(of: [1, 1, 3, 3]) == .approved(1))
        #expect(OrdinalRule(minimumAnswers: 0).outcome(of: []) == .indeterminate(.tooFew))
    }

    @Test("the lung nodules: 1,164 approved, 228 disputed, 1,282 too few")
    func lungNodules() throws {
        let nodules = try TestSupport.lungNodules()
        let outcomes = nodules.map { OrdinalRule().outcome(of: $0.malignancies) }
        let grades = (1...5).map { grade in outcomes.count { $0 == .approved(grade) } }
        #expect(grades == [143, 246, 551, 137, 87])
        #expect(outcomes.count { $0 == .indeterminate(.disputed) } == 228)
        #expect(outcomes.count { $0 == .indeterminate(.tooFew) } == 1_282)
        // Study 12, nodule 1 reads 5, 5, 5, 4; a 2 instead of the 4 makes a spread of 3.
        let changed = nodules.map { nodule in
            var grades = nodule.malignancies
            if nodule.study == 12, nodule.number == 1, grades == [5, 5, 5, 4] { grades[3] = 2 }
            return OrdinalRule().outcome(of: grades)
        }
        #expect(changed.count { $0 == .approved(5) } == 86)
        #expect(changed.count { $0 == .indeterminate(.disputed) } == 229)
    }
}
