import Ledger
import TestSupport
import Testing

struct TokenAmountTests {
    func amount(_ microtokens: UInt64) -> TokenAmount { TokenAmount(microtokens: microtokens) }

    @Test("sums and differences never wrap")
    func arithmetic() throws {
        #expect(try amount(2).adding(amount(3)) == amount(5))
        #expect(try amount(.max).adding(.zero) == amount(.max))
        #expect(throws: AmountOverflow.self) { try amount(.max).adding(amount(1)) }
        #expect(amount(3).subtracting(amount(3)) == .zero)
        #expect(amount(3).subtracting(amount(4)) == nil)
        #expect(TokenAmount.zero.subtracting(amount(.max)) == nil)
        #expect(amount(1) < amount(2) && !(amount(2) < amount(2)))
    }

    @Test("a portion is rounded down in full width", arguments: UInt64(0)..<200)
    func portions(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let whole =
            UInt64.random(in: 0...(.max), using: &random)
            >> UInt64.random(
                in: 0...63, using: &random)
        let denominator = max(
            1, UInt64.random(in: 0...(.max), using: &random) >> (seed % 64))
        let numerator = UInt64.random(in: 0...denominator, using: &random)
        let expected = UInt128(whole) * UInt128(numerator) / UInt128(denominator)
        let portion = amount(whole).portion(numerator, of: denominator)
        #expect(UInt128(portion.microtokens) == expected, "replay with seed \(seed)")
    }

    @Test("portions at the ends of the range")
    func extremePortions() {
        #expect(amount(.max).portion(.max, of: .max) == amount(.max))
        #expect(amount(.max).portion(0, of: 1) == .zero)
        #expect(amount(.max).portion(.max - 1, of: .max) == amount(.max - 1))
        #expect(amount(7).portion(1, of: 2) == amount(3))
    }

    @Test(
        "tokens as text, there and back",
        arguments: [
            (UInt64(0), "0.000000"), (1, "0.000001"), (12_345_678, "12.345678"),
            (1_000_000, "1.000000"), (.max, "18446744073709.551615"),
        ])
    func text(microtokens: UInt64, text: String) {
        #expect(amount(microtokens).description == text)
        #expect(TokenAmount(tokens: text) == amount(microtokens))
    }

    @Test("fewer decimals mean the same")
    func shortText() {
        #expect(TokenAmount(tokens: "12") == amount(12_000_000))
        #expect(TokenAmount(tokens: "0.5") == amount(500_000))
        #expect(TokenAmount(tokens: "007.25") == amount(7_250_000))
    }

    @Test(
        "text that is no amount",
        arguments: [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1.0000000", "1.2.3", " 1", "1 ", "1,5", "١",
            "0x1", "18446744073709.551616", "18446744073710", "99999999999999999999",
        ])
    func noAmount(text: String) {
        #expect(TokenAmount(tokens: text) == nil)
    }
}
