import Contracts
package import Cryptography
package import Federation
import Foundation
package import Ledger
import Storage
package import Wire

/// What a node tells others of its chain.
extension NodeCore {
    package func status() -> WireStatusResponse {
        var status = WireStatusResponse()
        status.network = data(genesis.network.digest.bytes)
        status.account = account.text
        status.term = replica.rules.term.value
        status.headHeight = replica.head.height.value
        status.settledHeight = replica.settled.height.value
        status.headHash = data(replica.head.hash.bytes)
        status.certifiedHeight = certified.height.value
        status.acceptedEnvelopes = UInt64(coordinator?.waiting ?? 0)
        return status
    }

    /// The block after another one, whatever its stage.
    package func block(after height: Height, hash: Digest) throws -> WireBlockResponse {
        var response = WireBlockResponse()
        let next = height.next
        let known: Digest?
        if height <= replica.settled.height {
            known = try store.hash(at: height)
        } else {
            known = replica.unsettled.first { $0.tip.height == height }?.tip.hash
        }
        guard known == hash else {
            // A branch that a term change left behind may be the higher one.
            response.otherBranch = known != nil || height > replica.head.height
            return response
        }
        if next <= replica.settled.height {
            response.block = data(try store.block(at: next)?.bytes ?? [])
            // Whoever was shown another block there believes this one by its certificate alone.
            response.certificate = data(
                next < replica.settled.height
                    ? try store.parentCertificate(at: next.next)
                    : replica.certificateOfSettled?.bytes ?? [])
        } else if let block = replica.unsettled.first(where: { $0.tip.height == next }) {
            response.block = data(block.block.bytes)
            response.certificate = data(certificate(of: block.tip.hash)?.bytes ?? [])
        }
        return response
    }

    /// A block above the settled one, of whatever branch.
    package func block(_ hash: Digest) -> WireBlockResponse {
        var response = WireBlockResponse()
        response.block = data(replica.block(hash)?.bytes ?? [])
        response.certificate = data(certificate(of: hash)?.bytes ?? [])
        return response
    }

    private func certificate(of hash: Digest) -> Certificate? {
        if let highest = replica.journal.highest, highest.block == hash { return highest }
        return replica.unsettled.first { $0.block.header.previous == hash }?
            .block.parentCertificate
    }

    package func duties() throws -> [Duty] {
        try Federation.duties(
            of: account, in: SQLiteState(store), at: replica.settled.height,
            rules: replica.settled.terms.newest)
    }

    /// CURVE keys and accounts of all members, when they changed since the last call.
    ///
    /// Where a decision changes a member's keys its listed document stands first: which of the two it
    /// goes by depends on what its own chain says, and either may be let in and asked.
    ///
    /// Whoever a decision brings in that most voters are for is let in before its term opens, for
    /// it must catch up, and a new coordinator collect statuses; and stays while the term's first
    /// block is not settled. A voter that has left stays a while, to hear so.
    package func changedMembers() throws -> MemberDirectory? {
        let isOver = leaversEnd.map { replica.settled.height > $0 } ?? false
        guard membersChanged || isOver else { return nil }
        (membersChanged, leaversEnd) = (false, nil)
        members = try knownKeys(of: store, terms)
        var directory = MemberDirectory()
        for entry in try SQLiteState(store).entries(in: .members, prefix: [], limit: .max) {
            let member = try WireMemberState(strictly: entry.value)
            guard member.endedHeight > 0 else {
                directory.add(member.document)
                continue
            }
            let ended = Height(member.endedHeight)
            let end = ended.advanced(by: Leavers.stay)
            guard AccountID(member.document.account)?.role?.votes == true,
                replica.settled.height <= end
            else { continue }
            directory.add(member.document, endedAt: ended)
            leaversEnd = min(leaversEnd ?? end, end)
        }
        let opened = replica.unsettled.compactMap(\.block.opening?.decision)
        for decision in opened + supportedDecisions() {
            for member in decision.members { directory.add(member.document) }
        }
        return directory
    }

    /// Where an envelope stands, and what its transactions came to.
    package func status(of envelope: Digest) throws -> WireEnvelopeStatus {
        var status = WireEnvelopeStatus()
        if let (height, outcomes) = try store.outcomes(of: envelope) {
            status.stage = Stage.settled.rawValue
            status.height = height.value
            status.outcomes = outcomes
        } else if let (block, outcomes) = replica.outcomes(of: envelope) {
            status.stage = (block.slot <= certified ? Stage.certified : .ordered).rawValue
            status.height = block.height.value
            status.outcomes = outcomes
        } else if coordinator?.holds(envelope) == true {
            status.stage = Stage.accepted.rawValue
        } else {
            status.stage = Stage.unknown.rawValue
        }
        return status
    }

    package func nextSequence(of signer: AccountID) -> WireNextSequence {
        var next = WireNextSequence()
        next.settledHeight = replica.settled.height.value
        next.sequence = coordinator?.nextSequence(of: signer, above: replica) ?? 0
        return next
    }
}

extension Replica {
    func holds(_ envelope: Digest) -> Bool { outcomes(of: envelope) != nil }

    /// The unsettled block that holds an envelope, and its transactions' outcomes.
    func outcomes(of envelope: Digest) -> (block: Block, outcomes: [UInt32])? {
        for executed in unsettled
        where executed.block.envelopes.contains(where: { $0.id == envelope }) {
            let own = executed.execution.effects.filter { [UInt8]($0.envelope) == envelope.bytes }
            return (executed.block, own.map(\.outcome))
        }
        return nil
    }
}
