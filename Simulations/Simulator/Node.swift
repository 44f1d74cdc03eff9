import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// A node's clock: true time, times a drift, plus an offset.
struct Clock {
    let start: UInt64
    var offset: Int64
    let driftPPM: Int64

    /// Milliseconds since 1970, as this clock shows them.
    func milliseconds(at now: Moment) -> UInt64 {
        let elapsed = Int64(clamping: now)
        return UInt64(
            max(0, Int64(clamping: start) + elapsed + elapsed * driftPPM / 1_000_000 + offset))
    }
}

/// One organisation's machine: what is durable, and the process while it runs.
final class Node {
    unowned let world: World
    let account: AccountID
    /// Nil for those who follow the rules.
    let lies: Set<Lie>?
    private(set) var disk: Disk
    var home: Home
    var clock: Clock
    private(set) var core: Core?
    /// Its machine is gone for ever.
    private(set) var isLost = false
    /// Its disk was lost once; what it had promised to keep went with it.
    private(set) var lostDisk = false
    var pausedUntil: Moment = 0
    /// A copy of the disk that a liar goes back to, or a backup of somebody careful.
    var snapshot: Tables?
    var hasGoneBack = false

    init(
        world: World, account: AccountID, disk: Disk, lies: Set<Lie>?, clock: Clock
    ) {
        self.world = world
        self.account = account
        self.disk = disk
        self.lies = lies
        self.clock = clock
        home = Home(account: account)
    }

    var isHonest: Bool { lies == nil }

    func start() throws {
        guard core == nil, !isLost else { return }
        let listed = try disk.listedMember(account).map { [UInt8]($0.signingKey) }
        let keys = try home.ring(world.cabinet, listed: listed)
        let core =
            isHonest ? try Core(node: self, keys: keys) : try LiarCore(node: self, keys: keys)
        self.core = core
        world.trace { "\(account) starts at \(core.replica.head.slot)" }
        try core.refreshMembers()
        world.scheduleServices(of: core)
    }

    /// Starts a liar's other self, which the network does not know.
    func startShadow() throws {
        let core = try LiarCore(node: self, keys: home.ring(world.cabinet, listed: nil))
        self.core = core
        try core.refreshMembers()
        world.schedule(.tick(core), after: 1)
    }

    /// The process ends; whatever was only in memory is gone.
    func stop() {
        guard core != nil else { return }
        world.trace { "\(account) ends" }
        core = nil
        disk.settleAfterCrash()
    }

    func lose() {
        stop()
        isLost = true
        lostDisk = true
        world.trace { "\(account) is lost for good" }
    }

    /// The disk is replaced by an older copy or an empty one, and the vote key given up.
    func restore(from backup: Tables?) throws {
        stop()
        lostDisk = true
        disk =
            try backup.map { Disk(copy: $0, genesis: disk.genesis) }
            ?? Disk(genesis: disk.genesis, fault: world.fault)
        home.vote += 1
        home.next = nil
        world.trace { "\(account) is restored with a new vote key" }
    }
}
