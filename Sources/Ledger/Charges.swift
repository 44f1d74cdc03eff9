import Cryptography
import Wire

/// What each kind of evidence must contain; signatures are checked by the caller, last.
extension Evidence {
    func charge(_ body: WireTwoHeaders) throws(EvidenceFault) -> Charge {
        let first = try header(body.first, "first header")
        let second = try header(body.second, "second header")
        try requireOrder(first.bytes, second.bytes)
        for one in [first, second] {
            guard one.header.proposer == offender else {
                throw .provesNothing("a header names another proposer")
            }
        }
        let place = try commonPlace(first, second)
        return Charge(
            offence: offence(term: place.term, height: place.height),
            statements: [first, second].map {
                Charge.Statement(kind: .block, bytes: $0.bytes, signature: $0.signature)
            })
    }

    func charge(_ body: WireTwoVotes) throws(EvidenceFault) -> Charge {
        let first = try vote(body.first, "first vote")
        let second = try vote(body.second, "second vote")
        try requireOrder([UInt8](body.first), [UInt8](body.second))
        guard first.slot.term == second.slot.term else {
            throw .provesNothing("the votes are of two terms")
        }
        guard first.block != second.block else {
            throw .provesNothing("both votes are for one block")
        }
        var height = first.slot.height
        if first.slot == second.slot {
            guard body.firstHeader.isEmpty, body.secondHeader.isEmpty else {
                throw .provesNothing("votes at one slot need no headers")
            }
        } else {
            for (vote, bytes) in [(first, body.firstHeader), (second, body.secondHeader)] {
                let header = try header([UInt8](bytes), of: vote)
                guard header.opening != nil else {
                    throw .provesNothing("the votes are at two slots and not for first blocks")
                }
            }
            height = .genesis
        }
        return Charge(
            offence: offence(term: first.slot.term, height: height),
            statements: [first, second].map(Charge.Statement.init))
    }

    func charge(_ body: WireTwoStatuses) throws(EvidenceFault) -> Charge {
        let first = try status(body.first, "first status")
        let second = try status(body.second, "second status")
        try requireOrder(first.bytes, second.bytes)
        guard first.term == second.term else {
            throw .provesNothing("the statuses are for two terms")
        }
        guard first.statement != second.statement else {
            throw .provesNothing("both statuses say the same")
        }
        return Charge(
            offence: offence(term: first.term, height: .genesis),
            statements: [first, second].map(Charge.Statement.init))
    }

    func charge(_ body: WireHiddenCertificate) throws(EvidenceFault) -> Charge {
        let status = try status(body.status, "status")
        let vote = try vote(body.vote, "vote")
        guard vote.slot.term < status.term else {
            throw .provesNothing("the vote is not below the term of the status")
        }
        let header = try header([UInt8](body.header), of: vote)
        let certificate: Certificate
        do {
            certificate = try Certificate(strictly: [UInt8](body.certificate))
        } catch { throw .badPart("certificate", "\(error)") }
        // The voter checked that certificate before it voted, so nobody needs to check it again.
        guard certificate.hash(network: network) == header.parentCertificate else {
            throw .provesNothing("the block voted for carries another certificate")
        }
        guard certificate.slot > status.highest else {
            throw .provesNothing("the status reports a certificate that is as high")
        }
        return Charge(
            offence: offence(term: status.term, height: .genesis),
            statements: [Charge.Statement(status), Charge.Statement(vote)])
    }

    func charge(_ body: WireInconsistentHeads) throws(EvidenceFault) -> Charge {
        let first = try head(body.first, "first head")
        let second = try head(body.second, "second head")
        try requireOrder(first.bytes, second.bytes)
        guard first.settled.height == second.settled.height else {
            throw .provesNothing("the heads are of two heights")
        }
        guard first.statement != second.statement else {
            throw .provesNothing("both heads say the same")
        }
        return Charge(
            offence: offence(term: .genesis, height: first.settled.height),
            statements: [first, second].map(Charge.Statement.init))
    }

    func charge(_ body: WireInvalidBlock) throws(EvidenceFault) -> Charge {
        let block = try SuspectBlock(strictly: [UInt8](body.block), network: network)
        guard block.signed.header.proposer == offender else {
            throw .provesNothing("the header names another proposer")
        }
        return Charge(
            offence: offence(term: block.signed.slot.term, height: block.signed.slot.height),
            statements: [
                Charge.Statement(
                    kind: .block, bytes: block.signed.bytes, signature: block.signed.signature)
            ])
    }

    // MARK: parts

    /// One order for two statements, so that the same pair makes the same evidence.
    private func requireOrder(_ first: [UInt8], _ second: [UInt8]) throws(EvidenceFault) {
        guard first.lexicographicallyPrecedes(second) else {
            throw .provesNothing("the statements are one, or do not stand in ascending order")
        }
    }

    /// The slot of two headers, or height 0 of the term of two first blocks.
    private func commonPlace(
        _ first: SignedHeader, _ second: SignedHeader
    ) throws(EvidenceFault) -> Slot {
        if first.slot == second.slot { return first.slot }
        guard first.slot.term == second.slot.term, first.isFirst, second.isFirst else {
            throw .provesNothing("the headers are of two slots and not both of first blocks")
        }
        return Slot(term: first.slot.term, height: .genesis)
    }

    func header(
        _ wire: WireSignedHeader, _ name: String
    ) throws(EvidenceFault) -> SignedHeader {
        do {
            return try SignedHeader(wire, network: network)
        } catch { throw .badPart(name, "\(error)") }
    }

    private func header(_ bytes: [UInt8], of vote: Vote) throws(EvidenceFault) -> BlockHeader {
        let header: BlockHeader
        do {
            header = try BlockHeader(strictly: bytes, network: network)
        } catch { throw .badPart("header", "\(error)") }
        guard payloadHash(.block, network: network, bytes) == vote.block, header.slot == vote.slot
        else { throw .provesNothing("a header is not of the block voted for") }
        return header
    }

    private func vote(
        _ bytes: some Collection<UInt8>, _ name: String
    ) throws(EvidenceFault) -> Vote {
        let vote: Vote
        do {
            vote = try Vote(strictly: [UInt8](bytes))
        } catch { throw .badPart(name, "\(error)") }
        guard vote.voter == offender else { throw .provesNothing("a vote is another voter's") }
        return vote
    }

    private func status(
        _ bytes: some Collection<UInt8>, _ name: String
    ) throws(EvidenceFault) -> Status {
        let status: Status
        do {
            status = try Status(strictly: [UInt8](bytes))
        } catch { throw .badPart(name, "\(error)") }
        guard status.voter == offender else {
            throw .provesNothing("a status is another voter's")
        }
        return status
    }

    private func head(
        _ bytes: some Collection<UInt8>, _ name: String
    ) throws(EvidenceFault) -> Head {
        let head: Head
        do {
            head = try Head(strictly: [UInt8](bytes))
        } catch { throw .badPart(name, "\(error)") }
        guard head.account == offender else { throw .provesNothing("a head is another member's") }
        return head
    }
}

extension Charge.Statement {
    init(_ vote: Vote) {
        self.init(kind: .vote, bytes: vote.statement, signature: vote.signature)
    }

    init(_ status: Status) {
        self.init(kind: .status, bytes: status.statement, signature: status.signature)
    }

    init(_ head: Head) {
        self.init(kind: .head, bytes: head.statement, signature: head.signature)
    }
}
