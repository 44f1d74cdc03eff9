import Cryptography
import Ledger
import TestSupport
import Wire

/// Makes mutated documents whole again: a parser that stops at the first wrong hash or signature
/// would hide everything behind it.
extension FuzzWorld {
    /// The hashes by which a header binds certificate and opening.
    func mendBlock(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireBlock(strictly: bytes),
            var header = try? WireBlockHeader(strictly: [UInt8](wire.header))
        else { return nil }
        if wire.parentCertificate.isEmpty {
            header.parentCertificate = data(Digest.zero.bytes)
        } else {
            let certificate = [UInt8](wire.parentCertificate)
            header.parentCertificate = data(
                payloadHash(.certificate, network: network, certificate).bytes)
        }
        if !wire.opening.isEmpty {
            header.opening = data(
                payloadHash(.opening, network: network, [UInt8](wire.opening)).bytes)
        }
        header.network = data(network.digest.bytes)
        let envelopes = wire.envelopes.compactMap {
            try? Envelope(strictly: [UInt8]($0), network: network)
        }
        if random.once(in: 2) {
            header.transactionCount = UInt32(envelopes.reduce(0) { $0 + $1.transactions.count })
        }
        wire.header = data(header.encoded())
        if let signature = sign(header.encoded(), .block, by: header.proposer, votes: false) {
            wire.signature = data(signature)
        }
        return wire.encoded()
    }

    /// Good signatures of those who stand in a certificate.
    func mendCertificate(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireCertificate(strictly: bytes) else { return nil }
        var statement = WireVoteStatement()
        statement.term = wire.term
        statement.height = wire.height
        statement.block = wire.block
        for index in wire.signatures.indices where !random.once(in: 16) {
            let signature = sign(
                statement.encoded(), .vote, by: wire.signatures[index].voter, votes: true)
            if let signature { wire.signatures[index].signature = data(signature) }
        }
        if !random.once(in: 4) { wire.signatures.sort { $0.voter < $1.voter } }
        return wire.encoded()
    }

    /// A header signed by its proposer.
    func mend(_ wire: inout WireSignedHeader, previous: Digest?) {
        guard var header = try? WireBlockHeader(strictly: [UInt8](wire.header)) else { return }
        if let previous { header.previous = data(previous.bytes) }
        wire.header = data(header.encoded())
        if let signature = sign(header.encoded(), .block, by: header.proposer, votes: false) {
            wire.signature = data(signature)
        }
    }

    private func hash(_ wire: WireSignedHeader) -> Digest {
        payloadHash(.block, network: network, [UInt8](wire.header))
    }

    private func certificate(of header: WireSignedHeader, by voters: [AccountID]) -> [UInt8]? {
        guard let wire = try? WireBlockHeader(strictly: [UInt8](header.header)) else { return nil }
        let slot = Slot(term: Term(wire.term), height: Height(wire.height))
        let entries = voters.compactMap { account -> Certificate.Entry? in
            guard let key = voting[account],
                let vote = try? Vote(
                    voter: account, slot: slot, block: hash(header), network: network, key: key)
            else { return nil }
            return Certificate.Entry(voter: account, signature: vote.signature)
        }
        return Certificate(slot: slot, block: hash(header), entries: entries).bytes
    }

    /// Links, signatures and certificates of a proof, each left out now and then.
    func mendProof(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireSettlementProof(strictly: bytes) else { return nil }
        let sets = chain.history.terms.map(\.voters.accounts)
        for index in wire.terms.indices {
            mend(&wire.terms[index].parent, previous: nil)
            mend(
                &wire.terms[index].first,
                previous: wire.terms[index].hasParent ? hash(wire.terms[index].parent) : nil)
            if wire.terms[index].hasSecond {
                let first = hash(wire.terms[index].first)
                mend(&wire.terms[index].second, previous: random.once(in: 4) ? nil : first)
                let voters = Set(sets.dropFirst(index).prefix(2).flatMap(\.self)).sorted()
                if !random.once(in: 4),
                    let certificate = certificate(of: wire.terms[index].second, by: voters)
                {
                    wire.terms[index].certificate = data(certificate)
                }
            }
        }
        for index in wire.headers.indices {
            let isLinked = index > 0 && !random.once(in: 6)
            let previous = isLinked ? hash(wire.headers[index - 1]) : nil
            mend(&wire.headers[index], previous: previous)
        }
        if !random.once(in: 4), let last = wire.headers.last,
            let header = try? WireBlockHeader(strictly: [UInt8](last.header)),
            let index = chain.history.terms.firstIndex(where: { $0.term.value == header.term }),
            let certificate = certificate(of: last, by: sets[index])
        {
            wire.certificate = data(certificate)
        }
        if wire.hasTransaction { mend(&wire.transaction, &random) }
        return wire.encoded()
    }

    private func mend(_ wire: inout WireSettledTransaction, _ random: inout FuzzRandom) {
        guard let header = try? WireEnvelopeHeader(strictly: [UInt8](wire.envelopeHeader)) else {
            return
        }
        if let signature = sign(header.encoded(), .envelope, by: header.signer, votes: false) {
            wire.envelopeSignature = data(signature)
        }
    }

