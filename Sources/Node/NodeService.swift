import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
package import Logging
import Messaging
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
    let worker: DutyWorker
    let context: MessagingContext
    let server: RequestServer
    let client: RequestClient?
    let gateway: Gateway
    let failure: Failure
    let logger: Logger
}

private func currentMilliseconds() -> UInt64 {
    UInt64(max(0, Date().timeIntervalSince1970 * 1000))
}

/// Runs the consortium's coordinator until SIGTERM or SIGINT.
package func runCoordinator(home: Home, passphrase: String?, logger: Logger) async throws {
    let signals = await stopSignals()
    let node = try await start(home, .coordinator, passphrase, logger)
    let genesis = node.core.genesis
    let hints = try HintPublisher(
        context: node.context, endpoint: try hintEndpoint(of: genesis.coordinator.endpoint),
        key: node.keys.transport)
    let interval = Duration.milliseconds(genesis.agreement.chain.blockIntervalMs)
    try await run(
        node, until: signals,
        [ProposalService(core: node.core, hints: hints, interval: interval)])
    await hints.close()
}

/// Runs a site's worker until SIGTERM or SIGINT.
package func runSite(home: Home, passphrase: String?, logger: Logger) async throws {
    let signals = await stopSignals()
    let node = try await start(home, .site, passphrase, logger)
    guard let client = node.client else { return }
    let coordinator = node.core.genesis.coordinator
    let hints = try HintSubscriber(
        context: node.context, endpoint: try hintEndpoint(of: coordinator.endpoint),
        serverKey: coordinator.transportKey, key: node.keys.transport)
    try await run(
        node, until: signals,
        [SyncService(core: node.core, client: client, hints: hints, logger: logger)])
    await hints.close()
}

/// Proposals are announced on the port after the one for requests.
private func hintEndpoint(of endpoint: String) throws -> String {
    guard let colon = endpoint.lastIndex(of: ":"),
        let port = UInt16(endpoint[endpoint.index(after: colon)...]), port < .max
    else {
        throw HomeError.foreign(
            "the coordinator's endpoint \"\(endpoint)\" has no port; it must be like "
                + "tcp://10.0.0.5:7300")
    }
    return "\(endpoint[...colon])\(port + 1)"
}

private func start(
    _ home: Home, _ role: Role, _ passphrase: String?, _ logger: Logger
) async throws -> RunningNode {
    let keys = try home.keyRing(passphrase: passphrase)
    guard keys.account.role == role else {
        throw HomeError.foreign(
            "\(home.path) is the home of \(keys.account), not of a \(role.rawValue)")
    }
    umask(0o077)
    // A write beyond a file-size limit is an error to report, not a reason to die without a word.
    signal(SIGXFSZ, SIG_IGN)
    let context = try MessagingContext(logger: logger)
    let lock = try HomeLock(home)
    let store = try LedgerStore.open(at: home.ledger)
    let genesis = store.genesis
    guard genesis.network == (try home.genesisDocument()).network else {
        throw StorageError.foreignNetwork(path: home.ledger)
    }
    let blobs = try BlobStore(folder: home.blobs)
    try blobs.removeLeftovers()
    let patients =
        role == .site
        ? try PatientStore(
            path: home.patients, key: try home.patientsKey(), network: genesis.network) : nil
    let core = try NodeCore(
        store: store, blobs: blobs, keys: keys, clock: currentMilliseconds)
    let coordinator = genesis.coordinator
    let client =
        role == .coordinator
        ? nil
        : try RequestClient(
            context: context, endpoint: coordinator.endpoint,
            serverKey: coordinator.transportKey, key: keys.transport)
    let worker = try DutyWorker(
        home: home, store: store, blobs: blobs, patients: patients, account: keys.account,
        client: client, logger: logger)
    let failure = Failure()
    let desk = try patients.map {
        PatientDesk(
            site: keys.account, agreement: genesis.agreement, patients: $0,
            contentKey: try home.contentKey())
    }
    let gateway = Gateway(
        core: core,
        blobs: BlobServer(
            store: blobs, maximum: NodeLimits.blobBytes, receives: role == .coordinator,
            failed: { failure.raise($0) }),
        reports: ReportDesk(
            Reporter(store: try LedgerStore.reading(at: home.ledger), blobs: blobs)),
        uplink: client,
        submitter: client.map { Submitter(keys: keys, network: genesis.network, client: $0) },
        desk: desk, failure: failure, logger: logger)
    if let allowed = try await core.changedMembers() { context.setAllowed(allowed) }
    let endpoint = try home.member().endpoint
    let server = try RequestServer(
        context: context, endpoints: endpoint.isEmpty ? [] : [endpoint], key: keys.transport,
        localPath: home.socket,
        limits: MessagingLimits(maximumMessageSize: NodeLimits.messageBytes)
    ) { peer, body in await gateway.answer(peer, body) }
    let tip = await core.settledTip
    logger.info(
        "\(keys.account) is up",
        metadata: ["settled": "\(tip.height)", "endpoint": "\(endpoint)"])
    return RunningNode(
        home: home, lock: lock, keys: keys, core: core, worker: worker, context: context,
        server: server,
        client: client, gateway: gateway, failure: failure, logger: logger)
}

/// Taken from the first moment on: a signal that comes while a node starts must not end it halfway.
private func stopSignals() async -> UnixSignalsSequence {
    await UnixSignalsSequence(trapping: .sigterm, .sigint)
}

