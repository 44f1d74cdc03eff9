import LungNodules
import Testing

@Suite("Features of a nodule")
struct FeatureTests {
    @Test("the lower median of two middle values is the lower")
    func lowerMedians() {
        #expect(lowerMedian([Int]()) == nil)
        #expect(lowerMedian([4]) == 4)
        #expect(lowerMedian([5, 2]) == 2)
        #expect(lowerMedian([3, 1, 2]) == 2)
        #expect(lowerMedian([4, 1, 3, 2]) == 2)
    }

    @Test("grades are centred, diameter and volume logarithmic")
    func values() throws {
        // e² = 7.389056 mm and e⁶ = 403.428793 mm³ are the zeros of the last two.
        let text = RawRow.table([
            [
                "reader": "1", "subtlety": "5", "diameter_mm": "7.389056",
                "volume_mm3": "403.428793",
            ],
            ["reader": "2", "subtlety": "2", "diameter_mm": "20.085537", "volume_mm3": "9000"],
        ])
        let features = try #require(Features(of: readings(inCSV: text, file: "raw.csv")))
        #expect(features.values.prefix(8) == [-1, -2, 3, 0, 0, 0, 1, 2])
        #expect(features.values.count == Features.names.count)
        #expect(abs(features.values[8]) < 1e-6)
        #expect(abs(features.values[9]) < 1e-6)
        let wide = RawRow.table([["diameter_mm": "20.085537", "volume_mm3": "1808.042414"]])
        let more = try #require(Features(of: readings(inCSV: wide, file: "raw.csv")))
        #expect(abs(more.values[8] - 2) < 1e-6)
        #expect(abs(more.values[9] - 1) < 1e-6)
    }

    @Test("no readings, no features")
    func none() {
        #expect(Features(of: []) == nil)
    }

    @Test(
        "seven significant digits without exponent",
        arguments: [
            (0.0, "0"), (-0.0, "0"), (3, "3"), (-2, "-2"), (10, "10"), (120, "120"),
            (2.944_554_123, "2.944554"), (-0.529_621_849, "-0.5296218"),
            (0.000_012_345_678_9, "0.00001234568"), (-0.000_001, "-0.000001"),
            (9.999_999_96, "10"), (99_999_999, "100000000"), (1_234_567.8, "1234568"),
            (123_456.78, "123456.8"), (0.1, "0.1"),
        ])
    func decimals(value: Double, text: String) {
        #expect(decimal(value) == text)
    }
}
