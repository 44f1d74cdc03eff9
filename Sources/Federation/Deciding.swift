package import Contracts
package import Ledger

/// Who decides on the next term, as far as a replica knows.
extension Replica {
    /// The highest block that is known to be certified.
    private var certified: Tip {
        let parent = unsettled.dropLast().last?.tip ?? settled
        let highest = journal.highest.flatMap { tip(of: $0.block) } ?? settled
        return highest.slot > parent.slot ? highest : parent
    }

    /// The voter sets of which a quorum each must be for a decision on the next term.
    ///
    /// Those in force after the highest certified block: a first block that nobody certified changes
    /// no voters yet, and the old ones alone may take the change back.
    package var decidingSets: [VoterSet] { certified.terms.inForce }

    /// The deciding sets, then those that decide for whoever knows the head to be certified.
    package var speakingSets: [VoterSet] {
        let deciding = decidingSets
        return deciding + head.terms.inForce.filter { !deciding.contains($0) }
    }

    /// Checks that a decision could be carried out above the highest certified block, or above the
    /// head.
    ///
    /// - Parameter decision: of people, on the next term.
    /// - Throws: what makes it impossible.
    package func check(_ decision: Decision) throws(Rejection) {
        let certified = certified
        do {
            try Contracts.check(
                decision, on: state(after: certified.hash) ?? headState, at: certified.height.next,
                inForce: certified.terms.newest.agreement)
        } catch {
            try Contracts.check(
                decision, on: headState, at: head.height.next, inForce: rules.agreement)
        }
    }
}
