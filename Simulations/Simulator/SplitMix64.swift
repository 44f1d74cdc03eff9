/// Steele, Lea & Flood's generator (OOPSLA 2014), one stream for each concern of a simulation.
///
/// A concern's stream depends on the seed and on its own name alone: one draw more in one place
/// shifts no other stream, so that a small change of the simulator leaves most of a seed's
/// schedule as it was.
struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64, concern: String) {
        // FNV-1a of the name; one step of the generator then separates neighbouring seeds.
        var name: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in concern.utf8 { name = (name ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        state = seed
        state = next() ^ name
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number of a closed range; the standard library's own way of drawing might change.
    mutating func number(in range: ClosedRange<UInt64>) -> UInt64 {
        let width = range.upperBound &- range.lowerBound &+ 1
        guard width > 0 else { return next() }
        return range.lowerBound + next().multipliedFullWidth(by: width).high
    }

    mutating func number(in range: ClosedRange<Int>) -> Int {
        Int(number(in: UInt64(range.lowerBound)...UInt64(range.upperBound)))
    }

    mutating func chance(_ permille: Int) -> Bool {
        next().multipliedFullWidth(by: 1_000).high < UInt64(max(0, permille))
    }

    mutating func element<Element>(of list: [Element]) -> Element? {
        list.isEmpty ? nil : list[number(in: 0...list.count - 1)]
    }

    /// A drawn part of a list, in a drawn order.
    mutating func sample<Element>(_ count: Int, of list: [Element]) -> [Element] {
        var rest = list
        var chosen: [Element] = []
        while chosen.count < count, !rest.isEmpty {
            chosen.append(rest.remove(at: number(in: 0...rest.count - 1)))
        }
        return chosen
    }
}
