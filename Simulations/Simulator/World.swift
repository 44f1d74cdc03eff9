import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// Something that happens at a moment of the simulation.
enum Event {
    case deliver(Parcel)
    case timeout(Core, UInt64)
    /// The coordinator looks whether a block is due: woken, or by the clock.
    case look(Core)
    case tick(Core)
    case poll(Core)
    case beat(Core)
    case duties(Core)
    case renewKeys(Core)
    case crash(Options.PlannedCrash)
    case forceCrash(Core)
    case start(Node)
    case snapshot(Node)
    case heal
    case check
    case act(Act)
    case opinions(Node)
    case work(Node)
    case probe(Node)
    case client(Client)
}

/// One simulated consortium: processes, network, clocks, people, and the auditor who sees it all.
final class World {
    let options: Options
    let fault: Fault?
    let cabinet: KeyCabinet
    let genesis: Genesis
    private(set) var now: Moment = 0
    private(set) var events = 0
    private var queue = EventQueue<Event>()
    private var requests: UInt64 = 0
    private(set) var nodes: [Node] = []
    /// Other selves of liars.
    private var hidden: [Node] = []
    private var byAccount: [AccountID: Node] = [:]
    private(set) var clients: [AccountID: Client] = [:]
    private(set) var isHealed = false
    private var fates: SplitMix64
    private var random: SplitMix64
    private var fold: UInt64 = 0xCBF2_9CE4_8422_2325
    private let tracer: ((String) -> Void)?
    private var isOver = false
    var blobs: Blobs
    /// Known to all members, never on the chain.
    let contentKey: [UInt8]
    /// Looked at by the auditor after the step.
    private var touched: Set<AccountID> = []

    private(set) lazy var auditor = Auditor(world: self)
    private(set) lazy var people = People(world: self)
    private(set) lazy var workload = Workload(world: self)
    private(set) lazy var adversary = Adversary(world: self)

    /// Simulated milliseconds after healing within which all must agree.
    static let patience: Moment = 120_000
    static let developer = AccountID(.developer, "lab")

    init(
        _ options: Options, fault: Fault?, cabinet: KeyCabinet, tracer: ((String) -> Void)?
    ) throws {
        self.options = options
        self.fault = fault
        self.cabinet = cabinet
        self.tracer = tracer
        fates = SplitMix64(seed: options.seed, concern: "fates")
        random = SplitMix64(seed: options.seed, concern: "world")
        contentKey = named("content key \(options.seed)")
        let members = try (options.founders + [Self.developer]).map { try cabinet.member($0) }
        genesis = try Genesis(
            strictly: genesisDocument(
                agreement: simulatedAgreement(options, developer: Self.developer),
                members: members, timeMilliseconds: 1_700_000_000_000,
                nonce: named("nonce \(options.seed)")))
        blobs = try Blobs(genesis: genesis)
    }

    /// Whether people go on: until the network is healed, or a run has then come to its end.
    var isWorking: Bool {
        let rounds = auditor.chain.rounds
        return !isHealed || (options.trains && (rounds.isRunning || rounds.tally.rounds == 0))
    }

    func node(_ account: AccountID) -> Node? { byAccount[account] }

    @discardableResult
    func addNode(_ account: AccountID, lies: Set<Lie>? = nil, place: Int? = nil) throws -> Node {
        let node = Node(
            world: self, account: account, disk: try Disk(genesis: genesis, fault: fault),
            lies: lies,
            clock: Clock(
                start: genesis.timeMilliseconds,
                offset: place.map { options.clockOffsets[$0] } ?? 0,
                driftPPM: place.map { options.driftsPPM[$0] } ?? 0))
        nodes.append(node)
        byAccount[account] = node
        schedule(.start(node), after: 0)
        return node
    }

    func hide(_ node: Node) { hidden.append(node) }

    func add(_ client: Client) {
        clients[client.account] = client
        schedule(.client(client), after: 50)
    }

    /// Every vote key that an account ever had.
    func keys(of account: AccountID) -> [VerifyingKey] {
        guard let home = byAccount[account]?.home else { return [] }
        return (0...max(home.vote, home.next ?? 0)).compactMap {
            try? cabinet.voteKey(of: account, $0).verifyingKey
        }
    }

    /// Every signing key that an account ever had.
    func signingKeys(of account: AccountID) -> [VerifyingKey] {
        guard let home = byAccount[account]?.home else { return [] }
        return (0...max(home.generation, home.next ?? 0)).compactMap {
            try? cabinet.signingKey(of: account, $0).verifyingKey
        }
    }

