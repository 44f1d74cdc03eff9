import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing

struct SampledShapleyTests {
    static let seed = Digest.sha256(Array("orders".utf8))

    /// Utilities of the coalitions that grow along each order.
    func sampled(
        players: Int, orders: Int, _ value: @escaping (Set<Int>) -> Int64
    ) throws -> SampledShapleyValues {
        var coalition: Set<Int> = []
        return try sampledShapleyValues(
            players: players,
            orders: joiningOrders(players: players, count: orders, seed: Self.seed),
            floor: value([])
        ) { _, size, last in
            if size == 1 { coalition = [] }
            coalition.insert(last)
            return value(coalition)
        }
    }

    @Test("orders are permutations, the same for one seed, and every place is as likely")
    func orders() {
        let drawn = joiningOrders(players: 5, count: 6_000, seed: Self.seed)
        #expect(drawn == joiningOrders(players: 5, count: 6_000, seed: Self.seed))
        #expect(drawn != joiningOrders(players: 5, count: 6_000, seed: .zero))
        #expect(drawn.allSatisfy { $0.sorted() == Array(0..<5) })
        for player in 0..<5 {
            for place in 0..<5 {
                let count = drawn.count { $0[place] == player }
                #expect((1_050...1_350).contains(count), "\(player) at \(place): \(count)")
            }
        }
    }

    @Test("what all add together is handed out, for up to 100 players", arguments: [13, 40, 100])
    func efficiency(players: Int) throws {
        var random = SplitMix64(seed: UInt64(players))
        let worth = (0..<players).map { _ in Int64.random(in: -5...50, using: &random) }
        let values = try sampled(players: players, orders: 64) { coalition in
            let sum = coalition.reduce(Int64(0)) { $0 + worth[$1] }
            return sum + Int64(coalition.count * coalition.count)
        }
        let whole = worth.reduce(0, +) + Int64(players * players)
        #expect(values.numerators.reduce(0, +) == whole * 64)
        #expect(values.evaluations == 64 * players)
        // The exact value is a player's own worth and n.
        let far = (0..<players).filter {
            let exact = (worth[$0] + Int64(players)) * 64
            return abs(values.numerators[$0] - exact) > values.halfWidths[$0]
        }
        #expect(far.count * 100 <= players * 15, "\(far.count) of \(players) are out of interval")
    }

    @Test("a player who always adds the same is known exactly")
    func additive() throws {
        let values = try sampled(players: 30, orders: 16) { Int64($0.reduce(0, +)) }
        #expect(values.numerators == (0..<30).map { Int64($0 * 16) })
        #expect(values.halfWidths.allSatisfy { $0 == 0 })
    }

    @Test("near the exact values where both can be had")
    func nearExact() throws {
        var random = SplitMix64(seed: 4)
        let utilities = (0..<1 << 8).map { coalition in
            Int64(coalition.nonzeroBitCount * 100) + Int64.random(in: 0...60, using: &random)
        }
        let exact = try shapleyValues(players: 8, utilities: utilities)
        let values = try sampled(players: 8, orders: 2_000) { coalition in
            utilities[coalition.reduce(0) { $0 | 1 << $1 }]
        }
        for player in 0..<8 {
            let difference =
                Double(values.numerators[player]) / 2_000
                - Double(exact.numerators[player]) / Double(exact.denominator)
            let half = Double(values.halfWidths[player]) / 2_000
            #expect(abs(difference) <= 2 * half && half < 3)
        }
    }

    @Test("no input traps: every refusal by name")
    func refusals() {
        #expect(throws: ShapleyError.playerCount(0)) {
            try self.sampled(players: 0, orders: 2) { _ in 0 }
        }
        #expect(throws: ShapleyError.playerCount(3)) {
            try self.sampled(players: 3, orders: 1) { _ in 0 }
        }
        #expect(throws: ShapleyError.playerCount(3)) {
            try sampledShapleyValues(players: 3, orders: [[0, 1, 2], [0, 1, 3]], floor: 0) {
                _, _, _ in 0
            }
        }
        #expect(throws: ShapleyError.overflow) {
            try self.sampled(players: 13, orders: 2) { $0.isEmpty ? .min : .max }
        }
    }
}
