import Cryptography
import Ledger

/// Envelopes whose signature was checked, so that none is checked twice.
///
/// Of what is never settled the oldest is forgotten: a member may send what is never accepted.
struct VerifiedEnvelopes: Sendable {
    private static let generation = 4_096

    private var keys: [Digest: VerifyingKey] = [:]
    private var older: [Digest: VerifyingKey] = [:]

    mutating func verifies(
        _ envelope: Envelope, _ key: VerifyingKey, _ network: NetworkID
    ) -> Bool {
        verifies(envelope.id, envelope.signature, key) {
            envelope.isSigned(by: key, network: network)
        }
    }

    mutating func verifies(
        _ envelope: SealedEnvelope, _ key: VerifyingKey, _ network: NetworkID
    ) -> Bool {
        verifies(envelope.id, envelope.signature, key) {
            envelope.isSigned(by: key, network: network)
        }
    }

    private mutating func verifies(
        _ id: Digest, _ signature: Signature, _ key: VerifyingKey, _ isSigned: () -> Bool
    ) -> Bool {
        // The id covers what is signed, not the signature: the same header may come with another.
        let place = Digest.sha256(id.bytes + signature.bytes)
        if keys[place] == key || older[place] == key { return true }
        guard isSigned() else { return false }
        if keys.count >= Self.generation { (older, keys) = (keys, [:]) }
        keys[place] = key
        return true
    }

    mutating func forget(_ envelopes: [Envelope]) {
        for envelope in envelopes {
            let place = Digest.sha256(envelope.id.bytes + envelope.signature.bytes)
            keys[place] = nil
            older[place] = nil
        }
    }
}
