import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct VoteTests {
    let network = NetworkID(Digest.sha256(Array("network".utf8)))
    let slot = Slot(term: Term(2), height: Height(77))
    let block = Digest.sha256(Array("block".utf8))
    let voters: VoterSet

    init() throws {
        voters = VoterSet(
            keys: try Dictionary(
                uniqueKeysWithValues: Consortium.voters.map {
                    ($0, try voteKey(of: $0).verifyingKey)
                }), majority: false)
    }

    func vote(_ voter: AccountID = Consortium.east) throws -> Vote {
        try Vote(
            voter: voter, slot: slot, block: block, network: network, key: voteKey(of: voter))
    }

    @Test(
        "a quorum is ⌊2n/3⌋ + 1, all of up to three, or a majority of up to three",
        arguments: [
            (1, 1, 1), (2, 2, 2), (3, 3, 2), (4, 3, 3), (5, 4, 4), (6, 5, 5), (7, 5, 5),
            (8, 6, 6), (9, 7, 7), (10, 7, 7), (11, 8, 8), (12, 9, 9), (13, 9, 9),
        ])
    func quorum(n: Int, all: Int, majority: Int) throws {
        let keys = try Dictionary(
            uniqueKeysWithValues: (0..<n).map { index in
                let site = AccountID(.site, "s\(index)")
                return (site, try voteKey(of: site).verifyingKey)
            })
        let strict = VoterSet(keys: keys, majority: false)
        #expect(strict.quorum == all)
        #expect(VoterSet(keys: keys, majority: true).quorum == majority)
        #expect(strict.accounts == keys.keys.sorted())
        let reached = n > 3 ? 3 * (2 * strict.quorum - n) > n : strict.quorum == n
        #expect(reached, "two quorums share more than a third")
    }

    @Test("another key, another quorum or another account make another voter set")
    func setHash() throws {
        let hash = voters.hash(network: network)
        #expect(hash == payloadHash(.voters, network: network, voters.encoded()))
        var other = voters.keys
        other[Consortium.east] = try voteKey(of: Consortium.developer).verifyingKey
        #expect(VoterSet(keys: other, majority: false).hash(network: network) != hash)
        let fewer = voters.keys.filter { $0.key != Consortium.east }
        let strict = VoterSet(keys: fewer, majority: false)
        #expect(strict.hash(network: network) != hash)
        #expect(
            strict.hash(network: network)
                != VoterSet(keys: fewer, majority: true).hash(network: network))
        let wire = try WireVoterSet(strictly: voters.encoded())
        #expect(wire.voters.map(\.account) == Consortium.voters.sorted().map(\.text))
        #expect(wire.quorum == 3)
    }

    @Test("a vote there and back")
    func roundTrip() throws {
        let vote = try vote()
        let read = try Vote(strictly: vote.encoded())
        #expect(read == vote)
        try read.verify(by: [voters], network: network)
    }

    @Test("who does not vote, or not so, is refused")
    func refusals() throws {
        let stranger = AccountID(.site, "south")
        #expect(throws: VoteFault.notAVoter("site/south")) {
            try vote(stranger).verify(by: [voters], network: network)
        }
        let forged = try Vote(
            voter: Consortium.east, slot: slot, block: block, network: network,
            key: voteKey(of: Consortium.west))
        #expect(throws: VoteFault.badSignature(Consortium.east)) {
            try forged.verify(by: [voters], network: network)
        }
        let bySigningKey = try Vote(
            voter: Consortium.east, slot: slot, block: block, network: network,
            key: signingKey(of: Consortium.east))
        #expect(throws: VoteFault.badSignature(Consortium.east)) {
            try bySigningKey.verify(by: [voters], network: network)
        }
        #expect(throws: VoteFault.badSignature(Consortium.east)) {
            try vote().verify(by: [voters], network: .none)
        }
        var wire = try WireVote(strictly: vote().encoded())
        wire.voter = "nobody"
        #expect(throws: VoteFault.notAVoter("nobody")) { try Vote(strictly: wire.encoded()) }
        wire.statement = data([0x08])
        #expect(throws: VoteFault.malformed(.malformed("tally.v1.VoteStatement"))) {
            try Vote(strictly: wire.encoded())
        }
    }

    @Test("any one byte of a vote changed: refused, or it does not verify", arguments: 0..<8)
    func mutations(bit: Int) throws {
        let bytes = try vote().encoded()
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 1 << UInt8(bit)
            #expect(throws: VoteFault.self, "byte \(place), bit \(bit)") {
                try Vote(strictly: changed).verify(by: [voters], network: network)
            }
        }
    }

    @Test("a receipt is the coordinator's promise, and nobody else's")
    func receipts() throws {
        let key = try signingKey(of: Consortium.coordinator)
        let receipt = try Receipt(
            envelope: block, acceptedAfter: Height(10), block: block, promise: 8,
            network: network, key: key)
        #expect(receipt.includedBy == Height(18))
        #expect(
            Receipt(receipt.wire, coordinator: key.verifyingKey, network: network) == receipt)
        let other = try signingKey(of: Consortium.east).verifyingKey
        #expect(Receipt(receipt.wire, coordinator: other, network: network) == nil)
        #expect(Receipt(receipt.wire, coordinator: key.verifyingKey, network: .none) == nil)
        let bytes = receipt.wire.encoded()
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 1
            let wire = try? WireReceipt(strictly: changed)
            #expect(
                wire.flatMap {
                    Receipt($0, coordinator: key.verifyingKey, network: network)
                } == nil, "byte \(place)")
        }
        let far = try Receipt(
            envelope: block, acceptedAfter: Height(.max - 1), block: block, promise: 8,
            network: network, key: key)
        #expect(far.includedBy == Height(.max))
    }
}
