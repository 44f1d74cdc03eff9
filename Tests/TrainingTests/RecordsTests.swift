import Testing
import Training

struct RecordsTests {
    @Test("the bytes of a record, written out")
    func bytes() throws {
        let bytes = try canonicalRecord(features: [("ab", 1), ("é", -0.0)])
        let expected =
            Array("tally/record/v1\0".utf8) + [0, 0, 0, 2]
            + [0, 2, 0x61, 0x62, 0x3F, 0x80, 0, 0] + [0, 2, 0xC3, 0xA9, 0, 0, 0, 0]
        #expect(bytes == expected)
        #expect(try canonicalRecord(features: []).suffix(4) == [0, 0, 0, 0])
    }

    @Test("what has no canonical bytes is refused by place")
    func refusals() {
        for value in [Float.nan, .infinity, -.infinity] {
            #expect(throws: RecordError.notFinite(index: 1)) {
                try canonicalRecord(features: [("a", 0), ("b", value)])
            }
        }
        #expect(throws: RecordError.nameLength(index: 0)) {
            try canonicalRecord(features: [("", 0)])
        }
        let long = String(repeating: "x", count: 65_536)
        #expect(throws: RecordError.nameLength(index: 0)) {
            try canonicalRecord(features: [(long, 0)])
        }
        #expect(throws: Never.self) {
            try canonicalRecord(features: [(String(long.dropLast()), 0)])
        }
    }
}
