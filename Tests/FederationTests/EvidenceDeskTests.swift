import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

import Federation

/// What a node sees becomes evidence, whatever comes first; what one honest member signs does not.
@Suite("Evidence desk")
struct EvidenceDeskTests {
    /// Something that a node can note.
    private enum Seen {
        case block(Block)
        case header(SignedHeader)
        case vote(Vote)
        case status(Status)
        case head(Head)
    }

    private let chain: ProvenChain
    /// The same chain with one block more before it opens term 2.
    private let rival: ProvenChain
    private let coordinator: SigningKey
    private let vote: SigningKey
    private let sign: SigningKey

    init() throws {
        var chain = try ProvenChain()
        for _ in 0..<3 { try chain.append(1) }
        var rival = chain
        try rival.append()
        try chain.open(chain.decide(Consortium.coordinator, voters: Consortium.voters))
        try rival.open(rival.decide(Consortium.coordinator, voters: Consortium.voters))
        (self.chain, self.rival) = (chain, rival)
        coordinator = try signingKey(of: Consortium.coordinator)
        vote = try voteKey(of: Consortium.east)
        sign = try signingKey(of: Consortium.east)
    }

    private func note(_ seen: Seen, at desk: inout EvidenceDesk) {
        switch seen {
        case .block(let block): desk.note(block, key: coordinator.verifyingKey)
        case .header(let header): desk.note(header, key: coordinator.verifyingKey)
        case .vote(let vote): desk.note(vote, key: self.vote.verifyingKey)
        case .status(let status): desk.note(status, key: vote.verifyingKey)
        case .head(let head): desk.note(head, key: sign.verifyingKey)
        }
    }

    private func desk(_ seen: [Seen]) -> EvidenceDesk {
        var desk = EvidenceDesk(network: chain.network)
        for one in seen { note(one, at: &desk) }
        return desk
    }

    private func vote(for block: Block) throws -> Seen {
        .vote(
            try Vote(
                voter: Consortium.east, slot: block.slot, block: block.hash,
                network: chain.network, key: vote))
    }

    private func status(_ reason: String, highest: Certificate?) throws -> Seen {
        var wire = WireDecision()
        wire.term = 9
        wire.coordinator = Consortium.coordinator.text
        wire.coordinatorKey = data(coordinator.verifyingKey.bytes)
        wire.voters = chain.genesis.voters.wire
        wire.reason = reason
        return .status(
            try Status(
                decision: Decision(strictly: wire.encoded(), network: chain.network),
                lastVote: nil, highest: highest, voter: Consortium.east, network: chain.network,
                key: vote))
    }

    private func head(_ block: Digest) throws -> Seen {
        .head(
            try Head(
                account: Consortium.east, settled: chain.blocks[1].slot, block: block, logSize: 2,
                logRoot: .zero, network: chain.network, key: sign))
    }

    /// The other block at the slot of the chain's second.
    private func twin() throws -> SignedHeader {
        try SuspectBlock(
            strictly: chain.altered(1) { $0.timeMilliseconds += 1 }, network: chain.network
        ).signed
    }

    private func twinVote() throws -> Seen {
        let twin = try twin()
        return .vote(
            try Vote(
                voter: Consortium.east, slot: twin.slot, block: twin.hash, network: chain.network,
                key: vote))
    }

    /// Of every kind that statements alone show: what is seen, and by whom it was signed.
    private func offences() throws -> [(OffenceKind, AccountID, [Seen])] {
        let (first, other) = (chain.blocks[3], rival.blocks[4])
        return [
            (
                .twoHeaders, Consortium.coordinator,
                [.header(SignedHeader(chain.blocks[1])), .header(try twin())]
            ),
            (
                .twoHeaders, Consortium.coordinator,
                [.header(SignedHeader(first)), .header(SignedHeader(other))]
            ),
            (.twoVotes, Consortium.east, [try vote(for: chain.blocks[1]), try twinVote()]),
            (
                .twoVotes, Consortium.east,
                [try vote(for: first), .block(first), try vote(for: other), .block(other)]
            ),
            (
                .twoStatuses, Consortium.east,
                [
                    try status("one", highest: chain.certificates[2]),
                    try status("another", highest: chain.certificates[2]),
                ]
            ),
            (
                .hiddenCertificate, Consortium.east,
                [
                    try status("to hide one", highest: chain.certificates[0]),
                    try vote(for: chain.blocks[2]), .block(chain.blocks[2]),
                ]
            ),
            (
                .inconsistentHeads, Consortium.east,
                [try head(chain.blocks[1].hash), try head(.zero)]
            ),
        ]
    }

    @Test("every kind of offence is found in every order, once, and convicts by itself")
    func finds() throws {
        for (kind, offender, seen) in try offences() {
            for order in orders(seen.count) {
                let desk = desk(order.map { seen[$0] } + order.map { seen[$0] })
                let found = desk.found.filter { $0.offence.kind == kind }
                #expect(found.map(\.offence.offender) == [offender], "\(kind), \(order)")
                for one in found {
                    let shown = try Evidence(strictly: one.evidence.bytes, network: chain.network)
                    let offence = try shown.offence { _, account in account == offender }
                    #expect(offence == one.offence)
                    #expect(offence.id(network: chain.network) == one.id)
                    #expect(desk[one.id] == one.evidence)
                }
            }
        }
    }

    @Test("half of what convicts convicts nobody")
    func half() throws {
        for (kind, _, seen) in try offences() {
            for left in seen.indices {
                // Both blocks of a pair of votes convict the coordinator who made them.
                let desk = desk(seen.indices.filter { $0 != left }.map { seen[$0] })
                #expect(!desk.found.contains { $0.offence.kind == kind }, "\(kind) without \(left)")
            }
        }
    }

    @Test("the same statements under keys of two members are nobody's offence")
    func keys() throws {
        var desk = EvidenceDesk(network: chain.network)
        desk.note(SignedHeader(chain.blocks[1]), key: coordinator.verifyingKey)
        desk.note(try twin(), key: sign.verifyingKey)
        #expect(desk.found.isEmpty)
    }

    @Test("who lies for ever fills a share of its own")
    func bounded() throws {
        var desk = EvidenceDesk(network: chain.network)
        for place in 0..<40 {
            let block = Digest.sha256([UInt8(place)])
            let slot = Slot(term: .first, height: Height(UInt64(place / 2 + 1)))
            let lie = try Vote(
                voter: Consortium.east, slot: slot, block: block, network: chain.network, key: vote)
            desk.note(lie, key: vote.verifyingKey)
        }
        #expect(desk.found.count == 16)
        note(.header(SignedHeader(chain.blocks[1])), at: &desk)
        note(.header(try twin()), at: &desk)
        #expect(desk.found.count == 17)
    }

    /// All orders of so many things.
    private func orders(_ count: Int) -> [[Int]] {
        guard count > 1 else { return [Array(0..<count)] }
        return orders(count - 1).flatMap { rest in
            (0...rest.count).map { place in
                var order = rest
                order.insert(count - 1, at: place)
                return order
            }
        }
    }
}
