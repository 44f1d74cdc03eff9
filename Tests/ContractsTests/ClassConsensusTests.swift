import Contracts
import Testing

@Suite("Class consensus")
struct ClassConsensusTests {
    struct Row: Sendable {
        let votes: [UInt64]
        let permille: [UInt32]
        let expected: Consensus<Int>
    }

    /// Shares from per mille; what is missing to 2³⁰ goes to the first class.
    private func posterior(_ permille: [UInt32]) -> Posterior {
        var shares = permille.map { UInt32(UInt64($0) * (1 << 30) / 1000) }
        shares[0] += (1 << 30) - shares.reduce(0, +)
        return Posterior(shares: shares)
    }

    @Test(
        "the likeliest class, if likely enough and said often enough",
        arguments: [
            Row(votes: [3, 0], permille: [1000, 0], expected: .approved(0)),
            Row(votes: [1, 2], permille: [40, 960], expected: .approved(1)),
            Row(votes: [2, 0], permille: [1000, 0], expected: .indeterminate(.tooFew)),
            Row(votes: [0, 0], permille: [1000, 0], expected: .indeterminate(.tooFew)),
            Row(votes: [2, 1], permille: [949, 51], expected: .indeterminate(.disputed)),
            Row(votes: [2, 1, 1], permille: [0, 960, 40], expected: .indeterminate(.disputed)),
            // A skilled minority of two outweighs a majority that is known to err.
            Row(votes: [3, 2], permille: [30, 970], expected: .approved(1)),
        ])
    func table(row: Row) {
        #expect(
            ClassRule().outcome(votes: row.votes, posterior: posterior(row.permille))
                == row.expected)
    }

    @Test("950 per mille are reached exactly, not by rounding")
    func edge() {
        // 950/1000 · 2³⁰ = 1020054732.8
        for (share, isApproved) in [(UInt32(1_020_054_732), false), (1_020_054_733, true)] {
            let posterior = Posterior(shares: [share, (1 << 30) - share])
            let outcome = ClassRule().outcome(votes: [3, 0], posterior: posterior)
            #expect((outcome == .approved(0)) == isApproved)
        }
    }

    @Test("equally likely classes are a tie whatever the threshold")
    func tie() {
        let rule = ClassRule(minimumAnswers: 2, minimumVotes: 1, posteriorPermille: 300)
        let even = Posterior(shares: [1 << 29, 1 << 29])
        #expect(rule.outcome(votes: [1, 1], posterior: even) == .indeterminate(.disputed))
        let odd = Posterior(shares: [(1 << 29) + 1, (1 << 29) - 1])
        #expect(rule.outcome(votes: [1, 1], posterior: odd) == .approved(0))
    }

    @Test("a posterior of other classes than the votes approves nothing")
    func mismatch() {
        let posterior = Posterior(shares: [0, 0, 1 << 30])
        #expect(
            ClassRule().outcome(votes: [3, 0], posterior: posterior) == .indeterminate(.disputed))
    }
}
