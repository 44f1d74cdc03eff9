import Cryptography
import Ledger
import Wire

/// Which blocks are certified and which are settled, worked out apart from the replicas.
///
/// It reads the wire forms, keeps voter sets as plain tables, and follows `settlement.md` to the
/// letter: needs, in force, certified, settled.
struct RuleBook {
    struct VoterTable: Hashable {
        let keys: [String: [UInt8]]
        let quorum: Int
    }

    struct Entry {
        let slot: Slot
        let parent: Digest
        let isFirst: Bool
        /// Sets of whom a quorum must vote for it.
        let needs: [VoterTable]
        let inForce: [VoterTable]
        let ofTerm: VoterTable
    }

    private let network: NetworkID
    private(set) var entries: [Digest: Entry] = [:]
    private var certified: Set<Digest> = []
    /// By height; one block each, or the chain has forked.
    private var settled: [UInt64: Set<Digest>] = [:]
    private var checkedCertificates: Set<Digest> = []
    /// Of headers that somebody signed, whether or not a chain holds them.
    private(set) var headers: [Digest: (slot: Slot, isFirst: Bool, parent: Digest)] = [:]

    init(genesis: Genesis) {
        network = genesis.network
        var keys: [String: [UInt8]] = [:]
        for member in genesis.members {
            if let key = member.voteKey { keys[member.account.text] = key.bytes }
        }
        let majority = genesis.agreement.chain.majorityQuorum
        let count = keys.count
        let all = count <= 3 ? (majority ? count / 2 + 1 : count) : 2 * count / 3 + 1
        let founders = VoterTable(keys: keys, quorum: all)
        entries[network.digest] = Entry(
            slot: .genesis, parent: .zero, isFirst: true, needs: [founders], inForce: [founders],
            ofTerm: founders)
        certified.insert(network.digest)
        settled[0] = [network.digest]
    }

    func isSettled(_ hash: Digest, at height: Height) -> Bool {
        settled[height.value]?.contains(hash) == true
    }

    /// The slot of the certificate that a block carries.
    func carried(by hash: Digest) -> Slot? {
        guard let parent = headers[hash]?.parent ?? entries[hash]?.parent else { return nil }
        return entries[parent]?.slot ?? headers[parent]?.slot
    }

    func isFirst(_ hash: Digest) -> Bool {
        headers[hash]?.isFirst ?? entries[hash]?.isFirst ?? false
    }

    mutating func noteHeader(_ block: Block) {
        headers[block.hash] = (block.slot, block.isFirst, block.header.previous)
    }

    /// Takes a block of an honest disk with the certificate that it carries.
    ///
    /// - Returns: what forked, when something did.
    mutating func note(_ block: Block) -> String? {
        guard entries[block.hash] == nil, let parent = entries[block.header.previous] else {
            return nil
        }
        noteHeader(block)
        var ofTerm = parent.ofTerm
        if let opening = block.opening { ofTerm = table(opening.decision.voters.wire) }
        let needs = parent.inForce.contains(ofTerm) ? parent.inForce : parent.inForce + [ofTerm]
        entries[block.hash] = Entry(
            slot: block.slot, parent: block.header.previous, isFirst: block.isFirst, needs: needs,
            inForce: block.isFirst ? needs : [ofTerm], ofTerm: ofTerm)
        return block.parentCertificate.flatMap { note($0) }
    }

    private func table(_ wire: WireVoterSet) -> VoterTable {
        var keys: [String: [UInt8]] = [:]
        for voter in wire.voters { keys[voter.account] = [UInt8](voter.voteKey) }
        return VoterTable(keys: keys, quorum: Int(wire.quorum))
    }

    /// Takes a certificate when it holds.
    mutating func note(_ certificate: Certificate) -> String? {
        guard !certified.contains(certificate.block),
            checkedCertificates.insert(Digest.sha256(certificate.bytes)).inserted
                || entries[certificate.block] != nil,
            let entry = entries[certificate.block], entry.slot == certificate.slot,
            holds(certificate, for: entry)
        else { return nil }
        certified.insert(certificate.block)
        guard let parent = entries[entry.parent], parent.slot.term == entry.slot.term else {
            return nil
        }
        return settle(entry.parent)
    }

    private func holds(_ certificate: Certificate, for entry: Entry) -> Bool {
        var statement = WireVoteStatement()
        statement.term = certificate.slot.term.value
        statement.height = certificate.slot.height.value
        statement.block = data(certificate.block.bytes)
        let message = payload(.vote, network: network, statement.encoded())
        return entry.needs.allSatisfy { set in
            let signers = certificate.entries.filter { vote in
                guard let bytes = set.keys[vote.voter.text], let key = VerifyingKey(bytes) else {
                    return false
                }
                return key.verifies(vote.signature, of: message)
            }
            return Set(signers.map(\.voter)).count >= set.quorum
        }
    }

    private mutating func settle(_ hash: Digest) -> String? {
        var next = hash
        var fork: String?
        while let entry = entries[next], !isSettled(next, at: entry.slot.height) {
            let height = entry.slot.height.value
            if let other = settled[height]?.first {
                fork = "\(entry.slot) \(next.short) and \(other.short) are both settled"
            }
            settled[height, default: []].insert(next)
            next = entry.parent
        }
        return fork
    }
}
