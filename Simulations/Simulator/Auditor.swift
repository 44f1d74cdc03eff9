import Contracts
import Cryptography
import Federation
import Ledger
import Replay
import Wire

/// Sees every disk and every signature, believes nobody, and asserts the invariants after each step.
///
/// It keeps its own model: which blocks are certified and settled by the rules, a chain that it
/// re-executes from genesis, books of its own, and what was promised to whom.
final class Auditor {
    unowned let world: World
    var rules: RuleBook
    var detector = Detector()
    var chain: ChainModel
    var promises = Promises()
    /// Whether two settled blocks stand at one height; allowed beyond the bound alone.
    private(set) var hasForked = false

    /// What was seen of a node the last time.
    private struct Seen {
        var disk = -1
        var settled = 0
        var highest = Slot.genesis
        var life: ObjectIdentifier?
    }

    private var seen: [AccountID: Seen] = [:]
    /// Votes that left honest voters, which must stay on their disks.
    private var sent: [AccountID: [Slot: Digest]] = [:]
    private(set) var checks = 0

    init(world: World) {
        self.world = world
        rules = RuleBook(genesis: world.genesis)
        chain = ChainModel(world: world)
    }

    var isBeyond: Bool { world.options.scenario == .beyond }

    // MARK: after each step

    func inspect(_ node: Node) throws {
        guard node.isHonest else { return }
        var last = seen[node.account] ?? Seen()
        let life = node.core.map { ObjectIdentifier($0) }
        guard last.disk != node.disk.version || last.life != life else { return }
        checks += 1
        let tables = node.disk.tables
        let isNewLife = last.life != life
        last.life = life
        if last.settled > tables.blocks.count {
            // Only a disk that was lost and restored has fewer blocks than before.
            try require(node.lostDisk, "append-only", "\(node.account) lost settled blocks")
            last.settled = 0
            last.highest = .genesis
        }
        try learn(from: tables)
        for place in last.settled..<tables.blocks.count {
            try settled(tables.blocks[place], at: UInt64(place) + 1, by: node)
        }
        let moved = last.settled != tables.blocks.count
        last.settled = tables.blocks.count
        let highest = tables.highest?.slot ?? .genesis
        if !node.lostDisk {
            try require(
                highest >= last.highest, "highest-certificate",
                "\(node.account) forgot a certificate at \(last.highest)")
        }
        last.highest = highest
        if moved || isNewLife { try compareState(of: node) }
        try checkVotes(of: node)
        last.disk = node.disk.version
        seen[node.account] = last
    }

    func inspectEverything() throws {
        for node in world.nodes where node.isHonest && !node.isLost {
            seen[node.account]?.disk = -1
            try inspect(node)
            try compareState(of: node)
        }
        if !hasForked { try chain.auditWhole() }
        guard isBeyond, hasForked else { return }
        let guilty = detector.convicted
        try require(
            guilty.count >= world.options.forking, "fork-unnamed",
            "a fork names \(guilty.map(\.text).sorted()) alone, not \(world.options.forking)")
    }

    func require(
        _ holds: Bool, _ invariant: String, _ detail: @autoclosure () -> String
    ) throws {
        guard !holds else { return }
        throw Violation(invariant, detail())
    }

    // MARK: chains

    private func learn(from tables: Tables) throws {
        for block in tables.pending { try noteFork(rules.note(block)) }
        if let highest = tables.highest { try noteFork(rules.note(highest)) }
    }

    private func noteFork(_ fork: String?) throws {
        guard let fork else { return }
        try require(isBeyond, "fork", fork)
        hasForked = true
    }

    private func settled(_ block: Block, at height: UInt64, by node: Node) throws {
        try noteFork(rules.note(block))
        try require(
            block.height.value == height, "gap",
            "\(node.account) keeps block \(block.height) as the \(height)th")
        try require(
            rules.isSettled(block.hash, at: block.height), "settled-rule",
            "\(node.account) settled \(block.slot), which no certified child of its term settles")
        if let known = chain.hash(at: height) {
            guard known != block.hash else { return }
            try noteFork("\(node.account) settled another block at height \(height)")
        } else if !hasForked {
            try chain.append(block)
            try promises.check(at: height, in: chain, world: world)
        }
    }

    /// The state on a disk is what re-execution from genesis gives.
    private func compareState(of node: Node) throws {
        let tables = node.disk.tables
        let height = UInt64(tables.blocks.count)
        guard chain.hash(at: height) == tables.tip.hash || height == 0 else {
            return try require(
                hasForked, "tip", "\(node.account)'s tip is not its newest settled block")
        }
        guard let expected = chain.state(at: height) else { return }
        let place = tables.state.difference(from: expected)
        try require(
            place == nil, "state",
            "\(node.account)'s state at height \(height) is not that of a replay: \(place ?? "")")
        if let log = chain.log(at: height) {
            try require(
                tables.tip.log == log, "log-root",
                "\(node.account) has another log root at size \(log.size)")
        }
    }

    // MARK: signatures

    /// A new vote is on the disk, and may leave from now on.
    func cast(_ vote: Vote, by node: Node) throws {
        guard node.isHonest else { return }
        let network = world.genesis.network
        for key in node.core?.keys.voteKeys ?? []
        where vote.isSigned(by: key.verifyingKey, network: network) {
            guard let status = detector.newestStatus(of: key.verifyingKey) else { continue }
            try require(
                status <= vote.slot.term, "vote-below-status",
                "\(node.account) votes at \(vote.slot) after a status for term \(status)")
        }
    }

