package import Ledger

/// Where a block stands among the terms of its chain.
package struct TermPlace: Sendable {
    /// After the parent.
    package let before: TermHistory
    /// After the block.
    package let after: TermHistory
    /// Of the first block of a term above 1.
    package let opening: Opening?
    /// Whether it is the first block of its term.
    package let isFirst: Bool

    /// The rules of the block's term.
    package var rules: TermRules { after.newest }
}

/// The terms along a stored chain, block by block.
///
/// Who had to sign a block depends on the openings below it alone, so that every block can be
/// checked before those below it are executed. Openings are taken as they stand; whether they are
/// good is for the audit of their block to say.
package struct TermWalk: Sendable {
    private let network: NetworkID
    /// Up to the newest block.
    package private(set) var terms: TermHistory

    package init(genesis: Genesis) {
        self.init(after: TermHistory(genesis: genesis), network: genesis.network)
    }

    /// Goes on above a block whose terms are known.
    package init(after terms: TermHistory, network: NetworkID) {
        self.terms = terms
        self.network = network
    }

    /// Moves on to the next block; one whose opening cannot be read keeps the rules before it.
    package mutating func take(_ stored: StoredBlock) -> TermPlace {
        let before = terms
        let opening =
            stored.opening.isEmpty ? nil : try? Opening(strictly: stored.opening, network: network)
        let height = Height(stored.height)
        let isFirst = stored.height == 1 || !stored.opening.isEmpty
        let rules = opening.map { before.rules(opening: $0, firstHeight: height) } ?? before.newest
        terms.advance(to: rules, isFirst: isFirst)
        return TermPlace(before: before, after: terms, opening: opening, isFirst: isFirst)
    }
}
