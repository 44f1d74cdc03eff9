import Cryptography
package import Wire

/// Why a genesis document cannot found a network.
package enum GenesisFault: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(WireFault)
    case unknownVersion(UInt32)
    case badNonce
    case badMember(index: Int, MemberFault)
    case foundsLater(AccountID)
    case membersNotAscending
    case keyUsedTwice(AccountID)
    case coordinators(Int)
    case noSite
    case namesNoFounder(AccountID)
    case badAgreement(AgreementFault)

    package var description: String {
        switch self {
        case .malformed(let fault): "the genesis document is malformed: \(fault)"
        case .unknownVersion(let version): "the genesis document has the unknown version \(version)"
        case .badNonce: "the genesis nonce has not 32 bytes"
        case .badMember(let index, let fault): "founding member \(index + 1): \(fault)"
        case .foundsLater(let account):
            "\(account) cannot found the network; its site enrols it with `tally member add`"
        case .membersNotAscending: "the founding members do not stand in ascending order, each once"
        case .keyUsedTwice(let account): "\(account) uses a key of another founding member"
        case .coordinators(let count): "\(count) coordinators found the network instead of one"
        case .noSite: "no site founds the network"
        case .namesNoFounder(let account):
            "the agreement names \(account), which is no founding member; add its document with "
                + "--member, or any one site could enrol that account with a key of its own"
        case .badAgreement(let fault): "the agreement: \(fault)"
        }
    }
}

/// The founding document: members and agreement; its hash is the network's id.
package struct Genesis: Hashable, Sendable {
    package let bytes: [UInt8]
    package let network: NetworkID
    package let agreement: WireAgreement
    /// Accounts ascending.
    package let members: [Member]
    package let coordinator: Member
    package let voters: VoterSet
    package let timeMilliseconds: UInt64

    package init(strictly bytes: [UInt8]) throws(GenesisFault) {
        let wire: WireGenesis
        do { wire = try WireGenesis(strictly: bytes) } catch { throw .malformed(error) }
        guard wire.version == 1 else { throw .unknownVersion(wire.version) }
        guard wire.nonce.count == 32 else { throw .badNonce }
        do { try validate(wire.agreement) } catch { throw .badAgreement(error) }
        var members: [Member] = []
        var keys: Set<[UInt8]> = []
        for (index, content) in wire.members.enumerated() {
            let member: Member
            do {
                member = try Member(strictly: [UInt8](content))
            } catch { throw .badMember(index: index, error) }
            guard member.account.role != .annotator, member.account.role != .patient else {
                throw .foundsLater(member.account)
            }
            if let last = members.last, last.account >= member.account {
                throw .membersNotAscending
            }
            let own =
                [member.signingKey.bytes, member.transportKey] + [member.voteKey?.bytes ?? []]
            for key in own where !key.isEmpty {
                guard keys.insert(key).inserted else { throw .keyUsedTwice(member.account) }
            }
            members.append(member)
        }
        let coordinators = members.filter { $0.account.role == .coordinator }
        guard let coordinator = coordinators.first, coordinators.count == 1 else {
            throw .coordinators(coordinators.count)
        }
        guard members.contains(where: { $0.account.role == .site }) else { throw .noSite }
        let founders = Set(members.map(\.account))
        for account in wire.agreement.namedAccounts where !founders.contains(account) {
            throw .namesNoFounder(account)
        }
        self.bytes = bytes
        self.members = members
        self.coordinator = coordinator
        agreement = wire.agreement
        timeMilliseconds = wire.timeMs
        network = NetworkID(payloadHash(.genesis, network: .none, bytes))
        voters = VoterSet(
            keys: Dictionary(
                members.compactMap { member in member.voteKey.map { (member.account, $0) } },
                uniquingKeysWith: { first, _ in first }),
            majority: wire.agreement.chain.majorityQuorum)
    }
}

/// The bytes of a genesis document; the nonce is 32 random bytes, so that two networks never share
/// an id.
package func genesisDocument(
    agreement: WireAgreement, members: [Member], timeMilliseconds: UInt64, nonce: [UInt8]
) -> [UInt8] {
    var wire = WireGenesis()
    wire.version = 1
    wire.timeMs = timeMilliseconds
    wire.nonce = data(nonce)
    wire.agreement = agreement
    wire.members = members.sorted { $0.account < $1.account }.map { data($0.bytes) }
    return wire.encoded()
}
