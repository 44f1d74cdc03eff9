import Commands
import Cryptography
import Ledger
import TestSupport
import Wire

extension FuzzTarget {
    static func envelope(_ world: FuzzWorld) throws -> Self {
        let transactions = try sampleTransactions()
        let seeds = try [
            world.envelope(transactions), world.envelope([transactions[3]], 7),
            world.envelope(Array(transactions.suffix(5)), 2),
        ]
        return Self("envelope", .protobuf, seeds: seeds, mend: mendEnvelope) { bytes in
            let envelope = try Envelope(strictly: bytes, network: world.network)
            var wire = WireEnvelope()
            wire.header = data(envelope.header.encoded())
            wire.signature = data(envelope.signature.bytes)
            wire.transactions = envelope.transactions.map { data($0.encoded()) }
            let key = world.signing[envelope.signer]
            _ = key.map { envelope.isSigned(by: $0.verifyingKey, network: world.network) }
            return wire.encoded()
        }
    }

    static func transaction() throws -> Self {
        Self("transaction", .protobuf, seeds: try sampleTransactions().map { $0.encoded() }) {
            try WireTransaction(strictly: $0).encoded()
        }
    }

    static func header(_ world: FuzzWorld) -> Self {
        Self("header", .protobuf, seeds: world.chain.blocks.map(\.headerBytes)) { bytes in
            try BlockHeader(strictly: bytes, network: world.network)
                .encoded(network: world.network)
        }
    }

    static func block(_ world: FuzzWorld) -> Self {
        Self(
            "block", .protobuf, seeds: world.chain.blocks.map(\.bytes), mend: world.mendBlock
        ) { bytes in
            let block = try Block(strictly: bytes, network: world.network)
            var wire = WireBlock()
            wire.header = data(block.header.encoded(network: world.network))
            wire.signature = data(block.signature.bytes)
            wire.envelopes = block.envelopes.map { data($0.bytes) }
            wire.parentCertificate = data(
                block.parentCertificate.map {
                    Certificate(slot: $0.slot, block: $0.block, entries: $0.entries).bytes
                } ?? [])
            wire.opening = data(
                block.opening.map {
                    Opening(
                        decision: $0.decision, statuses: $0.statuses, network: world.network
                    ).bytes
                } ?? [])
            if let key = world.signing[block.header.proposer]?.verifyingKey {
                try? block.verifySignature(by: key, network: world.network)
            }
            return wire.encoded()
        }
    }

    static func certificate(_ world: FuzzWorld) -> Self {
        let sets = world.chain.history.terms.map(\.voters)
        return Self(
            "certificate", .protobuf, seeds: world.chain.certificates.map(\.bytes),
            mend: world.mendCertificate
        ) { bytes in
            let certificate = try Certificate(strictly: bytes)
            let again = Certificate(
                slot: certificate.slot, block: certificate.block, entries: certificate.entries)
            try? certificate.verify(by: sets, network: world.network)
            for set in sets { try? certificate.verify(by: [set], network: world.network) }
            _ = certificate.votes.map { try? $0.verify(by: sets, network: world.network) }
            return again.bytes
        }
    }

    static func member() throws -> Self {
        let accounts =
            Consortium.voters + [Consortium.developer, Consortium.readers(of: Consortium.east)[0]]
        return Self(
            "member", .protobuf, seeds: try accounts.map { try memberDocument($0) },
            mend: mendMember
        ) { bytes in
            let member = try Member(strictly: bytes)
            var wire = try WireSignedMember(strictly: member.bytes)
            wire.document = data(member.document.encoded())
            return wire.encoded()
        }
    }

    static func genesis(_ world: FuzzWorld) throws -> Self {
        let seeds = try agreementTexts().map { text in
            let agreement = try readAgreement(text: text, file: "agreement.yaml")
            let founders = Consortium.voters + agreement.namedAccounts
            return genesisDocument(
                agreement: agreement,
                members: try founders.map { try Member(strictly: memberDocument($0)) },
                timeMilliseconds: 1_700_000_000_000, nonce: named("nonce"))
        }
        return Self("genesis", .protobuf, seeds: [world.genesis.bytes] + seeds) { bytes in
            let genesis = try Genesis(strictly: bytes)
            let wire = try WireGenesis(strictly: bytes)
            return genesisDocument(
                agreement: genesis.agreement, members: genesis.members,
                timeMilliseconds: genesis.timeMilliseconds, nonce: [UInt8](wire.nonce))
        }
    }
}

/// Root and count of whatever transactions there are, so that the transactions are looked at.
@Sendable private func mendEnvelope(
    _ bytes: [UInt8], _ random: inout FuzzRandom
) -> [UInt8]? {
    guard var wire = try? WireEnvelope(strictly: bytes),
        var header = try? WireEnvelopeHeader(strictly: [UInt8](wire.header))
    else { return nil }
    let raw = wire.transactions.map { [UInt8]($0) }
    header.transactionsRoot = data(merkleRoot(raw.map(leafHash)).bytes)
    if !random.once(in: 8) { header.transactionCount = UInt32(raw.count) }
    wire.header = data(header.encoded())
    return wire.encoded()
}

/// Proofs of possession by the test members' own keys.
@Sendable private func mendMember(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
    guard var wire = try? WireSignedMember(strictly: bytes),
        let document = try? WireMemberDocument(strictly: [UInt8](wire.document)),
        let account = AccountID(document.account), account.role != nil,
        let signing = try? signingKey(of: account), let vote = try? voteKey(of: account)
    else { return nil }
    let message = payload(.member, network: .none, [UInt8](wire.document))
    guard let proof = try? signing.sign(message), let voteProof = try? vote.sign(message) else {
        return nil
    }
    wire.signingProof = data(proof.bytes)
    if !document.voteKey.isEmpty { wire.voteProof = data(voteProof.bytes) }
    return wire.encoded()
}
