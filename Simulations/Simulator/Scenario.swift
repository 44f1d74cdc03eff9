/// What a simulated consortium goes through before it is healed.
package enum Scenario: String, CaseIterable, Hashable, Sendable {
    case calm
    case lossy
    case partitions
    case crashes
    case byzantineCoordinator = "byzantine-coordinator"
    case byzantineSite = "byzantine-site"
    case termChange = "term-change"
    case votersChange = "voters-change"
    case mixed
    case beyond

    package var summary: String {
        switch self {
        case .calm: "a good network; clocks drift a little"
        case .lossy: "messages are lost, repeated and overtake each other"
        case .partitions: "the network falls into parts; processes pause"
        case .crashes: "processes end in the middle of writes and restart"
        case .byzantineCoordinator: "the coordinator lies; people replace it"
        case .byzantineSite: "as many sites lie as the quorum bears"
        case .termChange: "the coordinator is lost, people quarrel; new terms"
        case .votersChange: "a site enters, keys rotate, a site is restored"
        case .mixed: "everything, drawn"
        case .beyond: "2q−n voters lie together; a fork must name them"
        }
    }
}

/// A bug that is planted on request, to see that the simulator finds it.
///
/// Each stands in the simulator's own driver or disk; the rooms under test are never touched.
package enum Fault: String, CaseIterable, Hashable, Sendable {
    /// Votes leave before the write that keeps them.
    case voteNotDurable = "vote-not-durable"
    /// A status does not end its voter's votes in lower terms.
    case termCheckMissing = "term-check-missing"
    /// The highest certificate is not kept, so that a restarted voter reports a lower one.
    case highestNotDurable = "highest-not-durable"
    /// A settlement's residuals are partly lost, alike on every node.
    case residualDropped = "residual-dropped"
    /// A credit is lost, alike on every node.
    case creditLost = "credit-lost"
    /// Used sequences are forgotten once they are settled, alike on every node.
    case doubleApply = "double-apply"
    /// A settled block's changes do not reach the state when the write is followed by a crash.
    case tornSettlement = "torn-settlement"
    /// A voter settles a block when it is certified, not when its child is.
    case settlesEarly = "settles-early"
    /// The coordinator hands out receipts for what it does not keep.
    case acceptedNotDurable = "accepted-not-durable"
    /// A proposal leaves before it is kept.
    case proposalNotDurable = "proposal-not-durable"
    /// A site forgets what it handed in.
    case handedInForgotten = "handed-in-forgotten"
    /// The coordinator counts one vote too few.
    case smallQuorum = "small-quorum"
    /// Voters count records whatever their patients' consent says.
    case consentUnchecked = "consent-unchecked"
    /// A damaged blob is averaged as if it were whole, alike on every node.
    case blobUnchecked = "blob-unchecked"

    /// Where the hunter looks for it first.
    package var scenarios: [Scenario] {
        switch self {
        case .voteNotDurable: [.crashes]
        case .termCheckMissing: [.termChange]
        case .highestNotDurable: [.termChange, .mixed]
        case .residualDropped, .creditLost: [.calm]
        case .doubleApply: [.byzantineCoordinator]
        case .tornSettlement: [.crashes]
        case .settlesEarly: [.calm]
        case .acceptedNotDurable: [.crashes]
        case .proposalNotDurable: [.crashes]
        case .handedInForgotten: [.termChange]
        case .smallQuorum: [.calm]
        case .consentUnchecked: [.byzantineSite]
        case .blobUnchecked: [.calm]
        }
    }
}
