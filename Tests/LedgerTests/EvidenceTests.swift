import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

private let office = Consortium.coordinator
private let east = Consortium.east

private func digest(_ name: String) -> Digest { Digest.sha256(Array(name.utf8)) }

/// Statements of every kind, signed with the keys of the test consortium.
struct Statements {
    let network = NetworkID(digest("network"))

    func header(
        _ term: UInt64 = 2, _ height: UInt64 = 9, opening: String? = nil, root: String = "log",
        certificate: Digest = .zero, by account: AccountID = office
    ) throws -> SignedHeader {
        let header = BlockHeader(
            slot: Slot(term: Term(term), height: Height(height)), previous: digest("parent"),
            timeMilliseconds: 1_700_000_000_000, proposer: account, transactionCount: 0,
            logSize: 40, logRoot: digest(root), effectsRoot: digest("effects"), stateRoot: .zero,
            voters: digest("voters"), parentCertificate: certificate,
            opening: opening.map(digest))
        let bytes = header.encoded(network: network)
        return try SignedHeader(
            bytes: bytes,
            signature: signingKey(of: account).sign(payload(.block, network: network, bytes)).bytes,
            network: network)
    }

    func vote(_ header: SignedHeader, by account: AccountID = east) throws -> Vote {
        try Vote(
            voter: account, slot: header.slot, block: header.hash, network: network,
            key: voteKey(of: account))
    }

    func status(
        _ term: UInt64 = 3, highest: Certificate? = nil, reason: String = "", last: Slot? = nil,
        by account: AccountID = east
    ) throws -> Status {
        var wire = WireDecision()
        wire.term = term
        wire.coordinator = office.text
        wire.coordinatorKey = data(try signingKey(of: office).verifyingKey.bytes)
        wire.voters = try Genesis(strictly: testGenesis()).voters.wire
        wire.reason = reason
        return try Status(
            decision: Decision(strictly: wire.encoded(), network: network), lastVote: last,
            highest: highest, voter: account, network: network, key: voteKey(of: account))
    }

    func certificate(_ term: UInt64, _ height: UInt64) throws -> Certificate {
        Certificate(
            slot: Slot(term: Term(term), height: Height(height)), block: digest("parent"),
            entries: [])
    }

    func head(_ height: UInt64, block: String, by account: AccountID = east) throws -> Head {
        try Head(
            account: account, settled: Slot(term: .first, height: Height(height)),
            block: digest(block), logSize: 3, logRoot: digest("log"), network: network,
            key: signingKey(of: account))
    }

    var keys: KnownKeys {
        get throws {
            KnownKeys(genesis: try Genesis(strictly: testGenesis()))
        }
    }

    func conflict(_ first: SignedHeader, _ second: SignedHeader) throws -> Evidence? {
        .conflict(
            first, second, by: try signingKey(of: office).verifyingKey, network: network)
    }

    func conflict(
        _ first: Vote, _ second: Vote, _ headers: ([UInt8], [UInt8])? = nil
    ) throws -> Evidence? {
        .conflict(
            first, second, headers: headers, by: try voteKey(of: east).verifyingKey,
            network: network)
    }
}

struct EvidenceTests {
    let statements = Statements()
    var network: NetworkID { statements.network }

    /// What evidence convicts of, with the keys of the founders.
    private func offence(_ evidence: Evidence?) throws -> Offence? {
        guard let evidence else { return nil }
        let read = try Evidence(strictly: evidence.bytes, network: network)
        #expect(read == evidence)
        return try read.offence(keys: statements.keys)
    }

