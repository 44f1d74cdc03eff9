import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

/// A chain of the consortium's network, and evidence against its members.
private let proven = Result {
    var chain = try ProvenChain()
    for _ in 0..<3 { try chain.append(1) }
    return chain
}

private func evidence() throws -> [UInt8] {
    let chain = try proven.get()
    let key = try signingKey(of: Consortium.coordinator)
    var header = chain.blocks[1].header
    header.timeMilliseconds += 1
    let bytes = header.encoded(network: chain.network)
    let other = try SignedHeader(
        bytes: bytes,
        signature: key.sign(payload(.block, network: chain.network, bytes)).bytes,
        network: chain.network)
    return try Evidence.conflict(
        SignedHeader(chain.blocks[1]), other, by: key.verifyingKey, network: chain.network
    ).orThrow("evidence").bytes
}

private func invalidBlock() throws -> [UInt8] {
    let chain = try proven.get()
    return try Evidence.invalidBlock(
        chain.blocks[1].bytes, by: signingKey(of: Consortium.coordinator).verifyingKey,
        network: chain.network
    ).orThrow("evidence").bytes
}

private func claim(
    _ place: Int = 1, _ change: (inout WireInvalidBlockClaim) throws -> Void = { _ in }
) throws -> WireTransaction {
    let signed = SignedHeader(try proven.get().blocks[place])
    var transaction = WireTransaction()
    var claim = WireInvalidBlockClaim()
    claim.header = data(signed.bytes)
    claim.signature = data(signed.signature.bytes)
    claim.key = data(try signingKey(of: Consortium.coordinator).verifyingKey.bytes)
    try change(&claim)
    transaction.evidenceSubmit.invalidBlock = claim
    return transaction
}

extension WireTransaction {
    fileprivate static func evidence(_ bytes: [UInt8]) -> Self {
        var transaction = Self()
        transaction.evidenceSubmit.evidence = data(bytes)
        return transaction
    }
}

extension TransitionTests {
    static let offenceRows = [
        TransitionRow(.evidenceMalformed, "no evidence at all") {
            try $0.outcome(.evidence([1]), by: Consortium.developer)
        },
        TransitionRow(.provesNothing, "two equal headers") { consortium in
            var wire = try WireEvidence(strictly: evidence())
            wire.twoHeaders.second = wire.twoHeaders.first
            return try consortium.outcome(.evidence(wire.encoded()), by: Consortium.developer)
        },
        TransitionRow(.needsChain, "an invalid block, by anybody") {
            try $0.outcome(.evidence(invalidBlock()), by: Consortium.developer)
        },
        TransitionRow(nil, "two headers, shown by anybody") {
            try $0.outcome(.evidence(evidence()), by: Consortium.developer)
        },
        TransitionRow(.alreadyRecorded, "the same again, by another") {
            try $0.applied([.evidence(evidence())], by: Consortium.developer)
            return try $0.outcome(.evidence(evidence()), by: Consortium.east)
        },
        TransitionRow(.notPermitted, "a claim by who does not vote") {
            try $0.outcome(claim { $0.header = data([1]) }, by: Consortium.developer)
        },
        TransitionRow(.evidenceMalformed, "a claim against no header") {
            try $0.outcome(
                claim {
                    $0.header = data([1])
                    $0.key = data(named("another key"))
                }, by: Consortium.east)
        },
        TransitionRow(.evidenceMalformed, "a claim with evidence beside it") {
            var transaction = try claim { $0.key = data(named("another key")) }
            transaction.evidenceSubmit.evidence = data([1])
            return try $0.outcome(transaction, by: Consortium.east)
        },
        TransitionRow(.provesNothing, "a claim under a key that is not the proposer's") {
            try $0.outcome(
                claim { $0.key = data(try signingKey(of: Consortium.east).verifyingKey.bytes) },
                by: Consortium.east)
        },
        TransitionRow(.provesNothing, "a claim against a header that nobody signed") {
            try $0.outcome(
                claim { $0.signature = data([UInt8](repeating: 7, count: 64)) },
                by: Consortium.east)
        },
        TransitionRow(nil, "a voter's claim") { try $0.outcome(claim(), by: Consortium.east) },
        TransitionRow(.alreadyRecorded, "a voter's second claim, of another block there") {
            try $0.applied([claim()], by: Consortium.east)
            return try $0.outcome(claim(), by: Consortium.east)
        },
        TransitionRow(.alreadyRecorded, "a claim after a quorum's") {
            for voter in [Consortium.east, Consortium.north, Consortium.west] {
                try $0.applied([claim()], by: voter)
            }
            return try $0.outcome(claim(), by: Consortium.coordinator)
        },
    ]
}