    func voted(_ vote: Vote, by node: Node) throws {
        guard node.isHonest, let core = node.core else { return overheard(vote) }
        let network = world.genesis.network
        let key = core.keys.voteKeys.first {
            vote.isSigned(by: $0.verifyingKey, network: network)
        }
        guard let key = key?.verifyingKey else {
            throw Violation("vote-key", "\(node.account) signed with a key that is not its own")
        }
        let row = node.disk.tables.votes[vote.slot]?.vote
        try require(
            row?.block == vote.block, "vote-durable",
            "a vote of \(node.account) at \(vote.slot) left before it was kept")
        sent[node.account, default: [:]][vote.slot] = vote.block
        detector.note(vote, key: key, rules: rules)
        try acquit()
    }

    private func checkVotes(of node: Node) throws {
        if node.lostDisk { sent[node.account] = nil }
        for (slot, block) in sent[node.account] ?? [:] {
            try require(
                node.disk.tables.votes[slot]?.vote.block == block, "vote-durable",
                "\(node.account) forgot its vote at \(slot)")
        }
    }

    func signed(_ status: Status, by node: Node) throws {
        let kept = node.disk.tables.statuses[status.term] ?? []
        let isKept = kept.contains {
            (try? WireStatusReport(strictly: $0)).map { [UInt8]($0.status) } == status.bytes
        }
        try require(isKept, "status-durable", "\(node.account) signed a status it did not keep")
        for key in node.core?.keys.voteKeys ?? []
        where status.isSigned(by: key.verifyingKey, network: world.genesis.network) {
            detector.note(status, key: key.verifyingKey, rules: rules)
        }
        try acquit()
    }

    func proposed(_ block: Block, by node: Node) throws {
        if node.isHonest {
            try require(
                node.disk.tables.proposals[block.slot]?.hash == block.hash, "proposal-durable",
                "\(node.account) shows a proposal at \(block.slot) that it did not keep")
        }
        rules.noteHeader(block)
        if let key = node.core?.keys.signing.verifyingKey {
            detector.note(block, key: key, account: node.account)
        }
        try acquit()
    }

    /// A statement of a liar, as it went over the wire.
    func overheard(_ vote: Vote) {
        for key in world.keys(of: vote.voter)
        where vote.isSigned(by: key, network: world.genesis.network) {
            detector.note(vote, key: key, rules: rules)
        }
    }

    func overheard(_ status: Status) {
        for key in world.keys(of: status.voter)
        where status.isSigned(by: key, network: world.genesis.network) {
            detector.note(status, key: key, rules: rules)
        }
    }

    func overheard(_ block: Block) {
        let message = payload(.block, network: world.genesis.network, block.headerBytes)
        let account = block.header.proposer
        for key in world.signingKeys(of: account)
        where key.verifies(block.signature, of: message) {
            rules.noteHeader(block)
            detector.note(block, key: key, account: account)
        }
    }

    /// Evidence never convicts who followed the rules.
    private func acquit() throws {
        let innocent = detector.convicted.first { world.node($0)?.isHonest == true }
        guard let innocent else { return }
        throw Violation(
            "evidence", "\(innocent) is convicted: \(detector.reason(for: innocent))")
    }

    /// A refusal that convicts the proposer must never hit an honest one.
    func refused(_ refusal: BlockRefusal, bytes: [UInt8], by node: Node) throws {
        guard node.isHonest, refusal.isOffence, let wire = try? WireBlock(strictly: bytes),
            let header = try? WireBlockHeader(strictly: [UInt8](wire.header)),
            let account = AccountID(header.proposer), world.node(account)?.isHonest == true,
            let signature = Signature(wire.signature)
        else { return }
        let network = world.genesis.network
        let message = payload(.block, network: network, [UInt8](wire.header))
        let isSigned = world.signingKeys(of: account).contains {
            $0.verifies(signature, of: message)
        }
        guard isSigned, let rule = brokenRule(in: bytes, at: node) else { return }
        throw Violation(
            "evidence", "\(node.account) can convict \(account), who is honest: \(rule)")
    }

    /// What the block's header alone convicts its proposer of, as evidence is checked.
    private func brokenRule(in bytes: [UInt8], at node: Node) -> BlockRefusal? {
        let network = world.genesis.network
        guard let core = node.core,
            let suspect = try? SuspectBlock(strictly: bytes, network: network),
            let parent = core.replica.tip(of: suspect.signed.header.previous),
            let path = core.replica.path(to: parent.hash)
        else { return nil }
        let layers = path.map(\.execution.changes)
        var tree = node.disk.stateTree()
        for layer in layers { tree.mark(layer) }
        return try? Federation.brokenRule(
            by: suspect, above: parent,
            state: LayeredState(base: node.disk.state, layers: layers), tree: tree,
            network: network)
    }

    func refusedOwn(_ block: Block, _ refusal: BlockRefusal, by node: Node) throws {
        guard node.isHonest else { return }
        throw Violation(
            "own-proposal", "\(node.account) refuses its own block at \(block.slot): \(refusal)")
    }
}
