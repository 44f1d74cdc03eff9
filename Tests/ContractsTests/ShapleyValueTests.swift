import Contracts
import Ledger
import TestSupport
import Testing

struct ShapleyValueTests {
    /// Adds up what each player brings in every order of joining.
    func overAllOrders(players: Int, utilities: [Int64]) -> [Int64] {
        var values = Array(repeating: Int64(0), count: players)
        func join(_ coalition: Int) {
            for player in 0..<players where coalition & 1 << player == 0 {
                let next = coalition | 1 << player
                let orders = (1...max(1, players - next.nonzeroBitCount)).reduce(1, *)
                values[player] += Int64(orders) * (utilities[next] - utilities[coalition])
                join(next)
            }
        }
        join(0)
        return values
    }

    func utilities(players: Int, seed: UInt64) -> [Int64] {
        var random = SplitMix64(seed: seed)
        return (0..<1 << players).map { _ in Int64.random(in: -10_000...10_000, using: &random) }
    }

    @Test("agrees with all orders of joining, and hands out all", arguments: 1...7)
    func agreesWithSlowTwin(players: Int) throws {
        for seed in UInt64(0)..<10 {
            let utilities = utilities(players: players, seed: seed)
            let values = try shapleyValues(players: players, utilities: utilities)
            #expect(
                values.numerators == overAllOrders(players: players, utilities: utilities),
                "replay with seed \(seed)")
            let gain = utilities[utilities.count - 1] - utilities[0]
            #expect(values.numerators.reduce(0, +) == gain * values.denominator)
        }
    }

    @Test("twelve players: efficiency, symmetry and the player who adds nothing")
    func twelvePlayers() throws {
        // A coalition is worth the square of how many of the players 0 to 10 it has.
        let utilities = (0..<1 << 12).map { coalition in
            let size = Int64((coalition & 0x7FF).nonzeroBitCount)
            return size * size
        }
        let values = try shapleyValues(players: 12, utilities: utilities)
        #expect(values.denominator == 479_001_600)
        #expect(values.numerators.dropLast().allSatisfy { $0 == 11 * values.denominator })
        #expect(values.numerators.last == 0)
    }

    @Test("no input traps: every refusal by name")
    func refusals() {
        #expect(throws: ShapleyError.playerCount(0)) {
            try shapleyValues(players: 0, utilities: [0])
        }
        #expect(throws: ShapleyError.playerCount(13)) {
            try shapleyValues(players: 13, utilities: [])
        }
        #expect(throws: ShapleyError.utilityCount(3, needed: 4)) {
            try shapleyValues(players: 2, utilities: [1, 2, 3])
        }
        #expect(throws: ShapleyError.overflow) {
            try shapleyValues(players: 2, utilities: [.min, .min, .max, .max])
        }
    }

    @Test("half by value, half by count, the odd microtoken to the counts")
    func halves() throws {
        var residuals = SiteResiduals<String>()
        let shares = try #require(
            try siteShares(
                pool: TokenAmount(microtokens: 101), values: ["east": 30, "north": 20, "west": -5],
                counts: ["east": 1, "north": 2, "west": 14], isWarmUp: false,
                residuals: &residuals))
        #expect(shares.byValue.mapValues(\.microtokens) == ["east": 30, "north": 20, "west": 0])
        #expect(shares.byCount.mapValues(\.microtokens) == ["east": 3, "north": 6, "west": 42])
        #expect(shares.share(of: "east").microtokens == 33)
        #expect(shares.share(of: "nobody") == .zero && shares.accounts.count == 3)
    }

    @Test("counts alone while warming up, or when nobody adds anything")
    func countsAlone() throws {
        let pool = TokenAmount(microtokens: 7)
        for (values, warm) in [
            (["a": 3, "b": 9], true), (["a": 0, "b": -9], false), ([:], false),
        ]
            as [([String: Int64], Bool)]
        {
            var residuals = SiteResiduals<String>()
            let shares = try siteShares(
                pool: pool, values: values, counts: ["a": 2, "b": 5], isWarmUp: warm,
                residuals: &residuals)
            #expect(shares?.byValue == [:])
            #expect(shares?.byCount.mapValues(\.microtokens) == ["a": 2, "b": 5])
        }
    }

    @Test("a pool that nobody has a count for waits, and no residual moves")
    func waits() throws {
        let before = SiteResiduals(byValue: ["a": 5, "b": -5], byCount: ["a": 1, "b": -1])
        var residuals = before
        let shares = try siteShares(
            pool: TokenAmount(microtokens: 9), values: ["a": 1], counts: ["a": 0, "b": 0],
            isWarmUp: false, residuals: &residuals)
        #expect(shares == nil && residuals == before)
    }

    @Test("both halves are handed out to the last microtoken", arguments: UInt64(0)..<100)
    func conservesThePool(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var residuals = SiteResiduals<Int>()
        for _ in 0..<10 {
            let pool = UInt64.random(in: 0...1000, using: &random)
            var (values, counts) = ([Int: Int64](), [99: UInt64(1)])
            for site in 0..<6 {
                values[site] = Int64.random(in: -50...50, using: &random)
                counts[site] = UInt64.random(in: 0...9, using: &random)
            }
            let shares = try #require(
                try siteShares(
                    pool: TokenAmount(microtokens: pool), values: values, counts: counts,
                    isWarmUp: false, residuals: &residuals))
            let paid = shares.accounts.map { shares.share(of: $0).microtokens }
            #expect(paid.reduce(0, +) == pool, "replay with seed \(seed)")
            #expect(residuals.byValue.values.reduce(0, +) == 0, "replay with seed \(seed)")
            #expect(residuals.byCount.values.reduce(0, +) == 0, "replay with seed \(seed)")
        }
    }
}
