/// When class answers make a consensus, as the agreement states it.
///
/// The class is the likeliest by score/1, so that one who is known to confuse two classes weighs
/// less between them; the votes are a floor below which no skill helps.
package struct ClassRule: Hashable, Sendable {
    package let minimumAnswers: UInt64
    /// Votes for the class itself.
    package let minimumVotes: UInt64
    package let posteriorPermille: UInt64

    package init(
        minimumAnswers: UInt64 = 3, minimumVotes: UInt64 = 2, posteriorPermille: UInt64 = 950
    ) {
        self.minimumAnswers = minimumAnswers
        self.minimumVotes = minimumVotes
        self.posteriorPermille = posteriorPermille
    }

    /// The likeliest class, when it is likely enough and enough readers said so.
    ///
    /// Two classes that are equally likely are a tie: no class is the likeliest one.
    ///
    /// - Parameters:
    ///   - votes: answers by class.
    ///   - posterior: of the same classes.
    /// - Returns: the class, counted from 0, or why there is none.
    package func outcome(
        votes: [UInt64], posterior: Posterior
    ) -> Consensus<Int> {
        guard votes.reduce(0, +) >= max(1, minimumAnswers) else {
            return .indeterminate(.tooFew)
        }
        let label = posterior.likeliest
        guard votes.indices.contains(label), votes[label] >= minimumVotes,
            posterior.reaches(permille: posteriorPermille, for: label),
            posterior.shares.count(where: { $0 == posterior.shares[label] }) == 1
        else { return .indeterminate(.disputed) }
        return .approved(label)
    }
}
