import Contracts
import Cryptography
import Federation
import Foundation
package import Ledger
package import Logging
import Messaging
import Replay
import ServiceLifecycle
import Storage
import Synchronization
import UnixSignals
import Wire

/// The first error that a node cannot go on with; whoever waits for it stops the node.
final class Failure: Sendable {
    private let stream: AsyncStream<any Error>
    private let continuation: AsyncStream<any Error>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    func raise(_ error: any Error) { continuation.yield(error) }

    func wait() async throws {
        for await error in stream { throw error }
    }
}

/// Everything that a running node is made of.
struct RunningNode {
    let home: Home
    let lock: HomeLock
    let keys: KeyRing
    let core: NodeCore
    let blobs: BlobStore
    let worker: DutyWorker
    let context: MessagingContext
    let server: RequestServer
    let links: PeerLinks
    let gateway: Gateway
    /// At a site that may begin with a snapshot.
    let joining: SnapshotJoin?
    let failure: Failure
    let logger: Logger
}

func currentMilliseconds() -> UInt64 {
    UInt64(max(0, Date().timeIntervalSince1970 * 1000))
}

/// Runs a coordinator or a site's worker until SIGTERM or SIGINT.
///
/// A decision that brings this member new keys starts the node anew in the same process, and so does
/// the repair of a damaged ledger, once.
package func runNode(
    home: Home, role: Role, passphrase: String?, logger: Logger
) async throws {
    var signals = await stopSignals()
    var damage: (any Error)?
    var isRepaired = false
    while true {
        if let found = damage {
            guard !isRepaired else { throw found }
            isRepaired = true
            damage = nil
            logger.error("repairing the ledger", metadata: ["reason": "\(found)"])
            let report = try await repair(home: home, passphrase: passphrase, logger: logger)
            logger.notice(
                "the ledger is repaired",
                metadata: [
                    "height": "\(report.height)", "fetched": "\(report.fetchedBlocks)",
                    "journal": "\(report.journal.rawValue)",
                ])
        }
        let ending: Ending
        do {
            ending = try await run(
                try await start(home, role, passphrase, isRebuilt: isRepaired, logger),
                until: signals)
        } catch let error where isDamage(error) {
            ending = .damage(error)
        }
        // The next ones are trapped before these are let go.
        switch ending {
        case .signal: return
        case .newKeys:
            logger.info("new keys for this node were decided on; starting with them")
        case .damage(let error): damage = error
        case .swap(.snapshot): try swapSnapshotIn(home)
        case .swap(.history): try await completeHistory(home, passphrase: passphrase)
        }
        signals = await stopSignals()
    }
}

/// Whether an error tells that the bytes of the ledger file are not what was written there.
///
/// A block that this node executed and now refuses at a start is one, too.
private func isDamage(_ error: any Error) -> Bool {
    switch error {
    case is DamagedLedger, is StateFault, is BlockRefusal: true
    case StorageError.damaged(let path, _): path.hasSuffix("ledger.sqlite")
    default: false
    }
}

private func start(
    _ home: Home, _ role: Role, _ passphrase: String?, isRebuilt: Bool, _ logger: Logger
) async throws -> RunningNode {
    umask(0o077)
    // A write beyond a file-size limit is an error to report, not a reason to die without a word.
    signal(SIGXFSZ, SIG_IGN)
    let member = try home.member()
    guard member.account.role == role else {
        throw HomeError.foreign(
            "\(home.path) is the home of \(member.account), not of a \(role.rawValue)")
    }
    let context = try MessagingContext(logger: logger)
    let lock = try HomeLock(home)
    let configured = try home.genesisDocument()
    let file = SalvagedLedger(path: home.ledger, network: configured.network)
    // Not before the worker's own connection is there: the last one to close would write.
    defer { file.close() }
    if home.exists(home.ledger) {
        if let known = file.genesis, known.network != configured.network {
            throw StorageError.foreignNetwork(path: home.ledger)
        }
        try LedgerScrub(genesis: configured, file: file).checkNewest()
    }
    let store = try LedgerStore.open(at: home.ledger)
    let genesis = store.genesis
    guard genesis.network == configured.network else {
        throw StorageError.foreignNetwork(path: home.ledger)
    }
    let listed = try store.listedMember(member.account)
    let keys = try home.keyRing(
        passphrase: passphrase, listed: listed.map { [UInt8]($0.signingKey) })
    let blobs = try BlobStore(folder: home.blobs)
    try blobs.removeLeftovers()
    let patients =
        role == .site
        ? try PatientStore(
            path: home.patients, key: try home.patientsKey(), network: genesis.network) : nil
    let core = try NodeCore(
        store: store, blobs: blobs, keys: keys, isRebuilt: isRebuilt, clock: currentMilliseconds)
    let links = PeerLinks(
        context: context, account: keys.account,
        keys: [keys.transport] + keys.otherTransports, logger: logger)
    let leavers = Leavers()
    if let directory = try await core.changedMembers() {
        context.setAllowed(directory.allowed)
        leavers.replace(directory.leaving)
        await links.update(directory.nodes)
    }
    await links.follow(await core.followed())
    let worker = try DutyWorker(
        home: home, store: store, blobs: blobs, patients: patients, account: keys.account,
        links: links, logger: logger)
    let failure = Failure()
    let desk = try patients.map {
        PatientDesk(
            site: keys.account, agreement: { try store.terms().newest.agreement }, patients: $0,
            contentKey: try home.contentKey(), panelKey: try home.panelKey(),
            network: store.genesis.network)
    }
    let uplink = Uplink(core: core, links: links)
    let gateway = Gateway(
        core: core,
        blobs: BlobServer(
            store: blobs, limits: BlobLimits(blob: NodeLimits.blobBytes),
            receives: role == .coordinator,
            named: { Set(try namedBlobs(in: SQLiteState(store)).map(\.digest)) },
            failed: { failure.raise($0) }),
        reports: ReportDesk(
            Reporter(store: try LedgerStore.reading(at: home.ledger), blobs: blobs)),
        snapshots: SnapshotDesk(try LedgerStore.reading(at: home.ledger)),
        uplink: uplink,
        submitter: Submitter(keys: keys, network: genesis.network, sink: uplink),
        desk: desk, leavers: leavers, failure: failure, logger: logger)
    let endpoint = member.endpoint
    let server = try RequestServer(
        context: context, endpoints: endpoint.isEmpty ? [] : [endpoint], key: keys.transport,
        localPath: home.socket,
        limits: MessagingLimits(maximumMessageSize: NodeLimits.messageBytes)
    ) { peer, body in await gateway.answer(peer, body) }
    if let remedy = remedyForRetiredKeys(keys, listed: listed) {
        logger.warning(
            "what this home's voting key signed may be lost: following without voting or proposing",
            metadata: ["remedy": "\(remedy)"])
    }
    let tip = await core.settledTip
    logger.info(
        "\(keys.account) is up",
        metadata: ["settled": "\(tip.height)", "endpoint": "\(endpoint)"])
    return RunningNode(
        home: home, lock: lock, keys: keys, core: core, blobs: blobs, worker: worker,
        context: context, server: server, links: links, gateway: gateway,
        joining: role == .site
            ? SnapshotJoin(home: home, genesis: genesis, logger: logger) : nil,
        failure: failure, logger: logger)
}

