package import Ledger

/// A time of the simulation: milliseconds since it began.
typealias Moment = UInt64

/// How a process ends.
package enum CrashKind: String, CaseIterable, Hashable, Sendable {
    /// Before the write under way: it never happened.
    case before
    /// After the write, before anything that follows it: no message of it leaves.
    case after
    /// The ledger's write is lost, though blobs that came later are on the disk.
    case torn
    /// Between two events.
    case idle
}

/// What a liar may do; each one has a drawn set of them.
package enum Lie: String, CaseIterable, Hashable, Sendable {
    /// Shows a part of the voters another chain; begins with two proposals at one slot.
    case splitView = "split-view"
    /// Answers as if a block did not exist.
    case withheldBlock = "withheld-block"
    /// Hands out certificates that nobody signed.
    case forgedCertificate = "forged-certificate"
    /// Answers from an older copy of itself, and starts from it again.
    case staleSnapshot = "stale-snapshot"
    /// Orders an envelope a second time.
    case replayedEnvelope = "replayed-envelope"
    /// Proposes blocks that break a rule.
    case invalidBlock = "invalid-block"
    /// Alters what it passes on.
    case tamperedBlock = "tampered-block"
    /// Signs votes for whatever exists.
    case doubleVote = "double-vote"
    /// Signs several statuses, and such that hide a certificate.
    case lyingStatus = "lying-status"
    /// Accepts envelopes and forgets them.
    case brokenPromise = "broken-promise"
    /// Does not answer at all.
    case silence
    /// Names a record in a manifest that it may not: without consent, another site's, or none.
    case unpermittedRecord = "unpermitted-record"
    /// Vouches for another model than a round's.
    case wrongModel = "wrong-model"
}

/// What people do during the bad times.
package enum Act: Hashable, Sendable {
    /// The coordinator's machine burns down and nobody has a copy.
    case loseCoordinator
    /// A new organisation takes the place of the coordinator.
    case replaceCoordinator
    /// The same coordinator goes on in a new term.
    case renew
    /// Two decisions for one number, each with its supporters.
    case quarrel
    case addSite
    /// New keys for a voter.
    case rotate(AccountID)
    /// A site loses its disk, restores without the journal and says so.
    case restore(AccountID)
}

