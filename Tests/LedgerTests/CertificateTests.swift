import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct CertificateTests {
    let network = NetworkID(Digest.sha256(Array("network".utf8)))
    let slot = Slot(term: Term(1), height: Height(300))
    let block = Digest.sha256(Array("block".utf8))
    let voters: VoterSet

    init() throws {
        voters = VoterSet(
            keys: try Dictionary(
                uniqueKeysWithValues: Consortium.voters.map {
                    ($0, try voteKey(of: $0).verifyingKey)
                }), majority: false)
    }

    func signature(_ voter: AccountID, of block: Digest? = nil) throws -> Signature {
        try Vote(
            voter: voter, slot: slot, block: block ?? self.block, network: network,
            key: voteKey(of: voter)
        ).signature
    }

    func certificate(_ accounts: [AccountID]) throws -> Certificate {
        Certificate(
            slot: slot, block: block,
            entries: try accounts.map {
                Certificate.Entry(voter: $0, signature: try signature($0))
            })
    }

    @Test("every quorum, and all voters, make a certificate")
    func quorums() throws {
        for missing in Consortium.voters {
            let certificate = try certificate(Consortium.voters.filter { $0 != missing })
            let read = try Certificate(strictly: certificate.bytes)
            #expect(read == certificate)
            try read.verify(by: [voters], network: network)
        }
        try certificate(Consortium.voters).verify(by: [voters], network: network)
    }

    @Test("too few votes make none", arguments: 0...2)
    func tooFew(votes: Int) throws {
        let certificate = try certificate(Array(Consortium.voters.prefix(votes)))
        #expect(throws: VoteFault.tooFew(votes: votes, quorum: 3)) {
            try Certificate(strictly: certificate.bytes).verify(by: [voters], network: network)
        }
    }

    @Test("a foreign voter spoils it, even beside a quorum")
    func foreignVoter() throws {
        let certificate = try certificate(Consortium.voters + [AccountID(.site, "south")])
        #expect(throws: VoteFault.notAVoter("site/south")) {
            try certificate.verify(by: [voters], network: network)
        }
    }

    @Test("a vote for another block, slot or network spoils it, even beside a quorum")
    func otherVotes() throws {
        let sound = try certificate(Consortium.sites).entries
            .filter { $0.voter != Consortium.west }
        let stray = try signature(Consortium.west, of: Digest.sha256(Array("other".utf8)))
        let votes = sound + [Certificate.Entry(voter: Consortium.west, signature: stray)]
        #expect(throws: VoteFault.badSignature(Consortium.west)) {
            try Certificate(slot: slot, block: block, entries: votes)
                .verify(by: [voters], network: network)
        }
        let good = try certificate(Consortium.voters)
        let moved = Certificate(
            slot: Slot(term: Term(2), height: slot.height), block: block, entries: good.entries)
        #expect(throws: VoteFault.badSignature(Consortium.coordinator)) {
            try moved.verify(by: [voters], network: network)
        }
        #expect(throws: VoteFault.badSignature(Consortium.coordinator)) {
            try good.verify(by: [voters], network: .none)
        }
    }

    @Test("one voter twice, or voters not ascending, are refused")
    func order() throws {
        var wire = try WireCertificate(strictly: certificate(Consortium.voters).bytes)
        let entries = wire.signatures
        wire.signatures = entries + [entries[3]]
        #expect(throws: VoteFault.notAscending) { try Certificate(strictly: wire.encoded()) }
        wire.signatures = [entries[0], entries[0], entries[0]]
        #expect(throws: VoteFault.notAscending) { try Certificate(strictly: wire.encoded()) }
        wire.signatures = [entries[1], entries[0], entries[2]]
        #expect(throws: VoteFault.notAscending) { try Certificate(strictly: wire.encoded()) }
        wire.signatures = entries.reversed()
        #expect(throws: VoteFault.notAscending) { try Certificate(strictly: wire.encoded()) }
    }

    @Test("with two voter sets, a quorum of each is needed, and a vote counts where its key stands")
    func twoSets() throws {
        // West has a new key, and south takes the coordinator's place.
        let south = AccountID(.site, "south")
        let newKey = try SigningKey(seed: Digest.sha256(Array("new".utf8)).bytes)
        var keys = voters.keys
        keys[Consortium.coordinator] = nil
        keys[Consortium.west] = newKey.verifyingKey
        keys[south] = try voteKey(of: south).verifyingKey
        let later = VoterSet(keys: keys, majority: false)
        func entry(_ voter: AccountID, _ key: SigningKey? = nil) throws -> Certificate.Entry {
            let vote = try Vote(
                voter: voter, slot: slot, block: block, network: network,
                key: key ?? voteKey(of: voter))
            return Certificate.Entry(voter: voter, signature: vote.signature)
        }
        func verify(_ entries: [Certificate.Entry]) throws {
            let bytes = Certificate(slot: slot, block: block, entries: entries).bytes
            try Certificate(strictly: bytes).verify(by: [voters, later], network: network)
        }
        let both = [try entry(Consortium.north), try entry(Consortium.east)]
        try verify(both + [entry(Consortium.west), entry(Consortium.west, newKey)])
        try verify(both + [entry(Consortium.coordinator), entry(south)])
        #expect(throws: VoteFault.tooFew(votes: 2, quorum: 3)) {
            try verify(both + [entry(Consortium.west), entry(Consortium.coordinator)])
        }
        #expect(throws: VoteFault.tooFew(votes: 2, quorum: 3)) {
            try verify(both + [entry(Consortium.west, newKey), entry(south)])
        }
    }

    @Test("entries that are no votes are refused")
    func entries() throws {
        var wire = try WireCertificate(strictly: certificate(Consortium.voters).bytes)
        wire.signatures[1].voter = "West"
        #expect(throws: VoteFault.notAVoter("West")) {
            try Certificate(strictly: wire.encoded())
        }
        wire = try WireCertificate(strictly: certificate(Consortium.voters).bytes)
        wire.signatures[0].signature.removeLast()
        #expect(throws: VoteFault.notAVoter("coordinator/office")) {
            try Certificate(strictly: wire.encoded())
        }
        wire = try WireCertificate(strictly: certificate(Consortium.voters).bytes)
        wire.block.removeLast()
        #expect(throws: VoteFault.malformed(.malformed("certificate"))) {
            try Certificate(strictly: wire.encoded())
        }
        #expect(throws: VoteFault.malformed(.notCanonical("tally.v1.Certificate"))) {
            try Certificate(
                strictly: certificate(Consortium.voters).bytes + RawMessage.number(9, 1))
        }
    }

    @Test("any one byte changed: refused, or it does not verify", arguments: UInt64(0)..<8)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let bytes = try certificate(Consortium.voters).bytes
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            #expect(throws: VoteFault.self, "seed \(seed), byte \(place)") {
                try Certificate(strictly: changed).verify(by: [voters], network: network)
            }
        }
    }
}