    // MARK: time

    func schedule(_ event: Event, after delay: Moment) { queue.add(event, at: now + delay) }

    func scheduleServices(of core: Core) {
        schedule(.poll(core), after: random.number(in: UInt64(1)...60))
        schedule(.beat(core), after: random.number(in: UInt64(1)...400))
        schedule(.duties(core), after: random.number(in: UInt64(1)...300))
        if core.coordinator != nil {
            schedule(.tick(core), after: random.number(in: UInt64(1)...40))
        }
    }

    func trace(_ text: () -> String) {
        guard let tracer else { return }
        tracer("\(now) ms  \(text())")
    }

    func nextRequest() -> UInt64 {
        requests += 1
        return requests
    }

    private func mix(_ value: UInt64) { fold = (fold ^ value) &* 0x0000_0100_0000_01B3 }

    // MARK: the network

    func send(_ parcel: Parcel) {
        adversary.overhears(parcel)
        guard isHealed || !isApart(parcel.from, parcel.to) else { return }
        let copies: Int
        if isHealed {
            copies = 1
        } else {
            guard !fates.chance(options.lossPermille) else { return }
            copies = fates.chance(options.duplicatePermille) ? 2 : 1
        }
        for _ in 0..<copies {
            var delay = fates.number(in: options.latency)
            if !isHealed, fates.chance(options.stragglerPermille) {
                delay += fates.number(in: UInt64(100)...6_000)
            }
            schedule(.deliver(parcel), after: delay)
        }
    }

    func respond(_ response: Response, from: AccountID, to: AccountID, _ id: UInt64) {
        send(Parcel(from: from, to: to, id: id, content: .response(response)))
    }

    /// A request whose answer nobody awaits.
    func tell(_ request: Request, from: AccountID, to: AccountID) {
        send(Parcel(from: from, to: to, id: nextRequest(), content: .request(request)))
    }

    func hint(from node: Node) {
        for other in nodes where other !== node && other.core?.followed == node.account {
            send(Parcel(from: node.account, to: other.account, id: 0, content: .hint))
        }
    }

    private func isApart(_ one: AccountID, _ other: AccountID) -> Bool {
        let places = [one, other].map { account in
            options.founders.firstIndex(of: clients[account]?.site ?? account) ?? -1
        }
        return options.partitions.contains { partition in
            partition.window.from <= now && now < partition.window.until
                && partition.apart.contains(places[0]) != partition.apart.contains(places[1])
        }
    }

    // MARK: the loop

    /// Runs to the end.
    func run() throws {
        for (place, account) in options.founders.enumerated() {
            try addNode(account, lies: options.liars[account], place: place)
        }
        for crash in options.crashes { schedule(.crash(crash), after: crash.at) }
        for act in options.acts { schedule(.act(act.act), after: act.at) }
        for node in nodes where node.account.role == .site {
            schedule(.work(node), after: random.number(in: UInt64(30)...500))
        }
        for node in nodes {
            schedule(.opinions(node), after: random.number(in: UInt64(300)...900))
            schedule(.snapshot(node), after: options.healed * random.number(in: 2...5) / 8)
        }
        schedule(.heal, after: options.healed)
        while !isOver, let (at, event) = queue.next() {
            now = at
            guard now < options.healed + Self.patience else {
                throw Violation("liveness", people.obstacles())
            }
            events += 1
            try step(event)
        }
        try auditor.inspectEverything()
    }

    private func step(_ event: Event) throws {
        do {
            try handle(event)
        } catch is Crash {
            guard let node = crashing else {
                throw Violation("simulator", "a crash of nobody")
            }
            node.stop()
        }
        crashing = nil
        if let finding = auditor.finding { throw finding }
        for account in touched.sorted() {
            if let node = node(account) { try auditor.inspect(node) }
        }
        touched = []
    }

    /// Whose event is being handled.
    private var crashing: Node?

    /// Runs something at a node that is up and not paused; a paused one gets it later.
    private func at(_ core: Core, _ event: Event, _ body: () throws -> Void) throws {
        guard core.node.core === core else { return }
        guard core.node.pausedUntil <= now else {
            return queue.add(event, at: core.node.pausedUntil)
        }
        crashing = core.node
        touched.insert(core.account)
        try body()
    }

