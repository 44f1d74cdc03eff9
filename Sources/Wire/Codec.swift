package import Foundation
package import SwiftProtobuf

/// Bytes that are not the one strict encoding of a message.
package enum WireFault: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(String)
    case notCanonical(String)

    package var description: String {
        switch self {
        case .malformed(let name): "the bytes are not a \(name)"
        case .notCanonical(let name):
            "the bytes of this \(name) are not in canonical form, or hold an unknown field"
        }
    }
}

/// A message of the wire contract with one admissible encoding.
///
/// Protobuf has no canonical form of its own. Here it is: what this encoder writes, fields
/// ascending, no unknown field. The schemas have no maps; only local requests hold floats.
package protocol WireValue: Message, Hashable {}

extension WireValue {
    /// Reads a message and refuses every other encoding of it.
    ///
    /// Unknown fields are dropped while parsing, so that they, too, show as a difference.
    package init(strictly bytes: [UInt8]) throws(WireFault) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        options.messageDepthLimit = 16
        do {
            try self.init(serializedBytes: bytes, options: options)
        } catch {
            throw .malformed(Self.protoMessageName)
        }
        guard areEqual(encoded(), bytes) else { throw .notCanonical(Self.protoMessageName) }
    }

    package func encoded() -> [UInt8] {
        // Encoding fails for required fields and bytes past 2 GiB only; proto3 has none of the
        // former, and every message here is bounded far below the latter.
        (try? serializedBytes()) ?? []
    }
}

extension WireAgreement {
    /// For people who compare two agreements; nothing is hashed or signed in this form.
    package func json() throws -> [UInt8] { try jsonUTF8Bytes() }
}

extension WireEnvelopeHeader: WireValue {}
extension WireEnvelope: WireValue {}
extension WireBlockHeader: WireValue {}
extension WireBlock: WireValue {}
extension WireVoteStatement: WireValue {}
extension WireVote: WireValue {}
extension WireCertificate: WireValue {}
extension WireVoterSet: WireValue {}
extension WireReceiptStatement: WireValue {}
extension WireReceipt: WireValue {}
extension WireEffect: WireValue {}
extension WireMemberDocument: WireValue {}
extension WireSignedMember: WireValue {}
extension WireGenesis: WireValue {}
extension WireAnnotationRule: WireValue {}
extension WireTransaction: WireValue {}
extension WireRoundValues: WireValue {}
extension WireManifest: WireValue {}
extension WireReferenceRecord: WireValue {}
extension WireReferenceRecords: WireValue {}
extension WireMemberState: WireValue {}
extension WireSequenceState: WireValue {}
extension WireConsentState: WireValue {}
extension WireRecordState: WireValue {}
extension WireTagState: WireValue {}
extension WireItemState: WireValue {}
extension WireGoldState: WireValue {}
extension WireRoundShareState: WireValue {}
extension WirePeriodState: WireValue {}
extension WireScoreState: WireValue {}
extension WirePayState: WireValue {}
extension WirePayTotal: WireValue {}
extension WireRunState: WireValue {}
extension WireRoundState: WireValue {}
extension WireModelState: WireValue {}
extension WireBalanceState: WireValue {}
extension WireResidualState: WireValue {}
extension WireSupplyState: WireValue {}
extension WireWaitingState: WireValue {}
extension WireWindowState: WireValue {}
extension WireRequest: WireValue {}
extension WireResponse: WireValue {}
extension WireStateChunk: WireValue {}

/// Compares at the speed of memory; `==` of arrays goes byte by byte.
private func areEqual(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
    lhs.count == rhs.count && memcmp(lhs, rhs, lhs.count) == 0
}

/// Bytes as the generated code holds them.
package func data(_ bytes: [UInt8]) -> Data { Data(bytes) }
extension WireDecision: WireValue {}
extension WireBallot: WireValue {}
extension WireStatusStatement: WireValue {}
extension WireStatus: WireValue {}
extension WireStatusReport: WireValue {}
extension WireOpening: WireValue {}
extension WireHeadStatement: WireValue {}
extension WireSignedHead: WireValue {}
extension WireSignedHeader: WireValue {}
extension WireEvidence: WireValue {}
extension WireSettlementProof: WireValue {}
extension WireTermLink: WireValue {}
extension WireEvidenceState: WireValue {}
extension WireOffence: WireValue {}
extension WireSettledTransaction: WireValue {}
extension WireReferenceState: WireValue {}
extension WireRedemptionState: WireValue {}
extension WireClaimState: WireValue {}
extension WireClaimStatement: WireValue {}
extension WireCorrection: WireValue {}
extension WireWeightState: WireValue {}
extension WireCorrectionState: WireValue {}