    @Test("two headers at one slot, or of two first blocks of one term")
    func headers() throws {
        let (first, second) = (try statements.header(), try statements.header(root: "other"))
        let convicted = try offence(statements.conflict(first, second))
        #expect(convicted?.kind == .twoHeaders && convicted?.offender == office)
        #expect(convicted?.term == Term(2) && convicted?.height == Height(9))
        #expect(try offence(statements.conflict(second, first)) == convicted)
        let opening = try statements.header(2, 7, opening: "a")
        let rival = try statements.header(2, 8, opening: "b")
        let firsts = try offence(statements.conflict(opening, rival))
        #expect(firsts?.term == Term(2) && firsts?.height == .genesis)
        #expect(
            try statements.conflict(
                statements.header(2, 7, opening: "a"), statements.header(2, 7, opening: "b"))
                != nil, "first blocks at one slot")
        // No offences.
        #expect(try statements.conflict(first, first) == nil)
        #expect(try statements.conflict(first, statements.header(3, 9)) == nil)
        #expect(try statements.conflict(first, statements.header(2, 10)) == nil)
        #expect(try statements.conflict(opening, statements.header(3, 8, opening: "b")) == nil)
        #expect(try statements.conflict(opening, statements.header(2, 8)) == nil)
        #expect(
            try statements.conflict(first, statements.header(root: "other", by: east)) == nil,
            "another proposer's")
    }

    @Test("two votes at one slot, or for two first blocks of one term")
    func votes() throws {
        let (first, second) = (try statements.header(), try statements.header(root: "other"))
        let (one, two) = (try statements.vote(first), try statements.vote(second))
        let convicted = try offence(statements.conflict(one, two))
        #expect(convicted?.kind == .twoVotes && convicted?.offender == east)
        #expect(convicted?.height == Height(9))
        let opening = try statements.header(2, 7, opening: "a")
        let rival = try statements.header(2, 8, opening: "b")
        let (early, late) = (try statements.vote(opening), try statements.vote(rival))
        #expect(
            try offence(statements.conflict(early, late, (opening.bytes, rival.bytes)))?.height
                == .genesis)
        #expect(
            try offence(statements.conflict(late, early, (rival.bytes, opening.bytes))) != nil)
        // No offences.
        #expect(try statements.conflict(one, one) == nil)
        #expect(try statements.conflict(one, statements.vote(statements.header(3, 9))) == nil)
        #expect(try statements.conflict(early, late) == nil, "without headers")
        #expect(try statements.conflict(early, late, (rival.bytes, opening.bytes)) == nil)
        let child = try statements.header(2, 8)
        #expect(
            try statements.conflict(
                early, statements.vote(child), (opening.bytes, child.bytes)) == nil)
        #expect(try statements.conflict(one, statements.vote(second, by: Consortium.west)) == nil)
    }

    @Test("two different statuses for one term")
    func statuses() throws {
        func conflict(_ first: Status, _ second: Status) throws -> Evidence? {
            .conflict(first, second, by: try voteKey(of: east).verifyingKey, network: network)
        }
        let status = try statements.status()
        let others = [
            try statements.status(reason: "another decision"),
            try statements.status(highest: statements.certificate(2, 5)),
            try statements.status(last: Slot(term: .first, height: Height(1))),
        ]
        for other in others {
            let convicted = try offence(conflict(status, other))
            #expect(convicted?.kind == .twoStatuses && convicted?.term == Term(3))
        }
        #expect(try conflict(status, status) == nil)
        #expect(try conflict(status, statements.status(4)) == nil)
        #expect(try conflict(status, statements.status(reason: "x", by: office)) == nil)
    }

    @Test("a status that hides a certificate that its signer had voted upon")
    func hiddenCertificates() throws {
        let certificate = try statements.certificate(2, 8)
        let header = try statements.header(certificate: certificate.hash(network: network))
        let vote = try statements.vote(header)
        func conflict(
            _ status: Status, _ vote: Vote, _ header: SignedHeader,
            _ certificate: Certificate
        ) throws -> Evidence? {
            .conflict(
                status, vote, header: header.bytes, certificate: certificate,
                by: try voteKey(of: east).verifyingKey, network: network)
        }
        for highest in [nil, try statements.certificate(2, 7), try statements.certificate(1, 20)] {
            let status = try statements.status(highest: highest)
            let convicted = try offence(conflict(status, vote, header, certificate))
            #expect(convicted?.kind == .hiddenCertificate && convicted?.term == Term(3))
        }
        // No offences.
        for highest in [certificate, try statements.certificate(2, 9)] {
            let status = try statements.status(highest: highest)
            #expect(try conflict(status, vote, header, certificate) == nil, "as high, or higher")
        }
        let status = try statements.status()
        #expect(try conflict(statements.status(2), vote, header, certificate) == nil, "in its term")
        #expect(try conflict(status, vote, header, statements.certificate(2, 9)) == nil)
        #expect(try conflict(status, vote, statements.header(), certificate) == nil)
        #expect(try conflict(statements.status(by: office), vote, header, certificate) == nil)
    }

    @Test("two heads that name two settled blocks at one height")
    func heads() throws {
        func conflict(_ first: Head, _ second: Head) throws -> Evidence? {
            .conflict(first, second, by: try signingKey(of: east).verifyingKey, network: network)
        }
        let head = try statements.head(5, block: "a")
        let convicted = try offence(conflict(head, statements.head(5, block: "b")))
        #expect(convicted?.kind == .inconsistentHeads && convicted?.height == Height(5))
        #expect(try conflict(head, head) == nil)
        #expect(try conflict(head, statements.head(6, block: "b")) == nil)
        #expect(try conflict(head, statements.head(5, block: "b", by: office)) == nil)
    }

    @Test("only who is known to own the key is convicted, and only by what that key signed")
    func keys() throws {
        let evidence = try #require(
            try statements.conflict(
                statements.header(), statements.header(root: "other")))
        var keys = KnownKeys()
        #expect(throws: EvidenceFault.unknownKey(office)) { try evidence.offence(keys: keys) }
        keys.add(try signingKey(of: office).verifyingKey, of: east)
        keys.add(try signingKey(of: office).verifyingKey, of: office)
        #expect(throws: EvidenceFault.unknownKey(office)) { try evidence.offence(keys: keys) }
        var wire = try WireEvidence(strictly: evidence.bytes)
        wire.key = data(try signingKey(of: east).verifyingKey.bytes)
        let other = try Evidence(strictly: wire.encoded(), network: network)
        #expect(throws: EvidenceFault.unknownKey(office)) {
            try other.offence(keys: statements.keys)
        }
        #expect(throws: EvidenceFault.badSignature(office)) { try other.offence { _, _ in true } }
        wire.offender = east.text
        let framed = try Evidence(strictly: wire.encoded(), network: network)
        #expect(throws: EvidenceFault.provesNothing("a header names another proposer")) {
            try framed.offence(keys: statements.keys)
        }
        #expect(throws: EvidenceFault.foreignNetwork) {
            try Evidence(strictly: evidence.bytes, network: .none)
        }
        wire.body = nil
        #expect(throws: EvidenceFault.provesNothing("it states no offence")) {
            try Evidence(strictly: wire.encoded(), network: network)
        }
    }

    @Test("one offence has one name, whatever the evidence for it")
    func names() throws {
        let headers = try ["a", "b", "c"].map { try statements.header(root: $0) }
        let first = try #require(try offence(statements.conflict(headers[0], headers[1])))
        let second = try #require(try offence(statements.conflict(headers[1], headers[2])))
        #expect(first == second)
        #expect(first.id(network: network) == second.id(network: network))
        #expect(first.id(network: network) != first.id(network: .none))
        let elsewhere = try #require(
            try offence(
                statements.conflict(
                    statements.header(2, 10), statements.header(2, 10, root: "other"))))
        #expect(elsewhere.id(network: network) != first.id(network: network))
    }

    @Test("statements in the other order, or headers that are not needed, are refused")
    func oneForm() throws {
        let evidence = try #require(
            try statements.conflict(
                statements.vote(statements.header()),
                statements.vote(statements.header(root: "other"))))
        var wire = try WireEvidence(strictly: evidence.bytes)
        let body = wire.twoVotes
        (wire.twoVotes.first, wire.twoVotes.second) = (body.second, body.first)
        #expect(throws: EvidenceFault.self) {
            try Evidence(strictly: wire.encoded(), network: network).offence(keys: statements.keys)
        }
        wire.twoVotes = body
        wire.twoVotes.firstHeader = data(try statements.header().bytes)
        #expect(throws: EvidenceFault.provesNothing("votes at one slot need no headers")) {
            try Evidence(strictly: wire.encoded(), network: network).offence(keys: statements.keys)
        }
    }
}
