package import Contracts
package import Ledger

/// Why the coordinator does not accept an envelope.
package enum AdmissionRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(EnvelopeFault)
    case inadmissible(ExecutionFault)
    /// The pool holds as much as it may; nothing was kept.
    case poolFull
    /// The envelope might expire before the height that a receipt promises.
    case tooShortLived(notAfter: UInt64, needed: Height)

    /// A stable name for scripts and remote callers.
    package var code: String {
        switch self {
        case .malformed: "malformed"
        case .inadmissible(.unknownSigner): "unknownSigner"
        case .inadmissible(.badSignature): "badSignature"
        case .inadmissible(.sequenceUsed): "sequenceUsed"
        case .inadmissible(.sequenceTooFar): "sequenceTooFar"
        case .inadmissible(.expired): "expired"
        case .inadmissible(.state), .inadmissible(.impossibleDecision): "stateUnreadable"
        case .poolFull: "poolFull"
        case .tooShortLived: "tooShortLived"
        }
    }

    package var description: String {
        switch self {
        case .malformed(let fault): "\(fault)"
        case .inadmissible(let fault): "\(fault)"
        case .poolFull: "the coordinator has too many envelopes waiting; send it again later"
        case .tooShortLived(let notAfter, let needed):
            "the envelope is valid to height \(notAfter) only, a receipt promises height "
                + "\(needed); sign it anew with a later one"
        }
    }
}
