import Contracts
import Cryptography
import Ledger
import Replay
import Storage
import Wire

/// Checks what a ledger file holds above and beside the settled blocks.
///
/// The blocks that show the newest one to be settled, proposals, accepted envelopes, and what a
/// restarted voter relies upon: votes, statuses, the journal and the tip.
struct JournalAudit {
    let genesis: Genesis
    let rows: LedgerRows
    let home: HomeVoter?
    private(set) var ledger: WalkedLedger
    private(set) var findings = Findings()
    private var pending: PendingTree?
    /// Blocks above the settled ones that this node voted for.
    private var voted: Set<Digest> = []
    private var decisions: [Decision] = []
    /// Every voter set that the settled blocks and those above them name.
    private var sets: Set<VoterSet> = []

    init(genesis: Genesis, rows: LedgerRows, home: HomeVoter?, ledger: WalkedLedger) {
        self.genesis = genesis
        self.rows = rows
        self.home = home
        self.ledger = ledger
    }

    private var network: NetworkID { genesis.network }

    /// The home's own account, when it can be told.
    var account: AccountID? { home?.account ?? ledger.votes.voters.min() }

    /// Compares everything; the ledger's audit goes on to the newest block.
    mutating func run() {
        attempt(.tip) { try $0.checkTip() }
        attempt(.pending) { try $0.checkPending() }
        collectSets()
        ledger.votes.finish(
            blocks: pending?.blocks ?? [:], sets: sets,
            statuses: Set(ledger.statuses.map(\.status.term)), &findings)
        checkVoters()
        checkGovernance()
        attempt(.journal) { try $0.checkJournal() }
        attempt(.proposals) { try $0.checkProposals() }
        attempt(.accepted) { try $0.checkAccepted() }
    }

    private mutating func attempt(
        _ table: LedgerTable, _ check: (inout Self) throws -> Void
    ) {
        do { try check(&self) } catch let fault as TableFault {
            findings.add(fault.place, fault.reason)
        } catch { findings.add("table \(table.rawValue)", "\(error)") }
    }

    private mutating func checkTip() throws {
        guard let tip = ledger.audit.tip else { return }
        var check = RowCheck(try rows.rows(of: .tip))
        check.expect(
            [
                .integer(1), StoredValue(tip.slot.term.value), StoredValue(tip.height.value),
                StoredValue(tip.hash.bytes), StoredValue(tip.timeMilliseconds),
                StoredValue(tip.log.size), StoredValue(tip.log.peaks.flatMap(\.bytes)),
            ], "", &findings)
        check.finish(&findings)
    }

    // MARK: blocks above the settled ones

    /// Executes the blocks up to the head and checks those beside them.
    private mutating func checkPending() throws {
        let settled = ledger.audit.height
        let tree = try PendingTree(
            rows, network: network, settled: (ledger.settledHash, ledger.settledHeight),
            walk: ledger.terms, &findings)
        pending = tree
        for hash in tree.path {
            guard let block = tree.blocks[hash], let terms = block.terms else { continue }
            execute(block, at: terms)
        }
        let first = tree.path.first.flatMap { tree.blocks[$0] }
        if settled > 0, tree.path.count < 2 || first?.isFirst == true {
            findings.add(
                "table pending, above height \(settled)",
                "a block is missing or broken that shows block \(settled) to be settled")
        }
        for block in tree.branches { checkForm(of: block) }
    }

    private mutating func execute(_ block: PendingBlock, at terms: TermPlace) {
        var stored = block.stored
        stored.vote = ledger.votes.take(at: block.slot, &findings)
        let audited = advance(stored, at: terms)
        ledger.votes.note(audited, &findings)
        if case .given = audited.vote { voted.insert(block.block.hash) }
    }

    private mutating func advance(_ stored: StoredBlock, at terms: TermPlace) -> AuditedBlock {
        let keys = ledger.keys
        let known = ledger.audit.findings.count
        let audited = ledger.audit.advance(
            prepared(stored, at: terms, network: network) { keys[$0] })
        findings.add(ledger.audit.findings.since(known))
        return audited
    }

    /// Checks a block that is not executed, as far as its term is known.
    private mutating func checkForm(of block: PendingBlock) {
        if let terms = block.terms {
            let keys = ledger.keys
            let checked = prepared(block.stored, at: terms, network: network) { keys[$0] }
            return findings.add(checked.findings)
        }
        guard let rules = ledger.audit.terms.rules(of: block.slot.term) else { return }
        do throws(BlockFault) {
            try block.block.verifySignature(by: rules.coordinatorKey, network: network)
        } catch { findings.add(block.place, "\(error)") }
    }

    private mutating func collectSets() {
        sets = Set(ledger.audit.terms.terms.map(\.voters))
        for block in pending?.blocks.values.map(\.self) ?? [] {
            if let terms = block.terms { sets.formUnion(terms.after.inForce) }
        }
    }

    // MARK: what a voter signed

    private mutating func checkVoters() {
        let known = account
        for voter in ledger.votes.voters.sorted() where voter != known {
            findings.add(
                "table votes", "it holds votes of \(voter), this is the home of \(known ?? voter)")
        }
    }

