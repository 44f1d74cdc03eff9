import Cryptography
package import Ledger
import Logging
import Messaging
import Synchronization
package import Wire

/// Connections to the other nodes: the coordinator that this one follows, and all who listen.
///
/// They are made when they are first needed and made anew when a member's address or key changed.
///
/// While keys change, nobody knows which of them the other side uses yet: each changes over when its
/// own chain says so. So there are several ways to a node, and one that fails gives way to the next.
final class PeerLinks: Sendable {
    private struct State {
        var nodes: [AccountID: [MemberDirectory.Node]] = [:]
        /// The ways to a node that failed, counted; the next one is tried.
        var attempts: [AccountID: Int] = [:]
        var clients: [AccountID: (way: Way, client: RequestClient)] = [:]
        var coordinator: AccountID?
        var hints: HintSubscriber?
        var hintsOf: Way?
        /// Nodes that did not answer when they were last asked.
        var silent: Set<AccountID> = []
        /// Nodes that are being told of this one's head.
        var underWay: Set<AccountID> = []
    }

    /// How a node may be reached: where it listens with which key, and with which of this node's.
    private struct Way: Equatable {
        let node: MemberDirectory.Node
        /// Index of this node's key.
        let key: Int
    }

    private let context: MessagingContext
    private let account: AccountID
    private let keys: [TransportKey]
    private let logger: Logger
    private let state = Mutex(State())
    /// Something was proposed; a hint only.
    let wakeUps: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - context: the process's sockets.
    ///   - account: of this node.
    ///   - keys: of this node; the one that its chain lists first.
    ///   - logger: told who does not answer.
    init(context: MessagingContext, account: AccountID, keys: [TransportKey], logger: Logger) {
        self.context = context
        self.account = account
        self.keys = keys
        self.logger = logger
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes note of who listens where.
    func update(_ nodes: [AccountID: [MemberDirectory.Node]]) async {
        let gone = state.withLock { state -> [RequestClient] in
            for account in nodes.keys where nodes[account] != state.nodes[account] {
                state.attempts[account] = nil
            }
            state.nodes = nodes
            let stale = state.clients.filter {
                nodes[$0.key]?.contains($0.value.way.node) != true
            }
            for account in stale.keys { state.clients[account] = nil }
            return stale.values.map(\.client)
        }
        for client in gone { await client.close() }
        await listen()
    }

    /// Follows a coordinator from now on.
    func follow(_ coordinator: AccountID) async {
        let isNew = state.withLock { state in
            defer { state.coordinator = coordinator }
            return state.coordinator != coordinator
        }
        if isNew {
            logger.info("following \(coordinator)")
            await listen()
        }
    }

    /// Whether this node itself is the coordinator that it follows.
    var isCoordinator: Bool { state.withLock { $0.coordinator == account } }

    /// To the coordinator; nil at the coordinator itself, and while none is known to listen.
    var coordinator: RequestClient? {
        let account = state.withLock { $0.coordinator }
        return account.flatMap(client(to:))
    }

    /// Every other node that listens, the coordinator first, then ascending by account.
    var others: [(account: AccountID, client: RequestClient)] {
        let (coordinator, accounts) = state.withLock { ($0.coordinator, $0.nodes.keys.sorted()) }
        let ordered = accounts.filter { $0 == coordinator } + accounts.filter { $0 != coordinator }
        return ordered.compactMap { account in
            client(to: account).map { (account: account, client: $0) }
        }
    }

    /// - Returns: whether no exchange with the node was under way.
    func begin(_ account: AccountID) -> Bool {
        state.withLock { $0.underWay.insert(account).inserted }
    }

    func end(_ account: AccountID) { _ = state.withLock { $0.underWay.remove(account) } }

    /// Takes note that a node answered; said once in the log, when it had not before.
    func answered(_ account: AccountID) {
        let wasSilent = state.withLock { $0.silent.remove(account) != nil }
        if wasSilent { logger.info("\(account) answers again") }
    }

    /// Takes note that a node gave no answer; said once in the log.
    ///
    /// A connection that was refused is made anew: libzmq does not try it again, and a member that a
    /// decision brings in is let in later. Where there are several ways to the node the next one is
    /// tried, unless this one stands and the node is only slow.
    func failed(_ account: AccountID, _ client: RequestClient, _ error: any Error) async {
        let isNew = state.withLock { $0.silent.insert(account).inserted }
        if isNew {
            logger.notice(
                "a node does not answer",
                metadata: ["node": "\(account)", "reason": "\(error)"])
        }
        guard case MessagingError.timedOut(_, _, let link) = error, link != .connected else {
            return
        }
        let isGivenUp = state.withLock { state in
            // Another request may have failed on it before.
            guard state.clients[account]?.client === client else { return false }
            let ways = (state.nodes[account] ?? []).count * keys.count
            guard link == .refused || ways > 1 else { return false }
            state.clients[account] = nil
            state.attempts[account, default: 0] &+= 1
            return true
        }
        guard isGivenUp else { return }
        await client.close()
        await listen()
    }

    /// The way to a node that is tried now: each of its documents in turn, then again with the next
    /// of this node's keys.
    private func way(to account: AccountID, _ state: State) -> Way? {
        guard let nodes = state.nodes[account], !nodes.isEmpty, !keys.isEmpty else { return nil }
        let turn = (state.attempts[account] ?? 0) % (nodes.count * keys.count)
        return Way(node: nodes[turn % nodes.count], key: turn / nodes.count)
    }

    private func client(to account: AccountID) -> RequestClient? {
        guard account != self.account else { return nil }
        return state.withLock { state in
            if let known = state.clients[account] { return known.client }
            guard let way = way(to: account, state) else { return nil }
            do {
                let client = try RequestClient(
                    context: context, endpoint: way.node.endpoint,
                    serverKey: way.node.transportKey, key: keys[way.key])
                state.clients[account] = (way, client)
                return client
            } catch {
                logger.warning(
                    "no way to a member",
                    metadata: ["member": "\(account)", "reason": "\(error)"])
                return nil
            }
        }
    }

    /// Hears the hints of the coordinator that is followed, the way that its answers come.
    private func listen() async {
        let old = state.withLock { state -> HintSubscriber? in
            let way = state.coordinator.flatMap { coordinator in
                coordinator == account
                    ? nil : state.clients[coordinator]?.way ?? self.way(to: coordinator, state)
            }
            guard way != state.hintsOf else { return nil }
            let old = state.hints
            (state.hints, state.hintsOf) = (way.flatMap(subscribe(by:)), way)
            return old
        }
        await old?.close()
    }

    private func subscribe(by way: Way) -> HintSubscriber? {
        do {
            let subscriber = try HintSubscriber(
                context: context, endpoint: try hintEndpoint(of: way.node.endpoint),
                serverKey: way.node.transportKey, key: keys[way.key])
            Task { [wake] in
                for await _ in subscriber.hints { wake.yield() }
            }
            return subscriber
        } catch {
            logger.notice("no hints from \(way.node.account)", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    func close() async {
        let (clients, hints) = state.withLock { state in
            defer { state = State() }
            return (state.clients.values.map(\.client), state.hints)
        }
        for client in clients { await client.close() }
        await hints?.close()
        wake.finish()
    }
}

/// Proposals are announced on the port after the one for requests.
func hintEndpoint(of endpoint: String) throws -> String {
    guard let colon = endpoint.lastIndex(of: ":"),
        let port = UInt16(endpoint[endpoint.index(after: colon)...]), port < .max
    else {
        throw HomeError.foreign(
            "the endpoint \"\(endpoint)\" has no port; it must be like tcp://10.0.0.5:7300")
    }
    return "\(endpoint[...colon])\(port + 1)"
}

/// Members that may connect, and where those listen that other nodes ask.
package struct MemberDirectory: Sendable {
    package struct Node: Hashable, Sendable {
        package let account: AccountID
        package let endpoint: String
        package let transportKey: [UInt8]
    }

    /// CURVE public key (32 bytes) → account.
    package private(set) var allowed: [[UInt8]: String] = [:]
    /// Sites and coordinators that listen, by account, each with every document of it that was added,
    /// in that order: which of them it goes by is known to itself alone while its keys change.
    package private(set) var nodes: [AccountID: [Node]] = [:]
    /// Of those allowed, who has left, with the height at which its keys ended.
    package private(set) var leaving: [String: Height] = [:]

    package init() {}

    /// Adds a voter that has left and may still ask for the blocks that say so.
    package mutating func add(_ document: WireMemberDocument, endedAt height: Height) {
        allowed[[UInt8](document.transportKey)] = document.account
        leaving[document.account] = height
    }

    /// Adds a member; a later document of an account stands beside the earlier one.
    package mutating func add(_ document: WireMemberDocument) {
        guard let account = AccountID(document.account) else { return }
        let key = [UInt8](document.transportKey)
        allowed[key] = account.text
        leaving[account.text] = nil
        guard account.role?.votes == true, !document.endpoint.isEmpty else { return }
        let node = Node(account: account, endpoint: document.endpoint, transportKey: key)
        if nodes[account]?.contains(node) != true { nodes[account, default: []].append(node) }
    }
}
