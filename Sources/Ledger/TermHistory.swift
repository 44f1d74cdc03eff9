package import Cryptography
package import Wire

/// What the opening of a term says: who coordinates, who votes, under which agreement.
package struct TermRules: Hashable, Sendable {
    package let term: Term
    /// Height of the term's first block.
    package let firstHeight: Height
    package let coordinator: AccountID
    package let coordinatorKey: VerifyingKey
    package let voters: VoterSet
    package let agreement: WireAgreement
    /// Nil for term 1, which the genesis document opens.
    package let opening: Opening?
}

/// The terms of one chain up to a block, and whose votes count after it.
///
/// In force after genesis are the founders; after the first block of a term all sets that it
/// needed; after any other block the set of its own term alone. A block needs the sets in force
/// after its parent and the set of its own term.
package struct TermHistory: Hashable, Sendable {
    /// Terms ascending; numbers may be skipped.
    package private(set) var terms: [TermRules]
    /// The voter sets in force after the newest block, at least one.
    package private(set) var inForce: [VoterSet]
    /// The voter sets whose quorums certify the newest block; the founders for genesis.
    package private(set) var certifying: [VoterSet]

    package init(genesis: Genesis) {
        terms = [
            TermRules(
                term: .first, firstHeight: Height(1), coordinator: genesis.coordinator.account,
                coordinatorKey: genesis.coordinator.signingKey, voters: genesis.voters,
                agreement: genesis.agreement, opening: nil)
        ]
        inForce = [genesis.voters]
        certifying = inForce
        newest = terms[0]
    }

    /// The history of a settled chain.
    ///
    /// - Parameters:
    ///   - genesis: of the network.
    ///   - openings: of the terms above 1, with the heights of their first blocks, ascending.
    ///   - height: of the newest block.
    package init(
        genesis: Genesis, openings: [(height: Height, opening: Opening)], upTo height: Height
    ) {
        self.init(genesis: genesis)
        var next = Height(1)
        let starts = openings.map(\.height) + [height.next]
        if let first = starts.first, next < first {
            advance(to: newest, isFirst: true)
            repeatRules(from: next.next, below: first)
        }
        for (index, entry) in openings.enumerated() {
            advance(to: rules(opening: entry.opening, firstHeight: entry.height), isFirst: true)
            next = entry.height.next
            repeatRules(from: next, below: starts[index + 1])
        }
    }

    /// After the second block of a term nothing changes any more.
    private mutating func repeatRules(from: Height, below end: Height) {
        var height = from
        while height < end, height.value < from.value &+ 2 {
            advance(to: newest, isFirst: false)
            height = height.next
        }
    }

    /// The rules of the newest block's term.
    package private(set) var newest: TermRules

    package func rules(of term: Term) -> TermRules? { terms.last { $0.term == term } }

    /// The rules under which a block of this height was made.
    package func rules(at height: Height) -> TermRules {
        terms.last { $0.firstHeight <= height } ?? terms[0]
    }

    /// The rules of a term that an opening adds above the newest block.
    package func rules(opening: Opening, firstHeight: Height) -> TermRules {
        TermRules(
            term: opening.decision.term, firstHeight: firstHeight,
            coordinator: opening.decision.coordinator,
            coordinatorKey: opening.decision.coordinatorKey, voters: opening.decision.voters,
            agreement: opening.decision.agreement ?? newest.agreement, opening: opening)
    }

    /// The voter sets from which the next block needs a quorum each.
    package func needed(by rules: TermRules) -> [VoterSet] {
        inForce.contains(rules.voters) ? inForce : inForce + [rules.voters]
    }

    /// Moves on to a block of a term; its first block starts the term.
    package mutating func advance(to rules: TermRules, isFirst: Bool) {
        certifying = needed(by: rules)
        if isFirst {
            inForce = certifying
            if rules.term > newest.term { terms.append(rules) }
        } else {
            inForce = [rules.voters]
        }
        newest = rules
    }
}
