import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// The people of the organisations: they propose and vote, and mend what is broken.
final class People {
    unowned let world: World
    private var random: SplitMix64
    private var opinions: [String: Bool] = [:]
    private var standbys = 0
    private var entered = 0
    /// The decision that mends; nobody looks at older ones once it is proposed.
    private var mending: Digest?
    private var attempts = 0
    private var proposedAt: Moment = 0
    private var progress: (slot: Slot, at: Moment) = (.genesis, 0)

    static let attemptLimit = 6

    init(world: World) {
        self.world = world
        random = SplitMix64(seed: world.options.seed, concern: "people")
    }

    func nextLook() -> Moment {
        world.isHealed ? 250 : random.number(in: UInt64(250)...1_200)
    }

    // MARK: proposing

    /// The honest voters that run, the furthest first.
    private var voters: [Core] {
        world.nodes.filter { $0.isHonest && $0.pausedUntil <= world.now }.compactMap(\.core)
            .filter { core in
                core.replica.decidingSets.contains { set in
                    core.keys.voteKeys.contains { set.keys[core.account] == $0.verifyingKey }
                }
            }
            .sorted { ($1.replica.head.slot, $0.account) < ($0.replica.head.slot, $1.account) }
    }

    private func anyVoter() -> Core? {
        world.isHealed ? voters.first : random.element(of: voters)
    }

    func perform(_ act: Act) throws {
        guard !world.isHealed else { return }
        world.trace { "people: \(act)" }
        switch act {
        case .loseCoordinator: world.nodes[0].lose()
        case .replaceCoordinator: try replaceCoordinator()
        case .renew: try renew()
        case .quarrel:
            guard let one = anyVoter() else { return }
            let number = fresh(for: one)
            for organiser in random.sample(2, of: voters) {
                try propose(by: organiser) { draft in
                    draft.coordinator = try self.standby()
                    draft.term = number
                }
            }
        case .addSite:
            entered += 1
            let account = AccountID(.site, "new-\(entered)")
            try world.addNode(account)
            let member = try world.cabinet.member(account)
            if let organiser = anyVoter() {
                try propose(by: organiser) { $0.entering = [member] }
            }
        case .rotate(let account):
            guard let node = world.node(account), node.isHonest, !node.isLost, node.home.next == nil
            else { return }
            node.home.next = node.home.generation + 1
            // Its worker reads the new keys when it starts.
            node.stop()
            try node.start()
            let member = try node.home.member(world.cabinet)
            if let organiser = anyVoter() {
                try propose(by: organiser) { $0.rekeyed = [member] }
            }
        case .restore(let account):
            // A rotation under way is ended first: no key is ever taken up again.
            guard let node = world.node(account), node.isHonest, !node.isLost,
                try node.hasRotated()
            else { return }
            try node.restore(from: random.chance(500) ? node.snapshot : nil)
            try node.start()
            let member = try node.home.member(world.cabinet)
            if let organiser = voters.first(where: { $0.account != account }) {
                try propose(by: organiser) { $0.rekeyed = [member] }
            }
        }
    }

    private func replaceCoordinator() throws {
        guard let organiser = anyVoter() else { return }
        let member = try standby()
        try propose(by: organiser) { $0.coordinator = member }
    }

    /// The same coordinator in a new term; a new one where the old one is gone.
    private func renew() throws {
        guard let organiser = anyVoter() else { return }
        let account = organiser.terms.newest.coordinator
        guard let node = world.node(account), !node.isLost, node.isHonest else {
            return try replaceCoordinator()
        }
        let member = try node.home.member(world.cabinet)
        try propose(by: organiser) { $0.coordinator = member }
    }

    /// An organisation that founded nothing and is ready to coordinate.
    private func standby() throws -> Member {
        standbys += 1
        let account = AccountID(.coordinator, "office-\(standbys + 1)")
        try world.addNode(account)
        return try world.cabinet.member(account)
    }

    /// A number that nobody has used, as far as an organiser knows, or everybody after healing.
    private func fresh(for organiser: Core) -> Term {
        let known =
            world.isHealed ? world.nodes.filter(\.isHonest).compactMap(\.core) : [organiser]
        let used = known.flatMap { core in
            [core.terms.newest.term, core.replica.journal.term]
                + core.desk.decisions(above: core.terms.newest.term).map(\.term)
        }
        return Term(used.map(\.value).reduce(0, max) + 1)
    }