    private mutating func checkGovernance() {
        var audit = GovernanceAudit(
            genesis: genesis, rows: rows, home: home, terms: ledger.audit.terms, sets: sets)
        audit.check(ledger.statuses, account: account)
        attempt(.decisions) { _ in try audit.checkDecisions() }
        attempt(.ballots) { _ in try audit.checkBallots() }
        decisions = audit.decisions
        findings.add(audit.findings)
    }

    private mutating func checkJournal() throws {
        let term = ledger.statuses.map(\.status.term).reduce(ledger.votes.newestTerm, max)
        let place = "table journal, row 1"
        var check = RowCheck(try rows.rows(of: .journal))
        guard let row = check.take(1, &findings) else {
            return findings.add(place, "the row is missing")
        }
        check.finish(&findings)
        if row[1] != StoredValue(term.value) {
            findings.add(place, "column term: it says \(row[1].shown) instead of \(term)")
        }
        let carried = pending?.blocks.values.compactMap(\.block.parentCertificate?.slot).max()
        guard let bytes = row[2].bytes else {
            return findings.add(place, "column highest: it is no certificate")
        }
        guard !bytes.isEmpty else {
            if let carried {
                findings.add(
                    place, "column highest: it is empty, though a block carries one of \(carried)")
            }
            return
        }
        do throws(VoteFault) {
            let highest = try Certificate(strictly: bytes)
            if let carried, highest.slot < carried {
                return findings.add(
                    place,
                    "column highest: it is of \(highest.slot), a block carries one of "
                        + "\(carried)")
            }
            guard let block = pending?.blocks[highest.block], let terms = block.terms,
                block.slot == highest.slot
            else {
                return findings.add(
                    place, "column highest: its block does not stand above the settled ones")
            }
            try highest.verify(by: terms.after.certifying, network: network)
        } catch { findings.add(place, "column highest: \(error)") }
    }

    // MARK: what a coordinator keeps

    /// A coordinator keeps every block it proposed until its height is settled.
    private mutating func checkProposals() throws {
        let tree = pending
        let own = (tree?.blocks.values.map(\.self) ?? []).filter {
            $0.block.header.proposer == account
        }
        let standing = Dictionary(
            own.map { ($0.slot, $0) }, uniquingKeysWith: { first, _ in first })
        var missing = Set(own.filter { voted.contains($0.block.hash) }.map(\.slot))
        var unfinished: Set<Term> = []
        let settled = ledger.terms.terms
        let stored = try rows.rows(of: .proposals)
        while let row = try stored.next() {
            let place = "table proposals, term \(row[0].shown), height \(row[1].shown)"
            guard account?.role == .coordinator else {
                findings.add(place, "only a coordinator proposes")
                continue
            }
            let proposal = PendingBlock(
                row[3].bytes ?? [], place: place, network: network, &findings)
            guard let proposal else { continue }
            checkColumns(of: proposal, row)
            missing.remove(proposal.slot)
            if let block = standing[proposal.slot] {
                if block.block.bytes != proposal.block.bytes {
                    findings.add(place, "another block was voted for")
                }
            } else if unfinished.insert(proposal.slot.term).inserted {
                checkUnfinished(proposal, settled)
            } else {
                findings.add(place, "two proposals of one term wait for a vote")
            }
        }
        for slot in missing.sorted() {
            findings.add(
                "table proposals, term \(slot.term), height \(slot.height)", "the row is missing")
        }
    }

    private mutating func checkColumns(of proposal: PendingBlock, _ row: [StoredValue]) {
        if row[0] != StoredValue(proposal.slot.term.value)
            || row[1] != StoredValue(proposal.slot.height.value)
        {
            findings.add(
                proposal.place, "columns term and height: the block's are \(proposal.slot)")
        }
        if row[2] != .integer(proposal.isFirst ? 1 : 0) {
            findings.add(proposal.place, "column isFirst: it does not fit the block")
        }
        if proposal.block.header.proposer != account {
            findings.add(proposal.place, "it is a block of \(proposal.block.header.proposer)")
        }
    }

    /// A proposal that a crash left without a vote, or that a later term overtook.
    private mutating func checkUnfinished(_ proposal: PendingBlock, _ settled: TermHistory) {
        var proposal = proposal
        guard proposal.block.height > ledger.settledHeight else {
            return findings.add(proposal.place, "it is no proposal above the settled blocks")
        }
        let parent = proposal.block.header.previous
        let known =
            parent == ledger.settledHash ? settled : pending?.blocks[parent]?.terms?.after
        if let known {
            var walk = TermWalk(after: known, network: network)
            let terms = walk.take(proposal.stored)
            if parent == pending?.path.last ?? ledger.settledHash, ledger.audit.hash == parent {
                _ = advance(proposal.stored, at: terms)
                return
            }
            proposal.terms = terms
        }
        checkForm(of: proposal)
    }

    private mutating func checkAccepted() throws {
        var audit = AcceptedAudit(network: network, ledger: ledger, decisions: decisions)
        defer { findings.add(audit.findings) }
        try audit.run(rows)
    }
}
