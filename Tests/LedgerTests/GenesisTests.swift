import Cryptography
import Foundation
import Ledger
import TestSupport
import Testing
import Wire

struct GenesisTests {
    /// Ascending.
    static let founders =
        [Consortium.coordinator, Consortium.developer] + Consortium.sites + [Consortium.treasurer]

    let bytes: [UInt8]

    init() throws { bytes = try testGenesis() }

    func fault(_ bytes: [UInt8]) -> GenesisFault? {
        do throws(GenesisFault) {
            _ = try Genesis(strictly: bytes)
            return nil
        } catch { return error }
    }

    func rewritten(_ change: (inout WireGenesis) throws -> Void) throws -> [UInt8] {
        var wire = try WireGenesis(strictly: bytes)
        try change(&wire)
        return wire.encoded()
    }

    /// A member's document with other keys than its own.
    func document(
        _ account: AccountID, signing: AccountID? = nil, vote: AccountID?? = .none,
        transport: AccountID? = nil
    ) throws -> [UInt8] {
        let voter: AccountID? = vote ?? (account.role?.votes == true ? account : nil)
        return try signedMember(
            account: account, signing: signingKey(of: signing ?? account),
            vote: try voter.map { try voteKey(of: $0) },
            transport: named("transport \(transport ?? account)"), endpoint: "")
    }

    @Test("what was founded is what is read")
    func roundTrip() throws {
        let genesis = try Genesis(strictly: bytes)
        #expect(genesis.members.map(\.account) == Self.founders)
        #expect(genesis.coordinator.account == Consortium.coordinator)
        #expect(genesis.agreement == testAgreement())
        #expect(genesis.voters.accounts == Consortium.voters && genesis.voters.quorum == 3)
        #expect(genesis.network.digest == payloadHash(.genesis, network: .none, bytes))
        #expect(
            try genesis.voters.keys[Consortium.east] == voteKey(of: Consortium.east).verifyingKey)
        let later = try rewritten { $0.timeMs += 1 }
        let again = try rewritten { $0.nonce[0] ^= 1 }
        let networks = try [bytes, later, again].map { try Genesis(strictly: $0).network }
        #expect(Set(networks).count == 3)
    }

    @Test("each refusal of the document")
    func refusals() throws {
        #expect(fault([0xff]) == .malformed(.malformed("tally.v1.Genesis")))
        #expect(
            fault(bytes + RawMessage.number(9, 1)) == .malformed(.notCanonical("tally.v1.Genesis")))
        #expect(fault([]) == .unknownVersion(0))
        #expect(fault(try rewritten { $0.version = 2 }) == .unknownVersion(2))
        #expect(fault(try rewritten { $0.nonce.removeLast() }) == .badNonce)
        let agreement = try #require(AgreementExample.fault { $0.study = "" })
        #expect(fault(try rewritten { $0.agreement.study = "" }) == .badAgreement(agreement))
        #expect(fault(try rewritten { $0.members = [] }) == .coordinators(0))
        #expect(fault(try rewritten { $0.members.removeFirst() }) == .coordinators(0))
        #expect(fault(try rewritten { $0.members = [$0.members[0]] }) == .noSite)
        let second = try document(AccountID(.coordinator, "second"))
        #expect(
            fault(try rewritten { $0.members.insert(data(second), at: 1) }) == .coordinators(2))
    }

    @Test("members stand ascending, each once")
    func order() throws {
        #expect(fault(try rewritten { $0.members.swapAt(2, 3) }) == .membersNotAscending)
        #expect(fault(try rewritten { $0.members.reverse() }) == .membersNotAscending)
        #expect(
            fault(try rewritten { $0.members.append($0.members[5]) }) == .membersNotAscending)
    }

    @Test("readers and patients are enrolled later, developers and treasurers may found")
    func roles() throws {
        for role in Role.allCases {
            let account = AccountID(role, "zz")
            let changed = try rewritten { wire in
                let place = Self.founders.firstIndex { $0 > account } ?? Self.founders.count
                wire.members.insert(data(try memberDocument(account)), at: place)
            }
            switch role {
            case .site, .developer, .treasurer: #expect(fault(changed) == nil)
            case .coordinator: #expect(fault(changed) == .coordinators(2))
            case .annotator, .patient: #expect(fault(changed) == .foundsLater(account))
            }
        }
    }

    @Test("whom the agreement names is a founding member, or nobody is named")
    func trusted() throws {
        for account in [Consortium.developer, Consortium.treasurer] {
            let place = try #require(Self.founders.firstIndex(of: account))
            let without = try rewritten { $0.members.remove(at: place) }
            #expect(fault(without) == .namesNoFounder(account))
        }
        let other = try rewritten { $0.agreement.rewards.treasurer = "treasurer/other" }
        #expect(fault(other) == .namesNoFounder(AccountID(.treasurer, "other")))
        let nobody = try rewritten {
            $0.agreement.rewards.treasurer = ""
            $0.members.removeLast()
        }
        #expect(fault(nobody) == nil)
    }

    @Test("no key serves twice, neither at two members nor at one")
    func keys() throws {
        let south = AccountID(.site, "south")
        func founding(_ document: [UInt8]) throws -> GenesisFault? {
            fault(try rewritten { $0.members.insert(data(document), at: 4) })
        }
        #expect(try founding(document(south)) == nil)
        #expect(try founding(document(south, signing: Consortium.east)) == .keyUsedTwice(south))
        #expect(try founding(document(south, vote: Consortium.east)) == .keyUsedTwice(south))
        #expect(try founding(document(south, transport: Consortium.east)) == .keyUsedTwice(south))
        let same = try signedMember(
            account: south, signing: voteKey(of: south), vote: voteKey(of: south),
            transport: named("transport"), endpoint: "")
        #expect(try founding(same) == .keyUsedTwice(south))
        let crossed = try signedMember(
            account: south, signing: voteKey(of: Consortium.east), vote: voteKey(of: south),
            transport: named("transport"), endpoint: "")
        #expect(try founding(crossed) == .keyUsedTwice(south))
    }

    @Test("a founding member without a proof of its keys is refused")
    func proofs() throws {
        let faults: [(MemberFault, (inout WireSignedMember) throws -> Void)] = [
            (.badProof(Consortium.east), { $0.signingProof = data([]) }),
            (.badProof(Consortium.east), { $0.signingProof[0] ^= 1 }),
            (.badProof(Consortium.east), { $0.voteProof = $0.signingProof }),
            (.badProof(Consortium.east), { $0.voteProof = data([]) }),
            (
                .badProof(Consortium.east),
                { member in
                    let message = payload(
                        .member, network: NetworkID(Digest.sha256([UInt8(1)])),
                        [UInt8](member.document))
                    member.signingProof = data(
                        try signingKey(of: Consortium.east).sign(message).bytes)
                }
            ),
        ]
        for (expected, change) in faults {
            let changed = try rewritten { wire in
                var member = try WireSignedMember(strictly: [UInt8](wire.members[2]))
                try change(&member)
                wire.members[2] = data(member.encoded())
            }
            #expect(fault(changed) == .badMember(index: 2, expected))
        }
    }

    @Test("any one byte changed: refused, or another network", arguments: UInt64(0)..<3)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let network = try Genesis(strictly: bytes).network
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            let other = try? Genesis(strictly: changed)
            #expect(other?.network != network, "seed \(seed), byte \(place)")
        }
    }
}

