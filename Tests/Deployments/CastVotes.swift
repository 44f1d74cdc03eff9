import Ledger
import Storage

/// The votes of all nodes, seen when they became durable and kept outside their homes.
///
/// A ledger that lost a vote could cast another one at the same height, and no row of its own would
/// tell.
struct CastVotes: Sendable {
    private var votes: [String: Set<Vote>] = [:]

    var count: Int { votes.values.map(\.count).reduce(0, +) }

    mutating func add(_ record: DiskRecord, of name: String) {
        votes[name, default: []].formUnion(record.votes)
    }

    /// What is wrong with them: a second vote at one slot, or one that its home has no more.
    func faults(in deployment: Deployment) throws -> [String] {
        var faults: [String] = []
        for (name, votes) in votes.sorted(by: { $0.key < $1.key }) {
            for (slot, cast) in Dictionary(grouping: votes, by: \.slot) where cast.count > 1 {
                faults.append("\(name) cast \(cast.count) different votes at \(slot)")
            }
            try deployment.reading(name) { ledger in
                for vote in votes where try ledger.vote(at: vote.slot) != vote {
                    faults.append("\(name) has lost its vote at \(vote.slot)")
                }
            }
        }
        return faults
    }
}
