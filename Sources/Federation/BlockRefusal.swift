package import Contracts
package import Ledger

/// Why a voter refuses a proposed block.
package enum BlockRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case otherBlockAtSlot(Slot)
    case notAChild(of: Height)
    case unknownTerm(Term)
    case foreignProposer(AccountID)
    case badBlock(BlockFault)
    case wrongVoters
    case wrongOpening
    case badOpening(TermFault)
    case badParentCertificate(VoteFault)
    case badCertificate(VoteFault)
    case tooEarly
    case execution(ExecutionFault)
    case wrongRoot(String)

    package var description: String {
        switch self {
        case .otherBlockAtSlot(let slot): "another block is known at \(slot)"
        case .notAChild(let height): "the block does not extend the one known at height \(height)"
        case .unknownTerm(let term): "no opening of term \(term) is known"
        case .foreignProposer(let account): "\(account) is not the coordinator of the term"
        case .badBlock(let fault): "\(fault)"
        case .wrongVoters: "the header names another voter set"
        case .wrongOpening: "the header names an opening where none belongs, or the wrong one"
        case .badOpening(let fault): "the opening of the term: \(fault)"
        case .badParentCertificate(let fault): "the parent's certificate: \(fault)"
        case .badCertificate(let fault): "the block's certificate: \(fault)"
        case .tooEarly: "the block's time is less than a block interval after its parent's"
        case .execution(let fault): "\(fault)"
        case .wrongRoot(let name): "re-execution gives another \(name)"
        }
    }

    /// Whether the block itself breaks a rule, so that it convicts its proposer.
    ///
    /// What depends on what this voter happens to know convicts nobody.
    package var isOffence: Bool {
        switch self {
        case .wrongVoters, .wrongOpening, .badOpening, .badParentCertificate, .tooEarly, .wrongRoot:
            true
        case .badBlock(.badSignature): false
        case .badBlock: true
        case .execution(.state): false
        case .execution: true
        case .otherBlockAtSlot, .notAChild, .unknownTerm, .foreignProposer, .badCertificate: false
        }
    }
}

/// Why a voter signs no status for a decision.
package enum StatusRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case promised(Term)
    case certified(Slot)
    case noKey
    case signing(String)

    package var description: String {
        switch self {
        case .promised(let term):
            "this voter has voted in term \(term) or signed a status for it; a decision must name "
                + "a higher number"
        case .certified(let slot):
            "this voter holds a certificate at \(slot); a decision must name a higher number"
        case .noKey: "this node holds no voting key of the sets in force"
        case .signing(let reason): "the status could not be signed: \(reason)"
        }
    }
}

/// What a voter answers to a proposed block.
package enum Verdict: Sendable {
    /// To be kept durably; then its votes may leave. Without votes the voter follows only.
    case commit(Commitment)
    /// Executed before; the stored vote, if there is one, is the answer.
    case known
    /// Its parent is not known.
    case missingParent
    /// The block's time is more than a minute ahead of this clock: no vote, and no evidence.
    case withheld
    case refused(BlockRefusal)
}
