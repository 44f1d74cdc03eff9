/// A whole number of any size: what exact fractions over many items need.
///
/// A sum of fractions over items with 2, 3, … 100 answers has a denominator beyond 128 bits.
struct Natural: Hashable, Comparable, Sendable {
    /// Little-endian digits to the base 2³², the highest not 0.
    private var limbs: [UInt32]

    init(_ value: UInt128) {
        var rest = value
        limbs = []
        while rest > 0 {
            limbs.append(UInt32(truncatingIfNeeded: rest))
            rest >>= 32
        }
    }

    private init(limbs: [UInt32]) {
        self.limbs = limbs
        while self.limbs.last == 0 { self.limbs.removeLast() }
    }

    var isZero: Bool { limbs.isEmpty }

    static func + (lhs: Self, rhs: Self) -> Self {
        var (sum, carry) = ([UInt32](), UInt64(0))
        for place in 0..<max(lhs.limbs.count, rhs.limbs.count) {
            carry += lhs.limb(place) + rhs.limb(place)
            sum.append(UInt32(truncatingIfNeeded: carry))
            carry >>= 32
        }
        sum.append(UInt32(truncatingIfNeeded: carry))
        return Self(limbs: sum)
    }

    /// |lhs − rhs|, and whether it is below zero.
    static func difference(_ lhs: Self, _ rhs: Self) -> (magnitude: Self, isNegative: Bool) {
        if lhs < rhs { return (difference(rhs, lhs).magnitude, true) }
        var (rest, borrow) = ([UInt32](), Int64(0))
        for place in lhs.limbs.indices {
            borrow += Int64(lhs.limb(place)) - Int64(rhs.limb(place))
            rest.append(UInt32(truncatingIfNeeded: borrow))
            borrow >>= 32
        }
        return (Self(limbs: rest), false)
    }

    static func * (lhs: Self, rhs: Self) -> Self {
        var product = [UInt32](repeating: 0, count: lhs.limbs.count + rhs.limbs.count)
        for (place, digit) in lhs.limbs.enumerated() {
            var carry: UInt64 = 0
            for (other, factor) in rhs.limbs.enumerated() {
                carry += UInt64(digit) * UInt64(factor) + UInt64(product[place + other])
                product[place + other] = UInt32(truncatingIfNeeded: carry)
                carry >>= 32
            }
            product[place + rhs.limbs.count] = UInt32(truncatingIfNeeded: carry)
        }
        return Self(limbs: product)
    }

    static func < (lhs: Self, rhs: Self) -> Bool {
        guard lhs.limbs.count == rhs.limbs.count else { return lhs.limbs.count < rhs.limbs.count }
        for place in lhs.limbs.indices.reversed() where lhs.limbs[place] != rhs.limbs[place] {
            return lhs.limbs[place] < rhs.limbs[place]
        }
        return false
    }

    func divided(by divisor: UInt32) -> (quotient: Self, remainder: UInt32) {
        guard divisor > 0 else { return (self, 0) }
        var (quotient, rest) = (limbs, UInt64(0))
        for place in limbs.indices.reversed() {
            rest = rest << 32 | UInt64(limbs[place])
            quotient[place] = UInt32(truncatingIfNeeded: rest / UInt64(divisor))
            rest %= UInt64(divisor)
        }
        return (Self(limbs: quotient), UInt32(truncatingIfNeeded: rest))
    }

    /// The greatest common divisor, by halving and subtracting.
    static func gcd(_ one: Self, _ other: Self) -> Self {
        guard !one.isZero else { return other }
        guard !other.isZero else { return one }
        let twos = min(one.trailingZeroBitCount, other.trailingZeroBitCount)
        var (left, right) = (one.withoutTwos, other.withoutTwos)
        while left != right {
            if left < right { swap(&left, &right) }
            left = difference(left, right).magnitude.withoutTwos
        }
        return left.shifted(left: twos)
    }

    /// The quotient of a division that is known to leave nothing, by long division in bits.
    func dividedExactly(by divisor: Self) -> Self {
        guard !divisor.isZero, self >= divisor else { return Self(0) }
        var quotient = [UInt32](repeating: 0, count: limbs.count)
        var rest = Self(0)
        for bit in (0..<bitWidth).reversed() {
            rest = rest.shifted(left: 1)
            if (limbs[bit / 32] >> UInt32(bit % 32)) & 1 == 1 { rest = rest + Self(1) }
            guard rest >= divisor else { continue }
            rest = Self.difference(rest, divisor).magnitude
            quotient[bit / 32] |= 1 << UInt32(bit % 32)
        }
        return Self(limbs: quotient)
    }

    private var bitWidth: Int {
        limbs.last.map { limbs.count * 32 - $0.leadingZeroBitCount } ?? 0
    }

    private var trailingZeroBitCount: Int {
        guard let place = limbs.firstIndex(where: { $0 != 0 }) else { return 0 }
        return place * 32 + limbs[place].trailingZeroBitCount
    }

    private var withoutTwos: Self { shifted(right: trailingZeroBitCount) }

    private func shifted(right bits: Int) -> Self {
        let kept = limbs.dropFirst(bits / 32)
        let shift = UInt64(bits % 32)
        let shifted = kept.indices.map { place in
            let pair = limb(place) | limb(place + 1) << 32
            return UInt32(truncatingIfNeeded: pair >> shift)
        }
        return Self(limbs: shifted)
    }

    private func shifted(left bits: Int) -> Self {
        let shift = UInt64(bits % 32)
        var shifted = [UInt32](repeating: 0, count: bits / 32)
        for place in 0...limbs.count {
            let pair = limb(place) << 32 | limb(place - 1)
            shifted.append(UInt32(truncatingIfNeeded: (pair << shift) >> 32))
        }
        return Self(limbs: shifted)
    }

    private func limb(_ place: Int) -> UInt64 {
        limbs.indices.contains(place) ? UInt64(limbs[place]) : 0
    }

    /// In decimal digits.
    var text: String {
        var (rest, digits) = (self, "")
        while !rest.isZero {
            let (quotient, nine) = rest.divided(by: 1_000_000_000)
            let part = String(nine)
            digits =
                (quotient.isZero ? "" : String(repeating: "0", count: 9 - part.count)) + part
                + digits
            if quotient.isZero { break }
            rest = quotient
        }
        return digits.isEmpty ? "0" : digits
    }

    /// self / divisor as the nearest that a few roundings allow, for people; 0 for divisor 0.
    func ratio(to divisor: Self) -> Double {
        guard !divisor.isZero else { return 0 }
        let (above, below) = (leading, divisor.leading)
        return Double(sign: .plus, exponent: above.exponent - below.exponent, significand: 1)
            * (above.value / below.value)
    }

    /// The leading 64 bits, and the power of two that they are counted in.
    private var leading: (value: Double, exponent: Int) {
        let drop = max(0, bitWidth - 64)
        let top = shifted(right: drop)
        return (Double(top.limb(1) << 32 | top.limb(0)), drop)
    }
}
