package import Contracts
package import Cryptography
package import Ledger
package import Wire

/// A block after its re-execution: what the ledger must hold of it.
package struct AuditedBlock: Sendable {
    package let place: String
    package let height: UInt64
    /// The position of its first transaction in the log.
    package let firstIndex: UInt64
    /// Nil when the block could not be executed.
    package let effects: [WireEffect]?
    package let envelopeIDs: [Digest]
    /// Ids of the envelopes of others than the block's proposer.
    package let acceptedIDs: [Digest]
    /// Where it stands among the terms.
    package let terms: TermPlace
    package let vote: OwnVote

    package var slot: Slot { Slot(term: terms.rules.term, height: Height(height)) }
}

/// Walks a recorded chain from genesis and re-executes every transaction.
///
/// It believes genesis alone. What a block states is compared with what re-execution gives; a
/// difference is a finding, and the walk goes on with its own result. Only a block that cannot be
/// executed at all ends the re-execution; the links between the blocks are checked to the end.
package struct ChainAudit: Sendable {
    package let genesis: Genesis
    package private(set) var findings = Findings()
    package private(set) var state = ReplayedState()
    /// The tree over the state, as of the last checkpoint.
    package private(set) var tree = StateTree()
    /// Whether every block so far was executed.
    package private(set) var isExecuting = true
    package private(set) var height: UInt64 = 0
    package private(set) var transactions: UInt64 = 0

    private var slot = Slot.genesis
    /// Of the newest block; the network's id for genesis.
    package private(set) var hash: Digest
    /// The terms up to the newest block.
    package private(set) var terms: TermHistory
    /// Nil after a block whose header cannot be read.
    private var time: UInt64?
    private var log = MerkleFrontier()
    /// The newest voter set and its hash, so that it is hashed once a term.
    private var voters: (set: VoterSet, hash: Digest)

    package init(genesis: Genesis) {
        self.genesis = genesis
        hash = genesis.network.digest
        time = genesis.timeMilliseconds
        terms = TermHistory(genesis: genesis)
        voters = (genesis.voters, genesis.voters.hash(network: genesis.network))
        do throws(GenesisFault) {
            state.apply(try genesisState(genesis))
        } catch {
            isExecuting = false
            findings.add("genesis", "\(error)")
        }
    }

    /// The newest block, and what is needed to build upon it; nil when the chain is broken.
    package var tip: Tip? {
        guard isExecuting, let time else { return nil }
        return Tip(slot: slot, hash: hash, timeMilliseconds: time, log: log, terms: terms)
    }

    /// Takes the next block.
    package mutating func advance(_ block: PreparedBlock) -> AuditedBlock {
        findings.add(block.findings)
        if block.height != height + 1 {
            let gap = block.height == height + 2 ? "\(height + 1)" : "\(height + 1) and on"
            findings.add(block.place, "block \(gap) before it is missing")
            isExecuting = false
        }
        if let header = block.header { checkLinks(of: header, block) }
        let first = log.size
        checkIndexes(of: block)
        for leaf in block.leaves { log.append(leaf) }
        let execution = execute(block)
        if let execution { checkRoots(of: block, execution) }
        height = block.height
        terms = block.terms.after
        slot = block.header?.slot ?? Slot(term: terms.newest.term, height: Height(height))
        hash = block.hash
        time = block.header?.timeMilliseconds
        transactions = log.size
        return AuditedBlock(
            place: block.place, height: height, firstIndex: first, effects: execution?.effects,
            envelopeIDs: block.envelopeIDs, acceptedIDs: block.acceptedIDs, terms: block.terms,
            vote: block.vote)
    }

    /// What a voter checks before it executes a block.
    private mutating func checkLinks(of header: BlockHeader, _ block: PreparedBlock) {
        let place = block.place
        func require(_ holds: Bool, _ finding: @autoclosure () -> String) {
            if !holds { findings.add(place, finding()) }
        }
        require(
            header.slot.height.value == block.height,
            "the header says height \(header.slot.height)")
        let rules = block.terms.rules
        require(
            header.slot.term == rules.term, "no opening of term \(header.slot.term) is known")
        require(header.previous == hash, "the header names another parent than the block below")
        require(
            header.proposer == rules.coordinator,
            "\(header.proposer) is not the coordinator of the term")
        if rules.voters != voters.set {
            voters = (rules.voters, rules.voters.hash(network: genesis.network))
        }
        require(header.voters == voters.hash, "the header names another voter set")
        // The genesis document opens term 1.
        let first = block.terms.isFirst ? genesis.network.digest : nil
        require(
            header.opening == block.terms.opening?.hash ?? first,
            "the header names an opening where none belongs, or the wrong one")
        if let opening = block.terms.opening {
            do throws(TermFault) {
                try opening.verify(
                    above: slot, inForce: block.terms.before.inForce, network: genesis.network)
            } catch { findings.add(place, "the opening of term \(rules.term): \(error)") }
        }
        if let certificate = block.certificate {
            require(
                certificate.slot == slot && certificate.block == hash,
                "the certificate that it carries is not that of the block below")
        }
        if let time {
            let interval = UInt64(rules.agreement.chain.blockIntervalMs)
            let (earliest, overflow) = time.addingReportingOverflow(interval)
            require(
                !overflow && header.timeMilliseconds >= earliest,
                "its time is less than a block interval after its parent's")
        }
    }

    private mutating func checkIndexes(of block: PreparedBlock) {
        guard isExecuting, let columns = block.columns else { return }
        var index = log.size
        if UInt64(exactly: columns.firstIndex) != index {
            findings.add(
                block.place, "column firstIndex: it says \(columns.firstIndex) instead of \(index)")
        }
        for (number, envelope) in (block.envelopes ?? []).enumerated() {
            if let stated = block.firstIndexes[number], UInt64(exactly: stated) != index {
                findings.add(
                    block.places[number],
                    "column firstIndex: it says \(stated) instead of \(index)")
            }
            index += UInt64(envelope.transactions.count)
        }
    }

    /// Executes a block above the state and keeps its changes.
    ///
    /// A signature that is not good is a finding and no more, so that the walk can go on.
    private mutating func execute(_ block: PreparedBlock) -> Execution? {
        guard isExecuting else { return nil }
        guard let envelopes = block.envelopes else {
            isExecuting = false
            findings.add(block.place, "it cannot be executed; later blocks are not executed either")
            return nil
        }
        let context = BlockContext(
            network: genesis.network, terms: block.terms.after, height: Height(block.height),
            previous: block.header?.previous ?? .zero, opening: block.terms.opening)
        var (number, bad) = (0, [(String, String)]())
        do throws(ExecutionFault) {
            let execution = try Contracts.execute(envelopes, in: context, on: state) {
                envelope, key in
                defer { number += 1 }
                if block.verified[number] != key,
                    !envelope.isSigned(by: key, network: genesis.network)
                {
                    bad.append(
                        (
                            block.places[number],
                            "the signature of \(envelope.signer) over envelope \(envelope.id) is "
                                + "not good"
                        ))
                }
                return true
            }
            for (place, finding) in bad { findings.add(place, finding) }
            state.apply(execution.changes)
            return execution
        } catch {
            for (place, finding) in bad { findings.add(place, finding) }
            isExecuting = false
            findings.add(block.place, "\(error); later blocks are not executed")
            return nil
        }
    }

    private mutating func checkRoots(of block: PreparedBlock, _ execution: Execution) {
        var root = Digest.zero
        if execution.isCheckpoint {
            do throws(StateFault) {
                try state.rehash(&tree)
            } catch { findings.add(block.place, "\(error)") }
            root = tree.root
        }
        guard let header = block.header else { return }
        let place = block.place
        if header.logSize != log.size || header.logRoot != log.root {
            findings.add(place, "re-execution gives another log root")
        }
        if header.effectsRoot != execution.effectsRoot {
            findings.add(place, "re-execution gives another effects root")
        }
        if header.stateRoot != root { findings.add(place, "re-execution gives another state root") }
    }
}
