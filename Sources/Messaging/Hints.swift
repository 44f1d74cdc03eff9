import CZeroMQ
package import Cryptography

/// Tells subscribers that there may be news; a hint may be lost, so state is always asked for.
package actor HintPublisher {
    private let context: MessagingContext
    private let socket: RawSocket
    private let id: UInt64
    private var isClosed = false

    /// The address that is listened at, with the port that the system chose for `*`.
    package nonisolated let endpoint: String

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        context.thread.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - context: decides whose keys are let in.
    ///   - endpoint: `tcp://address:port`; a port `*` lets the system choose.
    ///   - key: this server's CURVE key.
    ///   - limits: sizes and times.
    /// - Throws: ``MessagingError`` that names the endpoint.
    package init(
        context: MessagingContext, endpoint: String, key: TransportKey,
        limits: MessagingLimits = MessagingLimits()
    ) throws {
        let socket = try RawSocket(context.thread.context, kind: ZMQ_PUB, name: endpoint)
        do {
            try socket.configure(limits, queue: 64)
            try socket.secureAsServer(key)
            try socket.bind(endpoint)
            self.endpoint = try socket.lastEndpoint()
        } catch {
            socket.close()
            throw error
        }
        self.context = context
        self.socket = socket
        id = try context.thread.adopt([socket])[0]
        context.thread.watch(
            id,
            SocketCallbacks(
                ready: { [weak self] in self?.assumeIsolated { $0.discard() } },
                ending: { [weak self] in self?.assumeIsolated { $0.isClosed = true } }))
    }

    deinit { context.thread.release(id) }

    /// Sends a hint to whoever is connected; a subscriber that does not read misses it.
    package func publish(_ hint: [UInt8]) {
        guard !isClosed else { return }
        _ = try? socket.send([hint])
    }

    package func close() {
        isClosed = true
        context.thread.release(id)
    }

    private func discard() {
        while !isClosed, (try? socket.receive()) != nil {}
    }
}

/// Hears a publisher's hints; of those that nobody took in time the newest are kept.
package actor HintSubscriber {
    private let context: MessagingContext
    private let socket: RawSocket
    private let continuation: AsyncStream<[UInt8]>.Continuation
    private let id: UInt64
    private var isClosed = false

    /// The hints as they come; it ends when the subscriber is closed.
    package nonisolated let hints: AsyncStream<[UInt8]>

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        context.thread.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - context: the process's sockets.
    ///   - endpoint: `tcp://host:port` of the publisher.
    ///   - serverKey: the publisher's CURVE public key, 32 bytes.
    ///   - key: our own key, which the publisher must know.
    ///   - buffered: how many hints are kept for a reader that is late.
    ///   - limits: sizes and times.
    /// - Throws: ``MessagingError`` for an address or a key that cannot be used; a publisher
    ///   that is not there yet is no error.
    package init(
        context: MessagingContext, endpoint: String, serverKey: [UInt8], key: TransportKey,
        buffered: Int = 16, limits: MessagingLimits = MessagingLimits()
    ) throws {
        let socket = try RawSocket(context.thread.context, kind: ZMQ_SUB, name: endpoint)
        do {
            try socket.configure(limits, queue: 64)
            try socket.secureAsClient(key, serverKey: serverKey)
            try socket.set(ZMQ_SUBSCRIBE, bytes: [])
            try socket.connect(endpoint)
        } catch {
            socket.close()
            throw error
        }
        (hints, continuation) = AsyncStream.makeStream(
            of: [UInt8].self, bufferingPolicy: .bufferingNewest(buffered))
        self.context = context
        self.socket = socket
        id = try context.thread.adopt([socket])[0]
        context.thread.watch(
            id,
            SocketCallbacks(
                ready: { [weak self] in self?.assumeIsolated { $0.receiveAll() } },
                ending: { [weak self] in self?.assumeIsolated { $0.stop() } }))
    }

    deinit {
        continuation.finish()
        context.thread.release(id)
    }

    package func close() {
        stop()
        context.thread.release(id)
    }

    private func stop() {
        isClosed = true
        continuation.finish()
    }

    private func receiveAll() {
        while !isClosed, let message = try? socket.receive() {
            if message.frames.count == 1 { continuation.yield(message.frames[0]) }
        }
    }
}
