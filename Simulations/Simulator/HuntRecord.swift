import Cryptography

/// What a hunt has done so far, so that it goes on where it ended.
package struct HuntRecord: Codable, Sendable {
    package struct Finding: Codable, Hashable, Sendable {
        package let scenario: String
        package let seed: UInt64
        package let invariant: String
        package let detail: String
    }

    /// Seeds from the first to below the last.
    package struct Span: Codable, Hashable, Sendable {
        package let from: UInt64
        package let below: UInt64
    }

    /// What a known seed comes to: another program would go on with another hunt.
    package let canary: String
    /// Of each scenario, ascending; spans neither overlap nor touch.
    package private(set) var done: [String: [Span]] = [:]
    package private(set) var findings: [Finding] = []
    /// All outcomes' digests by exclusive or: the same for the same seeds in whatever order.
    package private(set) var digest = Digest.zero.hex
    package private(set) var runs = 0
    package private(set) var blocks = 0
    package private(set) var transactions = 0
    package private(set) var events = 0
    package private(set) var simulatedSeconds: UInt64 = 0
    /// Rounds closed, updates counted in them, and updates refused.
    package private(set) var rounds = 0
    package private(set) var answers = 0
    package private(set) var refusals = 0
    /// Runs that settled a term above the first, that convicted somebody, and that forked.
    package private(set) var withNewTerm = 0
    package private(set) var withConvicts = 0
    package private(set) var withFork = 0

    /// - Throws: what keeps a simulation from starting.
    package init() throws { canary = try Self.canary() }

    /// - Returns: what the known seed comes to in this program.
    /// - Throws: what keeps a simulation from starting.
    package static func canary() throws -> String { try simulate(.mixed, seed: 0).digest.hex }

    package func isDone(_ one: SimulatedCase) -> Bool {
        done[one.scenario.rawValue]?.contains { $0.from <= one.seed && one.seed < $0.below } == true
    }

    package mutating func add(_ one: SimulatedCase, _ outcome: Outcome) {
        guard !isDone(one), one.seed < .max else { return }
        insert(one)
        runs += 1
        blocks += outcome.blocks
        transactions += outcome.transactions
        events += outcome.events
        simulatedSeconds += outcome.duration / 1_000
        rounds += outcome.rounds
        answers += outcome.answers
        refusals += outcome.refusals
        if outcome.term > 1 { withNewTerm += 1 }
        if !outcome.convicted.isEmpty { withConvicts += 1 }
        if outcome.hasForked { withFork += 1 }
        let sum = Digest(hex: digest).map { zip($0.bytes, outcome.digest.bytes).map { $0 ^ $1 } }
        digest = sum.flatMap { Digest($0) }?.hex ?? digest
        guard let finding = outcome.finding else { return }
        findings.append(
            Finding(
                scenario: one.scenario.rawValue, seed: one.seed, invariant: finding.invariant,
                detail: finding.detail))
    }

    private mutating func insert(_ one: SimulatedCase) {
        var (from, below) = (one.seed, one.seed + 1)
        var spans = done[one.scenario.rawValue] ?? []
        if let lower = spans.firstIndex(where: { $0.below == from }) {
            from = spans.remove(at: lower).from
        }
        if let upper = spans.firstIndex(where: { $0.from == below }) {
            below = spans.remove(at: upper).below
        }
        let place = spans.firstIndex { $0.from > from } ?? spans.count
        spans.insert(Span(from: from, below: below), at: place)
        done[one.scenario.rawValue] = spans
    }
}