    private func handle(_ event: Event) throws {
        switch event {
        case .deliver(let parcel): try deliver(parcel, event)
        case .timeout(let core, let id): try at(core, event) { try core.receive(nil, to: id) }
        case .look(let core):
            try at(core, event) {
                core.isLooking = false
                try core.propose()
            }
        case .tick(let core):
            try at(core, event) {
                schedule(.tick(core), after: 100)
                try core.propose()
            }
        case .poll(let core):
            try at(core, event) {
                schedule(.poll(core), after: 500)
                try core.wakeSync()
            }
        case .beat(let core):
            try at(core, event) {
                schedule(.beat(core), after: 1_000)
                try core.beat()
            }
        case .duties(let core):
            try at(core, event) {
                schedule(.duties(core), after: 400)
                try core.performDuties()
            }
        case .renewKeys(let core):
            try at(core, event) {
                core.node.stop()
                try core.node.start()
            }
        case .start(let node):
            crashing = node
            touched.insert(node.account)
            try node.start()
        case .snapshot(let node): node.snapshot = node.disk.tables
        case .crash(let crash): try begin(crash)
        case .forceCrash(let core):
            try at(core, event) { if core.disk.awaitsCrash { core.node.stop() } }
        default: try handleOutside(event)
        }
    }

    /// What people, clients and the heavens do.
    private func handleOutside(_ event: Event) throws {
        switch event {
        case .heal: try heal()
        case .check: try check()
        case .act(let act): try people.perform(act)
        case .opinions(let node):
            crashing = node
            touched.insert(node.account)
            schedule(.opinions(node), after: people.nextLook())
            try people.lookAround(at: node)
        case .work(let node):
            crashing = node
            touched.insert(node.account)
            try workload.work(at: node)
        case .probe(let node):
            crashing = node
            touched.insert(node.account)
            try workload.probe(node)
        case .client(let client): try client.act()
        default: break
        }
    }

    private func deliver(_ parcel: Parcel, _ event: Event) throws {
        mix(now)
        mix(parcel.id)
        if let client = clients[parcel.to] {
            if case .response(let response) = parcel.content {
                try client.receive(response, to: parcel.id)
            }
            return
        }
        guard let core = node(parcel.to)?.core else { return }
        try at(core, event) {
            switch parcel.content {
            case .hint: try core.wakeSync()
            case .response(let response): try core.receive(response, to: parcel.id)
            case .request(let request):
                // A stranger's connection is not accepted.
                guard clients[parcel.from] != nil || core.directory.contains(parcel.from) else {
                    return
                }
                let answer = try core.answer(request, from: parcel.from, id: parcel.id)
                if let answer { respond(answer, from: parcel.to, to: parcel.from, parcel.id) }
            }
        }
    }

    // MARK: crashes and healing

    private func begin(_ crash: Options.PlannedCrash) throws {
        let node = nodes[crash.node]
        guard let core = node.core, !isHealed else { return }
        trace { "\(node.account) is about to crash (\(crash.kind.rawValue))" }
        touched.insert(node.account)
        if crash.kind == .idle {
            node.stop()
        } else {
            core.disk.plan(crash.kind, after: crash.writes)
            // With nothing to write it ends all the same.
            schedule(.forceCrash(core), after: 800)
            if crash.kind == .torn { core.disk.putBlob(Digest.sha256(named("torn \(now)"))) }
        }
        schedule(.start(node), after: 800 + crash.downFor)
    }

    private func heal() throws {
        isHealed = true
        trace { "the network is healed" }
        for node in nodes {
            node.pausedUntil = 0
            node.disk.cancelCrash()
            node.clock.offset = min(500, max(-500, node.clock.offset))
            if node.core == nil, !node.isLost { schedule(.start(node), after: 1) }
        }
        for node in nodes where node.isHonest && node.account.role == .site {
            schedule(.probe(node), after: 400)
        }
        schedule(.check, after: 250)
    }

    private func check() throws {
        if options.scenario == .beyond {
            // A chain that forked does not come together again.
            isOver = now > options.healed + 1_500
            return schedule(.check, after: 250)
        }
        if try !isWorking && people.hasConverged() {
            isOver = true
            return
        }
        try people.mend()
        schedule(.check, after: 250)
    }

    /// What the run came to: equal for equal seeds.
    var digest: Digest {
        var hash = SHA256()
        hash.update(bigEndian(fold))
        hash.update(bigEndian(now))
        for node in nodes {
            hash.update(Array(node.account.text.utf8))
            hash.update(node.disk.tables.tip.hash)
            hash.update(node.disk.tables.tip.log.root)
        }
        return hash.finalize()
    }
}
