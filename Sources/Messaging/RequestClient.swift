import CZeroMQ
package import Cryptography

/// Sends requests to one server, many at a time, and matches its answers to them.
///
/// It connects, and connects again, by itself. A request that was cut off by a lost connection
/// is not sent a second time: it fails at once, since an answer finds only the connection that
/// asked, and its caller repeats it, as every request may be.
package actor RequestClient {
    private struct Pending {
        /// Until the request is handed to libzmq.
        var body: [UInt8]?
        let deadline: ContinuousClock.Instant
        let timeout: Duration
        let continuation: CheckedContinuation<[UInt8], any Error>
    }

    private static let turn = 256

    private let context: MessagingContext
    private let socket: RawSocket
    private let monitor: RawSocket
    private let limits: MessagingLimits
    private let socketID: UInt64
    private let monitorID: UInt64
    private var pending: [UInt64: Pending] = [:]
    private var waiting: ArraySlice<UInt64> = []
    private var inFlight = 0
    private var nextRequest: UInt64 = 1
    private var isTicking = false
    private var isClosed = false

    package nonisolated let endpoint: String

    /// What is known of the connection at this moment.
    package private(set) var link = LinkState.neverReached

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        context.thread.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - context: the process's sockets.
    ///   - endpoint: `tcp://host:port`.
    ///   - serverKey: the server's CURVE public key, 32 bytes.
    ///   - key: our own key, which the server must know.
    ///   - limits: sizes and times.
    /// - Throws: ``MessagingError`` for an address or a key that cannot be used; a server that
    ///   is not there yet is no error.
    package init(
        context: MessagingContext, endpoint: String, serverKey: [UInt8], key: TransportKey,
        limits: MessagingLimits = MessagingLimits()
    ) throws {
        try self.init(context, endpoint, limits) { socket in
            try socket.secureAsClient(key, serverKey: serverKey)
        }
    }

    /// Connects to the local socket of a worker.
    ///
    /// - Parameters:
    ///   - context: the process's sockets.
    ///   - localPath: the path of the worker's socket.
    ///   - limits: sizes and times.
    /// - Throws: ``MessagingError/notRunning(path:)`` when nothing listens there.
    package init(
        context: MessagingContext, localPath: String, limits: MessagingLimits = MessagingLimits()
    ) throws {
        try LocalSocket.checkLength(localPath)
        guard LocalSocket.isServed(localPath) else {
            throw MessagingError.notRunning(path: localPath)
        }
        try self.init(context, "ipc://\(localPath)", limits) { _ in }
    }

    private init(
        _ context: MessagingContext, _ endpoint: String, _ limits: MessagingLimits,
        secure: (RawSocket) throws -> Void
    ) throws {
        let socket = try RawSocket(context.thread.context, kind: ZMQ_DEALER, name: endpoint)
        do {
            try socket.configure(limits, queue: limits.window)
            try secure(socket)
            monitor = try socket.monitor(context.thread.context)
            do {
                try socket.connect(endpoint)
            } catch {
                socket.stopMonitor()
                monitor.close()
                throw error
            }
        } catch {
            socket.close()
            throw error
        }
        self.context = context
        self.endpoint = endpoint
        self.limits = limits
        self.socket = socket
        let ids = try context.thread.adopt([socket, monitor])
        (socketID, monitorID) = (ids[0], ids[1])
        context.thread.watch(
            socketID,
            SocketCallbacks(
                ready: { [weak self] in self?.assumeIsolated { $0.exchange() } },
                tick: { [weak self] in self?.assumeIsolated { $0.expire() } },
                ending: { [weak self] in self?.assumeIsolated { $0.stop() } }))
        context.thread.watch(
            monitorID,
            SocketCallbacks(ready: { [weak self] in self?.assumeIsolated { $0.watchLink() } }))
    }

    deinit {
        context.thread.release(socketID)
        context.thread.release(monitorID)
    }

    /// Sends a request and waits for its answer.
    ///
    /// - Parameters:
    ///   - body: at most the limit of a message.
    ///   - timeout: counted from this call, also while earlier requests fill the window.
    /// - Returns: the answer's body.
    /// - Throws: ``MessagingError`` (timed out, busy, closed, too large) or `CancellationError`.
    package func request(_ body: [UInt8], timeout: Duration) async throws -> [UInt8] {
        guard body.count <= limits.maximumMessageSize else {
            throw MessagingError.tooLarge(
                endpoint: endpoint, bytes: body.count, limit: limits.maximumMessageSize)
        }
        let id = nextRequest
        nextRequest += 1
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                begin(
                    id,
                    Pending(
                        body: body, deadline: .now + timeout, timeout: timeout,
                        continuation: continuation))
            }
        } onCancel: {
            Task { await self.fail(id, CancellationError()) }
        }
    }

    /// Fails what is still waiting and closes the connection.
    package func close() {
        stop()
        context.thread.release(socketID)
        context.thread.release(monitorID)
    }

    private func begin(_ id: UInt64, _ request: Pending) {
        guard !isClosed else {
            return request.continuation.resume(
                throwing: MessagingError.closed(endpoint: endpoint))
        }
        // A cancellation before this moment has already looked for the request in vain.
        guard !Task.isCancelled else {
            return request.continuation.resume(throwing: CancellationError())
        }
        pending[id] = request
        waiting.append(id)
        flush()
        tickIfNeeded()
    }

    /// Hands waiting requests to libzmq while the window and its queue have room.
    private func flush() {
        while inFlight < limits.window, let id = waiting.first {
            guard let body = pending[id]?.body else {
                waiting.removeFirst()
                continue
            }
            do {
                guard try socket.send([requestIDBytes(id), body]) == .sent else {
                    return context.thread.setSending(socketID, true)
                }
                waiting.removeFirst()
                pending[id]?.body = nil
                inFlight += 1
            } catch {
                waiting.removeFirst()
                fail(id, error)
            }
        }
        context.thread.setSending(socketID, false)
    }

    private func exchange() {
        guard !isClosed else { return }
        for _ in 0..<Self.turn {
            guard let message = try? socket.receive() else { break }
            take(message.frames)
        }
        flush()
        tickIfNeeded()
    }

    private func take(_ frames: [[UInt8]]) {
        guard let answer = AnswerFrames(frames), let request = remove(answer.requestID) else {
            return
        }
        switch answer.status {
        case .ok: request.continuation.resume(returning: answer.body)
        case .busy: request.continuation.resume(throwing: MessagingError.busy(endpoint: endpoint))
        case .answerTooLarge:
            request.continuation.resume(
                throwing: MessagingError.answerTooLarge(endpoint: endpoint))
        case .noMember:
            request.continuation.resume(throwing: MessagingError.noMember(endpoint: endpoint))
        }
    }

    private func remove(_ id: UInt64) -> Pending? {
        let request = pending.removeValue(forKey: id)
        if let request, request.body == nil { inFlight -= 1 }
        return request
    }

    private func fail(_ id: UInt64, _ error: any Error) {
        guard let request = remove(id) else { return }
        request.continuation.resume(throwing: error)
        guard !isClosed else { return }
        flush()
        tickIfNeeded()
    }

    private func expire() {
        let now = ContinuousClock.now
        for (id, request) in pending where request.deadline <= now {
            fail(
                id,
                MessagingError.timedOut(endpoint: endpoint, after: request.timeout, link: link))
        }
    }

    /// Fails what was sent on a connection that is no more, and was not answered before its end.
    private func cutOff() {
        while let message = try? socket.receive() { take(message.frames) }
        let now = ContinuousClock.now
        for (id, request) in pending.sorted(by: { $0.key < $1.key }) where request.body == nil {
            let asked = request.deadline - request.timeout
            fail(id, MessagingError.timedOut(endpoint: endpoint, after: now - asked, link: link))
        }
    }

    private func tickIfNeeded() {
        let shouldTick = !pending.isEmpty
        guard shouldTick != isTicking else { return }
        isTicking = shouldTick
        context.thread.setTicking(socketID, shouldTick)
    }

    private func watchLink() {
        while !isClosed, let frames = try? monitor.receive()?.frames {
            guard let event = LinkEvent(frames) else { continue }
            switch event {
            case .reached: link = .connected
            case .refused: link = .refused
            case .lost where link == .connected:
                link = .lost
                cutOff()
            case .lost: break
            }
        }
    }

    private func stop() {
        isClosed = true
        for id in pending.keys.sorted() {
            remove(id)?.continuation.resume(throwing: MessagingError.closed(endpoint: endpoint))
        }
        waiting = []
    }
}
