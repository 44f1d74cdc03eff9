package import Cryptography

/// What a signature is for; signatures of one kind never verify as another.
package enum PayloadKind: String, Sendable {
    case envelope, block, vote, receipt, member, genesis, voters, certificate
    case decision, ballot, status, opening, head, evidence, claim
}

/// The hash of the genesis document; it comes from configuration, never from a peer.
package struct NetworkID: Hashable, Sendable, CustomStringConvertible {
    package let digest: Digest

    package init(_ digest: Digest) { self.digest = digest }

    /// What documents carry that are signed before there is a network.
    package static let none = Self(.zero)
    package var description: String { digest.hex }
}

/// The bytes that are signed and hashed: `"tally/<kind>/v1\0" ‖ network (32) ‖ u64be(length) ‖ bytes`.
package func payload(_ kind: PayloadKind, network: NetworkID, _ bytes: [UInt8]) -> [UInt8] {
    var result = Array("tally/\(kind.rawValue)/v1".utf8) + [0]
    result.reserveCapacity(result.count + 40 + bytes.count)
    result += network.digest.bytes
    result += bigEndian(UInt64(bytes.count))
    result += bytes
    return result
}

/// The hash that names a signed document: SHA-256 of the bytes that its signature covers.
package func payloadHash(_ kind: PayloadKind, network: NetworkID, _ bytes: [UInt8]) -> Digest {
    Digest.sha256(payload(kind, network: network, bytes))
}

package func bigEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}