    /// Good signatures under every statement of evidence, in ascending order.
    func mendEvidence(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireEvidence(strictly: bytes), let body = wire.body else {
            return nil
        }
        switch body {
        case .twoHeaders(var pair):
            mend(&pair.first, previous: nil)
            mend(&pair.second, previous: nil)
            wire.twoHeaders = pair
        case .twoVotes(var pair):
            pair.first = data(mendedVote([UInt8](pair.first)))
            pair.second = data(mendedVote([UInt8](pair.second)))
            wire.twoVotes = pair
        case .twoStatuses(var pair):
            pair.first = data(mendedStatus([UInt8](pair.first)))
            pair.second = data(mendedStatus([UInt8](pair.second)))
            wire.twoStatuses = pair
        case .hiddenCertificate(var pair):
            pair.status = data(mendedStatus([UInt8](pair.status)))
            pair.vote = data(mendedVote([UInt8](pair.vote)))
            wire.hiddenCertificate = pair
        case .inconsistentHeads(var pair):
            pair.first = data(mendedHead([UInt8](pair.first)))
            pair.second = data(mendedHead([UInt8](pair.second)))
            wire.inconsistentHeads = pair
        case .invalidBlock(var block):
            block.block = data(mendBlock([UInt8](block.block), &random) ?? [UInt8](block.block))
            wire.invalidBlock = block
        case .brokenPromise(var promise):
            mend(&promise, &random)
            wire.brokenPromise = promise
        }
        return wire.encoded()
    }

    private func mend(_ promise: inout WireBrokenPromise, _ random: inout FuzzRandom) {
        guard var outer = try? WireReceipt(strictly: [UInt8](promise.receipt)),
            var statement = try? WireReceiptStatement(strictly: [UInt8](outer.statement))
        else { return }
        if !random.once(in: 4) {
            let header = [UInt8](promise.envelopeHeader)
            statement.envelope = data(
                payloadHash(.envelope, network: network, header).bytes)
        }
        if !random.once(in: 4) {
            statement.includedByHeight =
                statement.acceptedAfterHeight &+ UInt64(promise.blocks.count)
        }
        if !random.once(in: 4), !promise.before.isEmpty {
            statement.acceptedAfterBlock = data(
                payloadHash(.block, network: network, [UInt8](promise.before)).bytes)
        }
        outer.statement = data(statement.encoded())
        let office = Consortium.coordinator.text
        if let signature = sign(statement.encoded(), .receipt, by: office, votes: false) {
            outer.signature = data(signature)
        }
        promise.receipt = data(outer.encoded())
        var previous = Digest(statement.acceptedAfterBlock)
        for index in promise.blocks.indices {
            guard var wire = try? WireBlock(strictly: [UInt8](promise.blocks[index])),
                var header = try? WireBlockHeader(strictly: [UInt8](wire.header))
            else { break }
            if let previous { header.previous = data(previous.bytes) }
            wire.header = data(header.encoded())
            guard let mended = mendBlock(wire.encoded(), &random),
                let block = try? WireBlock(strictly: mended)
            else { break }
            previous = payloadHash(.block, network: network, [UInt8](block.header))
            promise.blocks[index] = data(mended)
        }
    }

    private func mendedVote(_ bytes: [UInt8]) -> [UInt8] {
        guard var wire = try? WireVote(strictly: bytes),
            let signature = sign([UInt8](wire.statement), .vote, by: wire.voter, votes: true)
        else { return bytes }
        wire.signature = data(signature)
        return wire.encoded()
    }

    func mendedStatus(_ bytes: [UInt8]) -> [UInt8] {
        guard var wire = try? WireStatus(strictly: bytes),
            let signature = sign([UInt8](wire.statement), .status, by: wire.voter, votes: true)
        else { return bytes }
        wire.signature = data(signature)
        return wire.encoded()
    }

    private func mendedHead(_ bytes: [UInt8]) -> [UInt8] {
        guard var wire = try? WireSignedHead(strictly: bytes),
            let statement = try? WireHeadStatement(strictly: [UInt8](wire.statement)),
            let signature = sign(
                [UInt8](wire.statement), .head, by: statement.account, votes: false)
        else { return bytes }
        wire.signature = data(signature)
        return wire.encoded()
    }

    /// Statuses of an opening that name its decision, signed.
    func mendOpening(_ bytes: [UInt8], _ random: inout FuzzRandom) -> [UInt8]? {
        guard var wire = try? WireOpening(strictly: bytes),
            let decision = try? WireDecision(strictly: [UInt8](wire.decision))
        else { return nil }
        wire.statuses = wire.statuses.map { content in
            guard var status = try? WireStatus(strictly: [UInt8](content)),
                var statement = try? WireStatusStatement(strictly: [UInt8](status.statement))
            else { return content }
            if !random.once(in: 8) {
                let hash = payloadHash(.decision, network: network, [UInt8](wire.decision))
                statement.decision = data(hash.bytes)
            }
            if !random.once(in: 8) { statement.term = decision.term }
            status.statement = data(statement.encoded())
            return data(mendedStatus(status.encoded()))
        }
        return wire.encoded()
    }
}