/// Everything that is drawn before a simulation begins; printed first.
package struct Options: Sendable {
    struct Window: Hashable, Sendable {
        let from: Moment
        let until: Moment
    }

    struct Partition: Hashable, Sendable {
        let window: Window
        /// Members of the smaller part, by their place among the founding voters.
        let apart: Set<Int>
    }

    struct PlannedCrash: Hashable, Sendable {
        let node: Int
        let at: Moment
        let kind: CrashKind
        /// Writes that still succeed.
        let writes: Int
        let downFor: Moment
    }

    struct Pause: Hashable, Sendable {
        let node: Int
        let window: Window
    }

    struct PlannedAct: Hashable, Sendable {
        let at: Moment
        let act: Act
    }

    package let scenario: Scenario
    package let seed: UInt64
    let founders: [AccountID]
    let blockInterval: UInt64
    let checkpointInterval: UInt64
    /// When the network is healed.
    let healed: Moment
    /// Whether blocks are so frequent that rounds fit in before that; a run must end after it.
    package let trains: Bool
    var lossPermille = 0
    var duplicatePermille = 0
    var stragglerPermille = 0
    var latency: ClosedRange<UInt64> = 2...30
    var partitions: [Partition] = []
    var pauses: [Pause] = []
    var crashes: [PlannedCrash] = []
    var clockOffsets: [Int64] = []
    var driftsPPM: [Int64] = []
    var liars: [AccountID: Set<Lie>] = [:]
    var acts: [PlannedAct] = []

    var voters: Int { founders.count }
    var quorum: Int { 2 * voters / 3 + 1 }
    /// Voters that may lie, be lost or be restored; the coordinator's organisation is one.
    var tolerated: Int { (voters - 1) / 3 }
    /// As many liars can make a fork.
    var forking: Int { 2 * quorum - voters }

    static let coordinator = AccountID(.coordinator, "office")

    package init(_ scenario: Scenario, seed: UInt64) {
        var shape = SplitMix64(seed: seed, concern: "shape")
        self.scenario = scenario
        self.seed = seed
        let sites = scenario == .beyond ? 4 : 4 + min(3, shape.number(in: 0...5) * 3 / 5)
        founders = [Self.coordinator] + (1...sites).map { AccountID(.site, "s\($0)") }
        let ordinaryInterval = shape.number(in: UInt64(2)...6) * 100
        checkpointInterval = shape.number(in: UInt64(5)...14)
        healed = shape.number(in: UInt64(5)...11) * 1_000
        var training = SplitMix64(seed: seed, concern: "training")
        trains = training.chance(200)
        blockInterval = trains ? training.number(in: UInt64(8)...16) * 10 : ordinaryInterval
        drawClocks(seed)
        drawNetwork(seed)
        drawCrashes(seed)
        drawLiars(seed)
        drawActs(seed)
    }

    private func isOne(of scenarios: Scenario...) -> Bool { scenarios.contains(scenario) }

    private mutating func drawClocks(_ seed: UInt64) {
        var random = SplitMix64(seed: seed, concern: "clocks")
        for _ in founders {
            clockOffsets.append(Int64(random.number(in: UInt64(0)...4_000)) - 2_000)
            driftsPPM.append(Int64(random.number(in: UInt64(0)...400)) - 200)
        }
        // One clock is far off now and then: beyond a minute its owner withholds, or is withheld
        // from.
        if isOne(of: .mixed, .lossy), random.chance(250) {
            let place = random.number(in: 0...founders.count - 1)
            clockOffsets[place] = random.chance(500) ? 62_000 : -62_000
        }
    }

    private mutating func drawNetwork(_ seed: UInt64) {
        var random = SplitMix64(seed: seed, concern: "network")
        latency = 1...random.number(in: UInt64(5)...80)
        let bad = isOne(of: .lossy, .mixed)
        if bad || random.chance(isOne(of: .calm) ? 0 : 300) {
            lossPermille = random.number(in: 0...(bad ? 300 : 100))
            duplicatePermille = random.number(in: 0...200)
            stragglerPermille = random.number(in: 0...150)
        }
        let count =
            isOne(of: .partitions)
            ? random.number(in: 1...4) : isOne(of: .mixed) ? random.number(in: 0...2) : 0
        for _ in 0..<count {
            let size = random.number(in: 1...founders.count / 2)
            partitions.append(
                Partition(
                    window: window(&random, 500...4_000),
                    apart: Set(random.sample(size, of: Array(founders.indices)))))
        }
        let pausing = isOne(of: .partitions, .mixed) ? random.number(in: 0...3) : 0
        for _ in 0..<pausing {
            pauses.append(
                Pause(
                    node: random.number(in: 0...founders.count - 1),
                    window: window(&random, 200...3_000)))
        }
    }

    private func window(_ random: inout SplitMix64, _ length: ClosedRange<UInt64>) -> Window {
        let from = random.number(in: 200...healed - 1_000)
        return Window(from: from, until: min(healed, from + random.number(in: length)))
    }

    private mutating func drawCrashes(_ seed: UInt64) {
        var random = SplitMix64(seed: seed, concern: "crashes")
        let count: Int =
            switch scenario {
            case .crashes: random.number(in: 2...7)
            case .mixed: random.number(in: 0...4)
            case .termChange, .votersChange, .byzantineCoordinator, .byzantineSite:
                max(0, random.number(in: 0...4) - 2)
            case .calm, .lossy, .partitions, .beyond: 0
            }
        for _ in 0..<count {
            let isCoordinator = random.chance(350)
            crashes.append(
                PlannedCrash(
                    node: isCoordinator ? 0 : random.number(in: 0...founders.count - 1),
                    at: random.number(in: 300...healed - 500),
                    kind: random.element(of: CrashKind.allCases) ?? .idle,
                    writes: random.number(in: 0...3),
                    downFor: random.number(in: UInt64(50)...3_000)))
        }
    }

    private mutating func drawLiars(_ seed: UInt64) {
        var random = SplitMix64(seed: seed, concern: "liars")
        let sites = Array(founders.dropFirst())
        var chosen: [AccountID] = []
        switch scenario {
        case .byzantineCoordinator:
            chosen = [founders[0]] + random.sample(tolerated - 1, of: sites)
        case .byzantineSite:
            chosen = random.sample(random.number(in: 1...tolerated), of: sites)
        case .mixed:
            chosen = random.sample(random.number(in: 0...tolerated), of: founders)
        case .beyond: chosen = [founders[0]] + random.sample(forking - 1, of: sites)
        case .calm, .lossy, .partitions, .crashes, .termChange, .votersChange: break
        }
        for liar in chosen.sorted() {
            var lies = Set(Lie.allCases.filter { $0 != .silence && random.chance(450) })
            if random.chance(60) { lies = [.silence] }
            if scenario == .beyond { lies = [.splitView, .doubleVote] }
            liars[liar] = lies
        }
    }

    private mutating func drawActs(_ seed: UInt64) {
        var random = SplitMix64(seed: seed, concern: "acts")
        func moment() -> Moment { random.number(in: 800...healed - 1_500) }
        let free = tolerated - liars.count
        switch scenario {
        case .termChange:
            if random.chance(600), free > 0 {
                let lost = moment()
                acts.append(PlannedAct(at: lost, act: .loseCoordinator))
                acts.append(
                    PlannedAct(
                        at: lost + random.number(in: UInt64(100)...2_000), act: .replaceCoordinator)
                )
            } else {
                acts.append(
                    PlannedAct(
                        at: moment(), act: random.chance(500) ? .renew : .replaceCoordinator))
            }
            if random.chance(400) { acts.append(PlannedAct(at: moment(), act: .quarrel)) }
            if random.chance(300) { acts.append(PlannedAct(at: moment(), act: .renew)) }
        case .votersChange: acts = drawVoterActs(&random)
        case .mixed:
            if random.chance(300) { acts.append(PlannedAct(at: moment(), act: .renew)) }
            if random.chance(200) { acts.append(PlannedAct(at: moment(), act: .quarrel)) }
            if random.chance(250), free > 0 {
                acts.append(PlannedAct(at: moment(), act: .loseCoordinator))
            } else if random.chance(250) {
                acts.append(PlannedAct(at: moment(), act: .addSite))
            }
        case .byzantineCoordinator, .byzantineSite:
            if random.chance(500) { acts.append(PlannedAct(at: moment(), act: .renew)) }
            if random.chance(250) {
                acts.append(PlannedAct(at: moment(), act: .replaceCoordinator))
            }
        case .calm, .lossy, .partitions, .crashes, .beyond: break
        }
        acts.sort { $0.at < $1.at }
    }

    private func drawVoterActs(_ random: inout SplitMix64) -> [PlannedAct] {
        var acts: [PlannedAct] = []
        var restored = 0
        for _ in 0..<random.number(in: 1...2) {
            let site = founders[random.number(in: 1...founders.count - 1)]
            let act: Act =
                switch random.number(in: 0...3) {
                case 0: .addSite
                case 1: .rotate(site)
                case 2: .rotate(founders[0])
                default: restored < tolerated ? .restore(site) : .rotate(site)
                }
            if case .restore = act { restored += 1 }
            acts.append(PlannedAct(at: random.number(in: 800...healed - 1_500), act: act))
        }
        return acts
    }

    /// Every drawn option, one a line.
    package var lines: [String] {
        var lines = [
            "scenario \(scenario.rawValue)", "seed \(seed)",
            "voters \(voters), quorum \(quorum), block interval \(blockInterval) ms, "
                + "checkpoint every \(checkpointInterval) blocks, healed after \(healed) ms"
                + (trains ? ", once it has trained" : ""),
            "loss \(lossPermille)‰, repeated \(duplicatePermille)‰, late \(stragglerPermille)‰, "
                + "latency \(latency.lowerBound) to \(latency.upperBound) ms",
            "clocks off by \(clockOffsets.map(String.init).joined(separator: " ")) ms",
        ]
        for partition in partitions {
            let apart = partition.apart.sorted().map { founders[$0].name }
            lines.append(
                "apart from \(partition.window.from) to \(partition.window.until) ms: "
                    + apart.joined(separator: " "))
        }
        for pause in pauses {
            lines.append(
                "\(founders[pause.node]) pauses from \(pause.window.from) to "
                    + "\(pause.window.until) ms")
        }
        for crash in crashes {
            lines.append(
                "\(founders[crash.node]) crashes after \(crash.at) ms, \(crash.kind.rawValue), "
                    + "\(crash.writes) writes later, for \(crash.downFor) ms")
        }
        for (liar, lies) in liars.sorted(by: { $0.key < $1.key }) {
            lines.append("\(liar) lies: " + lies.map(\.rawValue).sorted().joined(separator: " "))
        }
        for act in acts { lines.append("after \(act.at) ms people \(act.act)") }
        return lines
    }
}
