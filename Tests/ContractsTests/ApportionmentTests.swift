import Contracts
import Ledger
import TestSupport
import Testing

struct ApportionmentTests {
    struct Plain: Decodable {
        let pool: UInt64
        let weights: [String: UInt64]
        let largest_remainder: [String: UInt64]
    }
    struct Carried: Decodable {
        let pool: UInt64
        let weights: [String: UInt64]
        let paid: [String: UInt64]?
        let residual_after: [String: Int64]
    }
    struct File: Decodable {
        let largest_remainder: [Plain]
        let carried: [Carried]
        let carried_over_fewer_accounts: [Carried]
    }

    static let unit = Int128(1) << 32

    func amount(_ microtokens: UInt64) -> TokenAmount { TokenAmount(microtokens: microtokens) }

    @Test("the reference's vectors, to the unit")
    func vectorCases() throws {
        let file = try vectors("apportionment_vectors", as: File.self)
        #expect(file.largest_remainder.count == 3 && file.carried.count == 6)
        for vector in file.largest_remainder {
            let shares = largestRemainder(pool: amount(vector.pool), weights: vector.weights)
            #expect(shares?.mapValues(\.microtokens) == vector.largest_remainder)
        }
        for rounds in [file.carried, file.carried_over_fewer_accounts] {
            var residuals: [String: Int64] = [:]
            for vector in rounds {
                let paid = try apportion(
                    pool: amount(vector.pool), weights: vector.weights, residuals: &residuals)
                #expect(paid?.mapValues(\.microtokens) == vector.paid)
                #expect(residuals == vector.residual_after)
            }
        }
    }

