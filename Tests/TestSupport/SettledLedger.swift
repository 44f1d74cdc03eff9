import Contracts
import Cryptography
package import Ledger
package import Storage
package import Wire

/// A ledger file that grows block by block without any node: contracts, signatures and store are the real ones, the
/// certificates hold the coordinator's vote alone.
///
/// Keys and times follow from the contents alone.
package struct SettledLedger {
    package let store: LedgerStore
    package private(set) var consortium: Consortium
    private var tip: Tip
    /// Of the newest block.
    private var certificate: Certificate?

    /// Creates the file.
    ///
    /// - Throws: What the store throws when it cannot be created at `path`.
    package init(at path: String, of consortium: Consortium) throws {
        self.consortium = consortium
        store = try LedgerStore.create(at: path, genesis: consortium.genesis)
        tip = Tip(genesis: consortium.genesis)
    }

    /// A decision of the voters puts another agreement in force from the next block on.
    ///
    /// - Throws: what makes the decision impossible.
    package mutating func decide(_ change: (inout WireAgreement) -> Void) throws {
        try consortium.decide(change)
    }

    /// Executes one envelope a signer, and keeps the block as settled.
    ///
    /// - Throws: ``Consortium/Refused`` unless all was applied.
    package mutating func append(_ parts: [(by: AccountID, [WireTransaction])] = []) throws {
        var log = tip.log
        let envelopes = try parts.map { try consortium.envelope($0.1, by: $0.by) }
        for envelope in envelopes {
            for index in envelope.transactions.indices { log.append(envelope.logLeaf(index)) }
        }
        let execution = try consortium.execute(envelopes)
        for (index, effect) in execution.effects.enumerated() where effect.outcome != 0 {
            throw Consortium.Refused(index: index, rejection: Rejection(rawValue: effect.outcome))
        }
        let block = try signed(envelopes, execution, log)
        tip = Tip(
            slot: block.slot, hash: block.hash, timeMilliseconds: block.header.timeMilliseconds,
            log: log, terms: consortium.terms)
        let executed = ExecutedBlock(block: block, execution: execution, tip: tip)
        let vote = try Vote(
            voter: Consortium.coordinator, slot: block.slot, block: block.hash,
            network: consortium.network, key: signingKey(of: Consortium.coordinator))
        certificate = Certificate(
            slot: block.slot, block: block.hash,
            entries: [Certificate.Entry(voter: vote.voter, signature: vote.signature)])
        try store.commit(
            Commitment(
                block: executed, votes: [vote], journal: Journal(term: block.slot.term),
                settled: [executed], dropped: [], rehashed: [:], tree: StateTree()))
    }

    private func signed(_ envelopes: [Envelope], _ execution: Execution, _ log: MerkleFrontier)
        throws
        -> Block
    {
        let rules = consortium.terms.newest
        let opening = rules.term == tip.slot.term ? nil : rules.opening
        let header = BlockHeader(
            slot: Slot(term: rules.term, height: consortium.height), previous: tip.hash,
            timeMilliseconds: tip.timeMilliseconds + 2_000, proposer: Consortium.coordinator,
            transactionCount: UInt32(execution.effects.count), logSize: log.size,
            logRoot: log.root, effectsRoot: execution.effectsRoot, stateRoot: .zero,
            voters: consortium.genesis.voters.hash(network: consortium.network),
            parentCertificate: certificate?.hash(network: consortium.network) ?? .zero,
            opening: tip.slot == .genesis ? consortium.network.digest : opening?.hash)
        return try Block(
            header: header, envelopes: envelopes, parentCertificate: certificate, opening: opening,
            network: consortium.network, key: signingKey(of: Consortium.coordinator))
    }
}
