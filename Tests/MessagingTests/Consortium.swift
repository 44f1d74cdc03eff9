import CZeroMQ
import Cryptography
import Logging
import Synchronization
import Testing

import Messaging

/// A server context and its key, with clients that are registered at it.
final class Consortium: Sendable {
    let context: MessagingContext
    let key: TransportKey
    private let allowed = Mutex<[[UInt8]: String]>([:])

    init(logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) throws
    {
        context = try MessagingContext(logger: logger)
        key = try TransportKey.generate()
    }

    func register(_ account: String) throws -> TransportKey {
        let key = try TransportKey.generate()
        context.setAllowed(
            allowed.withLock {
                $0[key.publicKey] = account
                return $0
            })
        return key
    }

    func remove(_ key: TransportKey) {
        context.setAllowed(
            allowed.withLock {
                $0[key.publicKey] = nil
                return $0
            })
    }

    func server(
        localPath: String? = nil, limits: MessagingLimits = MessagingLimits(),
        handler: @escaping RequestServer.Handler
    ) throws -> RequestServer {
        try RequestServer(
            context: context, endpoints: ["tcp://127.0.0.1:*"], key: key, localPath: localPath,
            limits: limits, handler: handler)
    }

    func client(
        _ server: RequestServer, _ key: TransportKey, limits: MessagingLimits = MessagingLimits()
    ) throws -> RequestClient {
        try RequestClient(
            context: context, endpoint: server.endpoints[0], serverKey: self.key.publicKey,
            key: key, limits: limits)
    }
}

/// A DEALER in a context of its own, which sends whatever it is told to.
final class RawPeer {
    private let context: ContextHandle
    let socket: RawSocket

    init(
        _ endpoint: String, serverKey: [UInt8], key: TransportKey, routingID: String? = nil,
        receiveQueue: Int32? = nil
    ) throws {
        context = ContextHandle(pointer: try #require(zmq_ctx_new()))
        socket = try RawSocket(context, kind: ZMQ_DEALER, name: endpoint)
        try socket.set(ZMQ_LINGER, 200)
        if let routingID { try socket.set(ZMQ_ROUTING_ID, bytes: Array(routingID.utf8)) }
        if let receiveQueue { try socket.set(ZMQ_RCVHWM, receiveQueue) }
        try socket.secureAsClient(key, serverKey: serverKey)
        try socket.connect(endpoint)
    }

    deinit {
        socket.close()
        zmq_ctx_term(context.pointer)
    }

    /// The next message within the time, polled from the test's task.
    func receive(within time: Duration) async throws -> [[UInt8]]? {
        let deadline = ContinuousClock.now + time
        while .now < deadline {
            if let message = try socket.receive() { return message.frames }
            try await Task.sleep(for: .milliseconds(5))
        }
        return nil
    }
}

/// Counts calls and remembers who made them.
final class Calls: Sendable {
    private let seen = Mutex<[Peer]>([])

    func note(_ peer: Peer) { seen.withLock { $0.append(peer) } }
    var peers: [Peer] { seen.withLock { $0 } }
}

/// A door that handlers wait behind until the test opens it.
actor Gate {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private(set) var arrivals = 0

    func pass() async {
        arrivals += 1
        guard !isOpen else { return }
        await withCheckedContinuation { waiters.append($0) }
    }

    func open() {
        isOpen = true
        for waiter in waiters { waiter.resume() }
        waiters = []
    }
}

/// Waits until the condition holds, at most ten seconds.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<2_000 {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// A request id as it stands on the wire: 8 bytes, big-endian.
func idBytes(_ id: UInt8) -> [UInt8] { [0, 0, 0, 0, 0, 0, 0, id] }
