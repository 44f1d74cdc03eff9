/// The drawn numbers of a run; its seed says them all.
package struct FuzzRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        // Steele, Lea & Flood, OOPSLA 2014.
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below the limit, which is at least 1.
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }

    /// True once in so many times.
    mutating func once(in times: Int) -> Bool { below(times) == 0 }

    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    /// Mostly the numbers at which programs go wrong.
    mutating func integer() -> UInt64 {
        switch below(4) {
        case 0: next()
        case 1: UInt64(below(300))
        case 2: Self.edges[below(Self.edges.count)]
        default: (1 as UInt64) << UInt64(below(64)) &- UInt64(below(2))
        }
    }

    private static let edges: [UInt64] = [
        0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256, 999, 1_000,
        1_001, 4_095, 4_096, 65_535, 65_536, 1 << 20, 1 << 31, (1 << 31) - 1, (1 << 32) - 1,
        1 << 32,
        (1 << 62), (1 << 63) - 1, 1 << 63, .max - 1, .max,
    ]
}