struct MemberTests {
    func fault(_ bytes: [UInt8]) -> MemberFault? {
        do throws(MemberFault) {
            _ = try Member(strictly: bytes)
            return nil
        } catch { return error }
    }

    /// A document with one thing changed, and proofs over it by the right keys.
    func changed(
        _ account: AccountID, _ change: (inout WireMemberDocument) -> Void
    ) throws -> [UInt8] {
        var wire = try WireSignedMember(strictly: memberDocument(account))
        var document = try WireMemberDocument(strictly: [UInt8](wire.document))
        change(&document)
        wire.document = data(document.encoded())
        let message = payload(.member, network: .none, document.encoded())
        wire.signingProof = data(try signingKey(of: account).sign(message).bytes)
        if account.role?.votes == true {
            wire.voteProof = data(try voteKey(of: account).sign(message).bytes)
        }
        return wire.encoded()
    }

    @Test("every role's document there and back", arguments: Role.allCases)
    func roundTrip(role: Role) throws {
        let account = AccountID(role, "one")
        let member = try Member(strictly: memberDocument(account))
        #expect(member.account == account)
        #expect(try member.signingKey == signingKey(of: account).verifyingKey)
        #expect((member.voteKey != nil) == role.votes)
        #expect(member.transportKey == named("transport \(account)"))
    }

    @Test("each refusal")
    func refusals() throws {
        let (site, reader) = (AccountID(.site, "south"), AccountID(.annotator, "south-1"))
        #expect(fault(try changed(site) { _ in }) == nil)
        #expect(fault([1]) == .malformed(.malformed("tally.v1.SignedMember")))
        #expect(fault(try changed(site) { $0.account = "south" }) == .badAccount("south"))
        #expect(
            fault(try changed(site) { $0.account = "reserve/consortium" })
                == .badAccount("reserve/consortium"))
        #expect(
            fault(try changed(site) { $0.signingKey.removeLast() }) == .badKey("signing key"))
        #expect(
            fault(try changed(site) { $0.transportKey.removeLast() }) == .badKey("transport key"))
        #expect(fault(try changed(site) { $0.voteKey = data([]) }) == .missingVoteKey(site))
        #expect(fault(try changed(site) { $0.voteKey.removeLast() }) == .badKey("vote key"))
        #expect(
            fault(try changed(reader) { $0.voteKey = data(named("key")) })
                == .needlessVoteKey(reader))
        var wire = try WireSignedMember(strictly: memberDocument(reader))
        wire.voteProof = wire.signingProof
        #expect(fault(wire.encoded()) == .needlessVoteKey(reader))
        #expect(
            fault(try changed(site) { $0.signingKey = data(named("no key of this site")) })
                == .badProof(site))
    }

    @Test("any one byte of a document changed is refused", arguments: 0..<8)
    func mutations(bit: Int) throws {
        let bytes = try memberDocument(AccountID(.site, "south"))
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 1 << UInt8(bit)
            #expect(fault(changed) != nil, "byte \(place), bit \(bit)")
        }
    }
}
