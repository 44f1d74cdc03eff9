import CZeroMQ
package import Cryptography

/// Who sent a request.
package enum Peer: Hashable, Sendable, CustomStringConvertible {
    /// A process of the same user on this machine, through the local socket.
    case local
    /// The account whose key CURVE vouched for.
    case member(String)

    package var description: String {
        switch self {
        case .local: "local"
        case .member(let account): account
        }
    }
}

/// What a server did not work on, counted since its start.
package struct RequestCounts: Hashable, Sendable {
    /// Messages that were no request of ours.
    package var malformed = 0
    /// Messages of an account that is no longer allowed, which hears so.
    package var refused = 0
    /// Requests above the limit of their account.
    package var busy = 0
    /// Answers whose asker was gone or did not read.
    package var undelivered = 0

    package init() {}
}

/// Answers requests on any number of CURVE endpoints and on a local socket.
///
/// A peer is the account that ZAP gave its key, never its routing id. Handlers run side by side
/// off the socket thread; an account beyond its limit hears "busy" while others are served.
package actor RequestServer {
    package typealias Handler = @Sendable (Peer, [UInt8]) async -> [UInt8]

    private enum Side { case curve, local }

    /// Messages taken from one socket before the others get their turn.
    private static let turn = 256

    private let context: MessagingContext
    private let limits: MessagingLimits
    private let handler: Handler
    private let curve: RawSocket?
    private let local: RawSocket?
    private let ids: [UInt64]
    private var inFlight: [Peer: Int] = [:]
    private var tasks: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0
    private var isClosing = false
    private var isClosed = false

    /// The addresses that are listened at, with the ports that the system chose for `*`.
    package nonisolated let endpoints: [String]

    package private(set) var counts = RequestCounts()

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        context.thread.asUnownedSerialExecutor()
    }

    /// Listens at once; the first request may be handled before this returns.
    ///
    /// - Parameters:
    ///   - context: decides whose keys are let in.
    ///   - endpoints: `tcp://address:port`; a port `*` lets the system choose.
    ///   - key: this server's CURVE key.
    ///   - localPath: a Unix domain socket, made with mode 0600; its peers are ``Peer/local``.
    ///   - limits: sizes and times.
    ///   - handler: one request in, one answer out; called for many requests at the same time.
    /// - Throws: ``MessagingError`` that names the endpoint.
    package init(
        context: MessagingContext, endpoints: [String], key: TransportKey,
        localPath: String? = nil, limits: MessagingLimits = MessagingLimits(),
        handler: @escaping Handler
    ) throws {
        self.context = context
        self.limits = limits
        self.handler = handler
        var opened: [RawSocket] = []
        do {
            var curve: RawSocket?
            var bound: [String] = []
            if !endpoints.isEmpty {
                let socket = try Self.router(context, name: endpoints[0], limits)
                opened.append(socket)
                try socket.secureAsServer(key)
                for endpoint in endpoints {
                    try socket.bind(endpoint)
                    bound.append(try socket.lastEndpoint())
                }
                curve = socket
            }
            var local: RawSocket?
            if let localPath {
                let socket = try Self.router(context, name: "ipc://\(localPath)", limits)
                opened.append(socket)
                try LocalSocket.bind(socket, path: localPath)
                local = socket
            }
            self.curve = curve
            self.local = local
            self.endpoints = bound
        } catch {
            for socket in opened { socket.close() }
            throw error
        }
        ids = try context.thread.adopt(opened)
        let callbacks = SocketCallbacks(
            ready: { [weak self] in self?.assumeIsolated { $0.receiveAll() } },
            ending: { [weak self] in self?.assumeIsolated { $0.stop() } })
        for id in ids { context.thread.watch(id, callbacks) }
    }

    deinit { for id in ids { context.thread.release(id) } }

    /// A ROUTER that says when an answer cannot be queued, instead of dropping it unseen.
    private static func router(
        _ context: MessagingContext, name: String, _ limits: MessagingLimits
    ) throws -> RawSocket {
        let socket = try RawSocket(context.thread.context, kind: ZMQ_ROUTER, name: name)
        do {
            try socket.configure(limits, queue: 2 * limits.maximumInFlight)
            try socket.set(ZMQ_ROUTER_MANDATORY, 1)
        } catch {
            socket.close()
            throw error
        }
        return socket
    }

    /// Takes no further request, lets those in hand finish, then closes the sockets.
    ///
    /// - Parameter draining: how long handlers may go on; after that they are cancelled.
    package func close(draining: Duration = .zero) async {
        isClosing = true
        let deadline = ContinuousClock.now + draining
        while !isClosed, !tasks.isEmpty, .now < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
        guard !isClosed else { return }
        stop()
        for id in ids { context.thread.release(id) }
    }

    private func stop() {
        isClosing = true
        isClosed = true
        for task in tasks.values { task.cancel() }
        tasks = [:]
    }

    private func receiveAll() {
        guard !isClosing else { return discardAll() }
        if let curve { receive(from: curve, .curve) }
        if let local { receive(from: local, .local) }
    }

    /// While the server drains, what still arrives is taken and dropped, so that polling rests.
    private func discardAll() {
        for socket in [curve, local].compactMap({ $0 }) where !isClosed {
            while let message = try? socket.receive(), !message.frames.isEmpty {}
        }
    }

    private func receive(from socket: RawSocket, _ side: Side) {
        for _ in 0..<Self.turn {
            do {
                guard let message = try socket.receive() else { return }
                accept(message, side)
            } catch {
                counts.malformed += 1
                return
            }
        }
    }

    private func accept(_ message: ReceivedMessage, _ side: Side) {
        guard let request = RequestFrames(message.frames) else {
            counts.malformed += 1
            return
        }
        let peer: Peer
        switch (side, message.userID) {
        case (.local, _): peer = .local
        case (.curve, let account?) where context.isAllowed(account): peer = .member(account)
        case (.curve, let account):
            counts.refused += 1
            // It was a member when it connected: it is told, not left to wait.
            guard account != nil else { return }
            return send(.noMember, [], to: request.routingID, request.requestID, side)
        }
        guard inFlight[peer, default: 0] < limits.maximumInFlight else {
            counts.busy += 1
            return send(.busy, [], to: request.routingID, request.requestID, side)
        }
        inFlight[peer, default: 0] += 1
        let number = nextTask
        nextTask += 1
        tasks[number] = work(on: request, of: peer, side, number)
    }

    /// Starts the handler on the cooperative pool, away from the socket thread.
    private nonisolated func work(
        on request: RequestFrames, of peer: Peer, _ side: Side, _ number: UInt64
    ) -> Task<Void, Never> {
        Task { [handler] in
            let answer = await handler(peer, request.body)
            await self.finish(
                number, peer, answer, to: request.routingID, request.requestID, side)
        }
    }

    private func finish(
        _ number: UInt64, _ peer: Peer, _ answer: [UInt8], to routingID: [UInt8],
        _ requestID: [UInt8], _ side: Side
    ) {
        tasks[number] = nil
        let left = inFlight[peer, default: 1] - 1
        inFlight[peer] = left > 0 ? left : nil
        guard !isClosed else { return }
        if answer.count > limits.maximumMessageSize {
            send(.answerTooLarge, [], to: routingID, requestID, side)
        } else {
            send(.ok, answer, to: routingID, requestID, side)
        }
    }

    private func send(
        _ status: Status, _ body: [UInt8], to routingID: [UInt8], _ requestID: [UInt8], _ side: Side
    ) {
        guard let socket = side == .curve ? curve : local else { return }
        let frames = [routingID, requestID, [status.rawValue], body]
        let sent = try? socket.send(frames)
        if sent != .sent { counts.undelivered += 1 }
    }
}
