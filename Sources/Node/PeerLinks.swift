import Cryptography
package import Ledger
import Logging
import Messaging
import Synchronization
package import Wire

/// Connections to the other nodes: the coordinator that this one follows, and all who listen.
///
/// They are made when they are first needed and made anew when a member's address or key changed.
final class PeerLinks: Sendable {
    private struct State {
        var nodes: [AccountID: MemberDirectory.Node] = [:]
        var clients: [AccountID: (node: MemberDirectory.Node, client: RequestClient)] = [:]
        var coordinator: AccountID?
        var hints: HintSubscriber?
        var hintsOf: MemberDirectory.Node?
        /// Nodes that did not answer when they were last asked.
        var silent: Set<AccountID> = []
        /// Nodes that are being told of this one's head.
        var underWay: Set<AccountID> = []
    }

    private let context: MessagingContext
    private let account: AccountID
    private let key: TransportKey
    private let logger: Logger
    private let state = Mutex(State())
    /// Something was proposed; a hint only.
    let wakeUps: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(context: MessagingContext, account: AccountID, key: TransportKey, logger: Logger) {
        self.context = context
        self.account = account
        self.key = key
        self.logger = logger
        (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes note of who listens where.
    func update(_ nodes: [AccountID: MemberDirectory.Node]) async {
        let gone = state.withLock { state -> [RequestClient] in
            state.nodes = nodes
            let stale = state.clients.filter { nodes[$0.key] != $0.value.node }
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
    /// decision brings in is let in later.
    func failed(_ account: AccountID, _ error: any Error) async {
        let isNew = state.withLock { $0.silent.insert(account).inserted }
        if isNew {
            logger.notice(
                "a node does not answer",
                metadata: ["node": "\(account)", "reason": "\(error)"])
        }
        guard case MessagingError.timedOut(_, _, link: .refused) = error else { return }
        let refused = state.withLock { $0.clients.removeValue(forKey: account)?.client }
        await refused?.close()
    }

    private func client(to account: AccountID) -> RequestClient? {
        guard account != self.account else { return nil }
        return state.withLock { state in
            if let known = state.clients[account] { return known.client }
            guard let node = state.nodes[account] else { return nil }
            do {
                let client = try RequestClient(
                    context: context, endpoint: node.endpoint, serverKey: node.transportKey,
                    key: key)
                state.clients[account] = (node, client)
                return client
            } catch {
                logger.warning(
                    "no way to a member",
                    metadata: ["member": "\(account)", "reason": "\(error)"])
                return nil
            }
        }
    }

    /// Hears the hints of the coordinator that is followed.
    private func listen() async {
        let old = state.withLock { state -> HintSubscriber? in
            let node = state.coordinator.flatMap { $0 == account ? nil : state.nodes[$0] }
            guard node != state.hintsOf else { return nil }
            let old = state.hints
            (state.hints, state.hintsOf) = (node.flatMap(subscribe(to:)), node)
            return old
        }
        await old?.close()
    }

    private func subscribe(to node: MemberDirectory.Node) -> HintSubscriber? {
        do {
            let subscriber = try HintSubscriber(
                context: context, endpoint: try hintEndpoint(of: node.endpoint),
                serverKey: node.transportKey, key: key)
            Task { [wake] in
                for await _ in subscriber.hints { wake.yield() }
            }
            return subscriber
        } catch {
            logger.notice("no hints from \(node.account)", metadata: ["reason": "\(error)"])
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
    /// Sites and coordinators that listen, by account.
    package private(set) var nodes: [AccountID: Node] = [:]
    /// Of those allowed, who has left, with the height at which its keys ended.
    package private(set) var leaving: [String: Height] = [:]

    package init() {}

    /// Adds a voter that has left and may still ask for the blocks that say so.
    package mutating func add(_ document: WireMemberDocument, endedAt height: Height) {
        allowed[[UInt8](document.transportKey)] = document.account
        leaving[document.account] = height
    }

    /// Adds a member; a later document of an account stands beside the earlier one's key.
    package mutating func add(_ document: WireMemberDocument) {
        guard let account = AccountID(document.account) else { return }
        let key = [UInt8](document.transportKey)
        allowed[key] = account.text
        leaving[account.text] = nil
        guard account.role?.votes == true, !document.endpoint.isEmpty else { return }
        nodes[account] = Node(
            account: account, endpoint: document.endpoint, transportKey: key)
    }
}