    @Test("a thousand equal accounts and a pool of 100: each is paid once in ten rounds")
    func nobodyStarves() throws {
        let weights = Dictionary(uniqueKeysWithValues: (0..<1000).map { ($0, UInt64(1)) })
        var residuals: [Int: Int64] = [:]
        var paid: [Int: UInt64] = [:]
        for _ in 0..<10 {
            let shares = try #require(
                try apportion(pool: amount(100), weights: weights, residuals: &residuals))
            paid.merge(shares.mapValues(\.microtokens), uniquingKeysWith: +)
        }
        #expect(paid.count == 1000 && paid.values.allSatisfy { $0 == 1 })
    }

    /// The rule with its loops written out, for pools and residuals that are small.
    func obvious(
        pool: UInt64, weights: [Int: UInt64], residuals: inout [Int: Int64]
    ) -> [Int: UInt64]? {
        let total = weights.values.reduce(0, +)
        guard total > 0 else { return nil }
        let accounts = weights.keys.sorted()
        let products = weights.mapValues { Int128(pool) * Self.unit * Int128($0) }
        var dues = products.mapValues { $0 / Int128(total) }
        let heavy = accounts.filter { weights[$0, default: 0] > 0 }
        let missing = Int128(pool) * Self.unit - dues.values.reduce(0, +)
        let rests = products.mapValues { $0 % Int128(total) }
        let order = heavy.sorted { (rests[$1, default: 0], $0) < (rests[$0, default: 0], $1) }
        for account in order.prefix(Int(missing)) { dues[account, default: 0] += 1 }
        var owed: [Int: Int128] = [:]
        var paid: [Int: Int128] = [:]
        for account in accounts {
            owed[account] = Int128(residuals[account, default: 0]) + dues[account, default: 0]
            let whole = owed[account, default: 0] >> 32
            paid[account] = heavy.contains(account) ? max(0, whole) : 0
        }
        func rest(_ account: Int) -> Int128 {
            owed[account, default: 0] - paid[account, default: 0] * Self.unit
        }
        let ranked = heavy.sorted { (rest($1), $0) < (rest($0), $1) }
        var left = Int128(pool) - paid.values.reduce(0, +)
        while left > 0 {
            for account in ranked.prefix(Int(left)) {
                paid[account, default: 0] += 1
                left -= 1
            }
        }
        while left < 0 {
            let payable = ranked.reversed().filter { paid[$0, default: 0] > 0 }
            for account in payable.prefix(Int(-left)) {
                paid[account, default: 0] -= 1
                left += 1
            }
        }
        for account in accounts { residuals[account] = Int64(rest(account)) }
        return paid.mapValues { UInt64($0) }
    }

    /// Rounds of drawn pools over drawn accounts, many of them without weight.
    func rounds(seed: UInt64) -> [(pool: UInt64, weights: [Int: UInt64])] {
        var random = SplitMix64(seed: seed)
        let accounts = Int.random(in: 1...9, using: &random)
        let largest = UInt64.random(in: 1...200, using: &random)
        return (0..<25).map { _ in
            var weights: [Int: UInt64] = [:]
            for account in 0..<accounts where Bool.random(using: &random) {
                weights[account] = UInt64.random(in: 0...largest, using: &random)
            }
            return (UInt64.random(in: 0...60, using: &random), weights)
        }
    }

    @Test("agrees with the loops of the rule, round after round", arguments: UInt64(0)..<200)
    func agreesWithSlowTwin(seed: UInt64) throws {
        var (fast, slow): ([Int: Int64], [Int: Int64]) = ([:], [:])
        for (pool, weights) in rounds(seed: seed) {
            let paid = try apportion(pool: amount(pool), weights: weights, residuals: &fast)
            let expected = obvious(pool: pool, weights: weights, residuals: &slow)
            #expect(paid?.mapValues(\.microtokens) == expected, "replay with seed \(seed)")
            #expect(fast == slow, "replay with seed \(seed)")
        }
    }

    @Test("agrees with the loops from residuals of thousands of units", arguments: UInt64(0)..<60)
    func agreesFromFarResiduals(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var fast = [0: 0, 1: 0, 2: 0, 3: 0, 4: 0] as [Int: Int64]
        for account in 1..<5 {
            let residual = Int64.random(in: -5000 << 32...5000 << 32, using: &random)
            fast[account] = residual
            fast[0, default: 0] -= residual
        }
        var slow = fast
        for (pool, weights) in rounds(seed: seed) {
            let paid = try apportion(pool: amount(pool), weights: weights, residuals: &fast)
            let expected = obvious(pool: pool, weights: weights, residuals: &slow)
            #expect(paid?.mapValues(\.microtokens) == expected, "replay with seed \(seed)")
            #expect(fast == slow, "replay with seed \(seed)")
        }
    }

    @Test(
        "shares add up to the pool and residuals to zero, at any size", arguments: UInt64(0)..<200)
    func conservesThePool(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var residuals: [Int: Int64] = [:]
        let count = Int.random(in: 1...30, using: &random)
        for _ in 0..<20 {
            let size = UInt64.random(in: 0...63, using: &random)
            let pool = UInt64.random(in: 0...(.max >> size), using: &random)
            let weights = Dictionary(
                uniqueKeysWithValues: (0..<count).map {
                    let bits = UInt64.random(in: 0...63, using: &random)
                    return ($0, UInt64.random(in: 0...(.max >> bits), using: &random))
                })
            guard weights.values.contains(where: { $0 > 0 }) else { continue }
            let plain = try #require(largestRemainder(pool: amount(pool), weights: weights))
            let carried = try #require(
                try apportion(pool: amount(pool), weights: weights, residuals: &residuals))
            for shares in [plain, carried] {
                let paid = shares.values.reduce(UInt128(0)) { $0 + UInt128($1.microtokens) }
                #expect(paid == UInt128(pool), "replay with seed \(seed)")
                for (account, share) in shares where weights[account] == 0 {
                    #expect(share == .zero, "replay with seed \(seed)")
                }
            }
            #expect(residuals.values.reduce(0, +) == 0, "replay with seed \(seed)")
        }
    }

    @Test("however accounts come and go, residuals stay within the number of accounts")
    func residualsStaySmall() throws {
        for seed in UInt64(0)..<20 {
            var random = SplitMix64(seed: seed)
            let accounts = 40
            var residuals: [Int: Int64] = [:]
            for _ in 0..<400 {
                // The present are chosen for the residuals they have, so that they drift apart.
                let ranked = (0..<accounts).sorted {
                    residuals[$0, default: 0] < residuals[$1, default: 0]
                }
                let present = Int.random(in: 1...accounts, using: &random)
                let chosen =
                    Bool.random(using: &random) ? ranked.prefix(present) : ranked.suffix(present)
                let weights = Dictionary(
                    uniqueKeysWithValues: chosen.map {
                        ($0, UInt64.random(in: 1...1_000_000, using: &random))
                    })
                let bits = UInt64.random(in: 0...40, using: &random)
                let pool = UInt64.random(in: 0...1 << bits, using: &random)
                _ = try apportion(pool: amount(pool), weights: weights, residuals: &residuals)
                let widest = residuals.values.map(\.magnitude).max() ?? 0
                #expect(widest <= UInt64(accounts) << 32, "replay with seed \(seed)")
            }
        }
    }

    @Test("the names of the accounts change nothing but ties", arguments: UInt64(0)..<50)
    func renaming(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let weights = (0..<8).map { _ in UInt64.random(in: 1...1 << 40, using: &random) }
        guard Set(weights).count == 8 else { return }
        let names = (0..<8).shuffled(using: &random)
        let plain = Dictionary(uniqueKeysWithValues: weights.enumerated().map { ($0, $1) })
        let renamed = Dictionary(
            uniqueKeysWithValues: weights.enumerated().map { (names[$0], $1) })
        let (one, other) = (
            largestRemainder(pool: amount(1_000_003), weights: plain),
            largestRemainder(pool: amount(1_000_003), weights: renamed)
        )
        for account in 0..<8 {
            #expect(one?[account] == other?[names[account]], "replay with seed \(seed)")
        }
    }

    @Test("a pool without weights waits, and no residual moves")
    func waits() throws {
        var residuals = [1: Int64(7), 2: -7]
        #expect(largestRemainder(pool: amount(5), weights: [1: 0]) == nil)
        #expect(largestRemainder(pool: amount(5), weights: [Int: UInt64]()) == nil)
        #expect(
            try apportion(pool: amount(5), weights: [1: 0, 2: 0], residuals: &residuals) == nil)
        #expect(residuals == [1: 7, 2: -7])
    }

    @Test("a residual beyond 64 bits is refused, and nothing changes")
    func overflow() {
        let before = [1: Int64.min, 2: .min, 3: .max, 4: .max]
        var residuals = before
        #expect(throws: ResidualOverflow.self) {
            _ = try apportion(
                pool: amount(.max), weights: [1: 1, 2: .max], residuals: &residuals)
        }
        #expect(residuals == before)
    }
}