    @discardableResult
    private func propose(
        by organiser: Core, _ change: (inout Draft) throws -> Void
    ) throws -> Decision? {
        var draft = Draft()
        try change(&draft)
        if draft.term == nil { draft.term = fresh(for: organiser) }
        do {
            let decision = try draft.decision(on: organiser)
            try organiser.take(decision: decision, isBallot: true)
            world.trace {
                "\(organiser.account) proposes term \(decision.term) under "
                    + "\(decision.coordinator), \(decision.hash.short)"
            }
            opinions["\(organiser.account) \(decision.term)"] = true
            return decision
        } catch is Crash {
            organiser.node.stop()
            return nil
        } catch {
            if isFatal(error) { throw error }
            world.trace { "\(organiser.account) cannot propose: \(error)" }
            return nil
        }
    }

    // MARK: voting

    /// One organisation's people look at the decisions under way and vote.
    func lookAround(at node: Node) throws {
        guard let core = node.core, node.pausedUntil <= world.now else { return }
        for decision in core.desk.decisions(above: core.terms.newest.term) {
            guard decision.term > core.replica.journal.term,
                !core.desk.ballots(for: decision.hash).contains(where: {
                    $0.voter == core.account
                }), isFor(decision, core)
            else { continue }
            do {
                try core.take(decision: decision, isBallot: true)
                world.trace { "\(core.account) votes for term \(decision.term)" }
            } catch { if isFatal(error) { throw error } }
        }
    }

    private func isFor(_ decision: Decision, _ core: Core) -> Bool {
        guard core.node.isHonest else { return true }
        if world.isHealed { return decision.hash == mending }
        // An organisation is for one decision of a number, or for none.
        let name = "\(core.account) \(decision.term)"
        guard opinions[name] == nil else { return false }
        let isFor = random.chance(850)
        opinions[name] = isFor
        return isFor
    }

    // MARK: mending

    /// Opens a fresh term when the coordinator lies, is lost, or nothing moves.
    func mend() throws {
        guard let furthest = voters.first else {
            throw Violation("liveness", "no honest voter runs after healing")
        }
        let slot = voters.map(\.replica.settled.slot).max() ?? .genesis
        if slot > progress.slot { progress = (slot, world.now) }
        let account = furthest.terms.newest.coordinator
        let coordinator = world.node(account)
        let isGood = coordinator?.isHonest == true && coordinator?.isLost == false
        let quiet = world.now - max(progress.at, world.options.healed)
        let waited = world.now - proposedAt
        if isGood, quiet < 9_000 { return }
        guard mending == nil || waited > 9_000 else { return }
        guard attempts < Self.attemptLimit else {
            throw Violation(
                "liveness", "nothing moves after \(attempts) decisions: \(obstacles())")
        }
        attempts += 1
        proposedAt = world.now
        if isGood {
            try renewToMend(furthest, account)
        } else {
            let member = try standby()
            mending = try propose(by: furthest) { $0.coordinator = member }?.hash ?? mending
        }
    }

    private func renewToMend(_ furthest: Core, _ account: AccountID) throws {
        guard let node = world.node(account) else { return }
        let member = try node.home.member(world.cabinet)
        mending = try propose(by: furthest) { $0.coordinator = member }?.hash ?? mending
    }

    /// What is still open, for a finding.
    func obstacles() -> String {
        var texts = world.nodes.filter { $0.isHonest && !$0.isLost }.map { node in
            guard let core = node.core else { return "\(node.account) is down" }
            let waits = core.submitter.isBusy ? ", is handing in" : ""
            return "\(node.account) at \(core.replica.head.slot), settled "
                + "\(core.replica.settled.slot), follows \(core.followed)\(waits)"
        }
        if world.isWorking { texts.append("no run has come to its end") }
        if let office = voters.first?.terms.newest.coordinator {
            texts += world.auditor.promises.open(
                in: world.auditor.chain, world: world, office: office)
        }
        return texts.joined(separator: "; ")
    }

    /// Whether all honest nodes agree and nothing that was promised is open.
    func hasConverged() throws -> Bool {
        let honest = world.nodes.filter { $0.isHonest && !$0.isLost }
        guard let furthest = voters.first else { return false }
        // Who has left is told nothing any more, and who never entered has nothing to say.
        let members = try honest.filter { try furthest.disk.listedMember($0.account) != nil }
        let tips = Set(members.compactMap { $0.core?.replica.settled.hash })
        guard tips.count == 1, members.count == members.compactMap(\.core).count else {
            return false
        }
        let coordinator = world.node(furthest.terms.newest.coordinator)
        guard coordinator?.isHonest == true, coordinator?.isLost == false else { return false }
        guard members.allSatisfy({ $0.core?.submitter.isBusy == false }) else { return false }
        return try world.auditor.allPromisesKept(at: furthest)
    }
}
