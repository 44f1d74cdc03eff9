package import Cryptography
import Wire

/// What a member can be convicted of by its own signatures.
package enum OffenceKind: String, CaseIterable, Hashable, Sendable {
    case twoHeaders = "two headers"
    case twoVotes = "two votes"
    case twoStatuses = "two statuses"
    case hiddenCertificate = "hidden certificate"
    case invalidBlock = "invalid block"
    case inconsistentHeads = "inconsistent heads"
    case brokenPromise = "broken promise"
}

/// What a member did, where; the same for all evidence of it.
package struct Offence: Hashable, Sendable, CustomStringConvertible {
    package let offender: AccountID
    /// The key under which it signed.
    package let key: VerifyingKey
    package let kind: OffenceKind
    /// Genesis where the kind knows none.
    package let term: Term
    /// Genesis where the kind knows none.
    package let height: Height
    /// Of a broken promise.
    package let envelope: Digest?

    package init(
        offender: AccountID, key: VerifyingKey, kind: OffenceKind, term: Term, height: Height,
        envelope: Digest? = nil
    ) {
        self.offender = offender
        self.key = key
        self.kind = kind
        self.term = term
        self.height = height
        self.envelope = envelope
    }

    /// Names the offence, so that it is recorded once however often it is shown.
    package func id(network: NetworkID) -> Digest {
        var wire = WireOffence()
        wire.offender = offender.text
        wire.key = data(key.bytes)
        wire.kind = kind.rawValue
        wire.term = term.value
        wire.height = height.value
        wire.envelope = data(envelope?.bytes ?? [])
        return payloadHash(.evidence, network: network, wire.encoded())
    }

    package var description: String {
        let isOfTerm = height == .genesis
        let place = isOfTerm ? "of term \(term)" : "at \(Slot(term: term, height: height))"
        return switch kind {
        case .twoHeaders:
            "\(offender) signed two headers of \(isOfTerm ? "first blocks " : "")\(place)"
        case .twoVotes:
            "\(offender) voted for two \(isOfTerm ? "first blocks" : "blocks") \(place)"
        case .twoStatuses: "\(offender) signed two different statuses for term \(term)"
        case .hiddenCertificate:
            "\(offender) hid, in its status for term \(term), a certificate that it had voted upon"
        case .invalidBlock: "\(offender) signed an invalid block \(place)"
        case .inconsistentHeads:
            "\(offender) signed two different heads of the settled chain at height \(height)"
        case .brokenPromise:
            "\(offender) promised to include envelope \(envelope ?? .zero) by height \(height) and "
                + "did not"
        }
    }
}
