import Contracts
import TestSupport
import Testing

@Suite("Krippendorff's alpha")
struct KrippendorffAlphaTests {
    private func grid(_ units: [[Int]], classes: Int) throws -> AnswerGrid {
        let answers = units.enumerated().flatMap { item, unit in
            unit.enumerated().map { place, answer in
                IndexedAnswer(
                    item: Int32(item), annotator: Int32(place), answer: Int32(answer))
            }
        }
        return try AnswerGrid(
            classes: classes, annotators: units.map(\.count).max() ?? 0, items: units.count,
            answers: answers)
    }

    /// Four observers, twelve units, some not coded by all.
    ///
    /// - SeeAlso: Krippendorff, Computing Krippendorff's alpha-reliability, 2011, part C:
    ///   0.743 nominal, 0.815 ordinal.
    @Test("the textbook's reliability data")
    func textbook() throws {
        let rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
        let units = (0..<12).map { unit in
            rows.compactMap { row in
                row[row.index(row.startIndex, offsetBy: unit)].wholeNumberValue.map { $0 - 1 }
            }
        }
        let grid = try grid(units, classes: 5)
        let nominal = try #require(KrippendorffAlpha(grid, metric: .nominal))
        #expect(nominal.fraction == "113/152" && abs(nominal.value - 113 / 152) < 1e-15)
        let ordinal = try #require(KrippendorffAlpha(grid, metric: .ordinal))
        #expect(ordinal.fraction == "108577/133160")
    }

    @Test("a fraction whose denominator is beyond 128 bits stays exact")
    func manySizes() throws {
        let units = (2...80).map { size in (0..<size).map { ($0 * $0 + size) % 3 } }
        let grid = try grid(units, classes: 3)
        let nominal = try #require(KrippendorffAlpha(grid, metric: .nominal))
        #expect(
            nominal.fraction == "46166097372299085188704745060133167"
                + "/149694735022126074976720487564448000")
        #expect(abs(nominal.value - 0.308_401_610_554_141_17) < 1e-15)
        let ordinal = try #require(KrippendorffAlpha(grid, metric: .ordinal))
        #expect(
            ordinal.fraction == "944186568844948449103333135920222147461"
                + "/3151598103788331319522384784938105968000")
    }

    @Test("perfect agreement is 1, systematic disagreement below 0, and no choice is undefined")
    func ends() throws {
        func alpha(_ units: [[Int]], classes: Int = 2) throws -> KrippendorffAlpha? {
            KrippendorffAlpha(try grid(units, classes: classes), metric: .nominal)
        }
        #expect(try alpha([[0, 0], [1, 1]])?.fraction == "1")
        #expect(try alpha([[0, 0], [1, 1]])?.value == 1)
        #expect(try alpha([[0, 1], [1, 0]])?.fraction == "-1/2")
        #expect(try alpha([[0, 1], [1, 0]])?.value == -0.5)
        #expect(try alpha([[0, 0], [0, 0]]) == nil)
        #expect(try alpha([[0], [1]]) == nil)
        #expect(try alpha([[0, 0], [1]]) == nil)
    }

    /// Σ over pairs of answers of an item, as the definition says it, in floating point.
    private func slowAlpha(_ units: [[Int]], ordinal: Bool) -> Double {
        let units = units.filter { $0.count > 1 }
        let all = units.flatMap(\.self)
        func distance(_ one: Int, _ other: Int) -> Double {
            guard one != other else { return 0 }
            guard ordinal else { return 1 }
            let between = all.count { (min(one, other)...max(one, other)).contains($0) }
            let ends = Double(all.count { $0 == one } + all.count { $0 == other })
            return (Double(between) - ends / 2) * (Double(between) - ends / 2)
        }
        var (observed, expected) = (0.0, 0.0)
        for unit in units {
            for one in unit.indices {
                for other in unit.indices where other != one {
                    observed += distance(unit[one], unit[other]) / Double(unit.count - 1)
                }
            }
        }
        for one in all { for other in all { expected += distance(one, other) } }
        return 1 - Double(all.count - 1) * observed / expected
    }

    @Test("agrees with the definition", arguments: UInt64(0)..<60)
    func agreesWithDefinition(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let classes = Int.random(in: 2...6, using: &random)
        let units = (0..<12).map { _ in
            (0..<Int.random(in: 1...9, using: &random)).map { _ in
                Int.random(in: 0..<classes, using: &random)
            }
        }
        let grid = try grid(units, classes: classes)
        for (metric, ordinal) in [(KrippendorffAlpha.Metric.nominal, false), (.ordinal, true)] {
            guard let alpha = KrippendorffAlpha(grid, metric: metric) else { continue }
            #expect(
                abs(alpha.value - slowAlpha(units, ordinal: ordinal)) < 1e-12,
                "replay with seed \(seed)")
        }
    }
}