private func run(
    _ node: RunningNode, until signals: UnixSignalsSequence, _ services: [any Service]
) async throws {
    // To the very end, so that a second signal does not cut the first one's work short.
    defer { withExtendedLifetime(signals) {} }
    let duties = DutyService(node: node)
    let group = ServiceGroup(
        configuration: .init(
            services: (services + [
                duties, FailureService(failure: node.failure), ReleaseService(core: node.core),
                SignalService(signals: signals),
            ]).map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
            },
            logger: quiet(node.logger)))
    var outcome: (any Error)?
    do { try await group.run() } catch { outcome = error }
    await node.server.close(draining: .seconds(2))
    await node.client?.close()
    do { try await node.core.close() } catch { outcome = outcome ?? error }
    await node.context.shutdown()
    try? FileManager.default.removeItem(atPath: node.home.socket)
    if let outcome { throw outcome }
    node.logger.info("\(node.keys.account) has stopped")
}

/// The lifecycle library's own words are for its developers.
private func quiet(_ logger: Logger) -> Logger {
    var quiet = logger
    quiet.logLevel = .critical
    return quiet
}

extension ThrowingTaskGroup<Void, any Error> {
    /// Waits for all tasks; the first error ends the others, which `waitForAll` would wait for.
    fileprivate mutating func endTogether() async throws {
        do { while try await next() != nil {} } catch is CancellationError {}
    }
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

/// Proposes blocks when they are due and announces them.
private struct ProposalService: Service {
    let core: NodeCore
    let hints: HintPublisher
    let interval: Duration

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled {
                        try await Task.sleep(for: interval / 4)
                        core.wakeUp()
                    }
                }
                group.addTask {
                    for await _ in core.wakeUps {
                        guard let height = try await core.propose() else { continue }
                        await hints.publish(bigEndian(height.value))
                    }
                }
                try await group.endTogether()
            }
        }
    }
}

/// Follows the chain: fetches blocks, votes, and tells the coordinator.
private struct SyncService: Service {
    static let poll = Duration.milliseconds(500)
    /// For an answer; a request that a lost connection swallowed is asked again after it.
    static let patience = Duration.seconds(3)

    let core: NodeCore
    let client: RequestClient
    let hints: HintSubscriber
    let logger: Logger

    func run() async throws {
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await _ in hints.hints { wake.yield() }
                }
                group.addTask {
                    while !Task.isCancelled {
                        wake.yield()
                        try await Task.sleep(for: Self.poll)
                    }
                }
                group.addTask {
                    for await _ in wakeUps { try await follow() }
                }
                try await group.endTogether()
            }
        }
    }

    /// Takes every block there is; a coordinator that does not answer is asked again later.
    private func follow() async throws {
        do {
            while !Task.isCancelled {
                var request = WireRequest()
                request.nextBlock.height = await core.head.height.value
                guard
                    case .block(let answer) = try await client.ask(
                        request, timeout: Self.patience)
                else { return }
                guard !answer.block.isEmpty else {
                    // The coordinator may have lost the vote in a crash.
                    if let vote = try await core.voteForHead() { try await send(vote) }
                    return
                }
                guard let vote = try await core.consider([UInt8](answer.block)) else {
                    logger.warning("withholding a vote: the block's time is ahead of this clock")
                    return
                }
                try await send(vote)
            }
        } catch let error as StorageError {
            throw error
        } catch let error as StateFault {
            throw error
        } catch let refusal as BlockRefusal {
            logger.error("refusing a block", metadata: ["reason": "\(refusal)"])
        } catch is CancellationError {
        } catch {
            logger.notice("the coordinator does not answer", metadata: ["reason": "\(error)"])
        }
    }

    private func send(_ vote: Vote) async throws {
        var request = WireRequest()
        request.vote.vote = data(vote.encoded())
        _ = try await client.ask(request, timeout: Self.patience)
    }
}

/// Does what this voter owes to the run, and keeps the list of allowed peers.
private struct DutyService: Service {
    static let retry = Duration.seconds(30)

    let node: RunningNode

    func run() async throws {
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await _ in node.core.settlements { wake.yield() }
                }
                group.addTask {
                    while !Task.isCancelled {
                        wake.yield()
                        try await Task.sleep(for: .seconds(1))
                    }
                }
                group.addTask { try await follow(wakeUps) }
                try await group.endTogether()
            }
        }
    }

    private func follow(_ wakeUps: AsyncStream<Void>) async throws {
        let clock = ContinuousClock()
        var reported: [Duty: ContinuousClock.Instant] = [:]
        for await _ in wakeUps {
            if let allowed = try await node.core.changedMembers() {
                node.context.setAllowed(allowed)
            }
            let owed = try await node.core.duties()
            reported = reported.filter { owed.contains($0.key) }
            for duty in owed {
                if let last = reported[duty], clock.now - last < Self.retry { continue }
                try await attempt("\(duty)") {
                    let transactions = try await node.worker.perform(duty)
                    if !transactions.isEmpty { _ = try await node.gateway.contribute(transactions) }
                    reported[duty] = clock.now
                }
            }
            try await attempt("fetching missing blobs") { try await node.worker.fetchMissing() }
        }
    }

    /// Does something that is tried again when it fails, unless the node cannot go on.
    private func attempt(_ duty: String, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as CancellationError {
            throw error
        } catch let error as StorageError {
            throw error
        } catch let error as StateFault {
            throw error
        } catch {
            node.logger.notice(
                "a duty must wait", metadata: ["duty": "\(duty)", "reason": "\(error)"])
        }
    }
}