/// What helps a node whose keys in force are given up; nil when they are not.
private func remedyForRetiredKeys(_ keys: KeyRing, listed: WireMemberDocument?) -> String? {
    if keys.voteKeys.isEmpty, !keys.retired.isEmpty {
        return "tally site restore; then a decision brings the new keys in"
    }
    guard let key = listed.flatMap({ VerifyingKey($0.voteKey) }), keys.retired.contains(key) else {
        return nil
    }
    return "at another member: tally governance propose --rekey \(keys.account.name).next-member"
}

/// Why a node stopped.
private enum Ending {
    case signal, newKeys
    case swap(LedgerSwap)
    case damage(any Error)
}

private func run(
    _ node: RunningNode, until signals: UnixSignalsSequence
) async throws -> Ending {
    // To the very end, so that a second signal does not cut the first one's work short.
    defer { withExtendedLifetime(signals) {} }
    let restart = Failure()
    var services: [any Service] = [
        SyncService(node: node, swap: restart), ExchangeService(node: node),
        DutyService(node: node, restart: restart), EvidenceService(node: node),
        ScrubService(node: node, damage: restart),
        FailureService(failure: node.failure), FailureService(failure: restart),
        ReleaseService(core: node.core), SignalService(signals: signals),
    ]
    if node.core.isPartial { services.append(HistoryService(node: node, swap: restart)) }
    var hints: HintPublisher?
    if node.keys.account.role == .coordinator {
        let publisher = try HintPublisher(
            context: node.context,
            endpoint: try hintEndpoint(of: try node.home.member().endpoint),
            key: node.keys.transport)
        hints = publisher
        services.insert(ProposalService(core: node.core, hints: publisher), at: 0)
    }
    let group = ServiceGroup(
        configuration: .init(
            services: services.map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
            },
            logger: quiet(node.logger)))
    var outcome: (any Error)?
    do { try await group.run() } catch { outcome = error }
    await node.server.close(draining: .seconds(2))
    await node.links.close()
    await hints?.close()
    do { try await node.core.close() } catch { outcome = outcome ?? error }
    await node.context.shutdown()
    try? FileManager.default.removeItem(atPath: node.home.socket)
    if outcome is NewKeys { return .newKeys }
    if let swap = outcome as? LedgerSwap { return .swap(swap) }
    if let outcome { throw outcome }
    node.logger.info("\(node.keys.account) has stopped")
    return .signal
}

/// The chain lists other keys for this node than those it started with.
struct NewKeys: Error {}

/// The lifecycle library's own words are for its developers.
private func quiet(_ logger: Logger) -> Logger {
    var quiet = logger
    quiet.logLevel = .critical
    return quiet
}

/// Taken from the first moment on: a signal that comes while a node starts must not end it halfway.
private func stopSignals() async -> UnixSignalsSequence {
    await UnixSignalsSequence(trapping: .sigterm, .sigint)
}

/// Ends the group when somebody wants the node to stop.
private struct SignalService: Service {
    let signals: UnixSignalsSequence

    func run() async throws {
        await cancelWhenGracefulShutdown { for await _ in signals { return } }
    }
}

/// Ends the group when the node cannot go on.
private struct FailureService: Service {
    let failure: Failure

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await failure.wait() }
    }
}

/// Lets go of whoever waits for the next block; stopped first, for others wait for it.
private struct ReleaseService: Service {
    let core: NodeCore

    func run() async throws {
        try? await gracefulShutdown()
        await core.releaseContributors()
    }
}
