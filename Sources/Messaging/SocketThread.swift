import CZeroMQ
import Dispatch
import Glibc
import Synchronization

/// The context of libzmq; `@unchecked Sendable`: libzmq's contexts are thread safe.
package struct ContextHandle: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer

    package init(pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}

/// What a socket's owner wants to be told, on the socket thread.
struct SocketCallbacks: Sendable {
    /// Messages wait, or there is room to send again.
    let ready: @Sendable () -> Void
    /// Some milliseconds went by; only while ``SocketThread/setTicking(_:_:)`` asks for it.
    var tick: @Sendable () -> Void = {}
    /// The thread ends; the socket is closed right after.
    var ending: @Sendable () -> Void = {}
}

/// One real thread that polls all sockets of a context and runs their actors' jobs in between.
///
/// libzmq's sockets must not be used by two threads at once, so the actors that own them have
/// this thread as their executor. Jobs that come after its end run on a queue, where nothing
/// but closed sockets is left for them.
///
/// `@unchecked Sendable`: `watches` and `lastTick` are touched on the thread alone, the rest is
/// immutable or behind a lock.
final class SocketThread: SerialExecutor, @unchecked Sendable {
    private enum Work {
        case job(UnownedJob)
        case block(@Sendable () -> Void)
    }

    private struct Shared {
        var work: [Work] = []
        var isEnding = false
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var nextID: UInt64 = 1
    }

    private struct Watch {
        let socket: RawSocket
        var callbacks: SocketCallbacks?
        var events = Int16(ZMQ_POLLIN)
        var isTicking = false
    }

    private static let tickMilliseconds = 20

    let context: ContextHandle
    /// A pipe: one byte written at `wakeIn` ends the wait at `wakeOut`.
    private let wakeOut: Int32
    private let wakeIn: Int32
    private let identity = Atomic<UInt>(0)
    private let shared = Mutex(Shared())
    private let afterEnd = DispatchQueue(label: "tally.sockets.ended")
    private var watches: [UInt64: Watch] = [:]
    private var lastTick = ContinuousClock.now

    /// Starts the thread, which from then on owns the context.
    init(context: ContextHandle) throws {
        var ends: (Int32, Int32) = (-1, -1)
        let opened = withUnsafeMutableBytes(of: &ends) {
            pipe($0.bindMemory(to: Int32.self).baseAddress)
        }
        (wakeOut, wakeIn) = ends
        self.context = context
        guard opened == 0, makePrivate(wakeOut), makePrivate(wakeIn) else {
            throw MessagingError.library(
                operation: "create", endpoint: "the wake-up of the socket thread", code: errno)
        }
        var thread = pthread_t()
        let retained = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<SocketThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, retained.toOpaque())
        guard code == 0 else {
            retained.release()
            throw MessagingError.library(
                operation: "start", endpoint: "the socket thread", code: code)
        }
        pthread_detach(thread)
    }

    deinit {
        for end in [wakeOut, wakeIn] where end >= 0 { close(end) }
    }

    // MARK: Executor

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let hasEnded = shared.withLock { shared in
            if !shared.hasEnded { shared.work.append(.job(job)) }
            return shared.hasEnded
        }
        if hasEnded { runAfterEnd(.job(job)) } else { wake() }
    }

    func checkIsolated() {
        precondition(isCurrent, "a socket was used away from its thread")
    }

    private var isCurrent: Bool { identity.load(ordering: .acquiring) == UInt(pthread_self()) }

    // MARK: Sockets

    /// Takes over sockets, to close each on ``release(_:)`` or at the end.
    ///
    /// - Returns: one id for each socket, in order.
    /// - Throws: ``MessagingError/closed(endpoint:)`` when the thread is ending; the sockets are
    ///   closed then.
    func adopt(_ sockets: [RawSocket]) throws -> [UInt64] {
        let ids = shared.withLock { shared -> [UInt64]? in
            guard !shared.isEnding else { return nil }
            return sockets.map { socket in
                let id = shared.nextID
                shared.nextID += 1
                shared.work.append(.block { self.watches[id] = Watch(socket: socket) })
                return id
            }
        }
        guard let ids else {
            for socket in sockets { socket.close() }
            throw MessagingError.closed(endpoint: sockets.first?.name ?? "")
        }
        wake()
        return ids
    }

    /// Begins to poll an adopted socket for its owner.
    func watch(_ id: UInt64, _ callbacks: SocketCallbacks) {
        post { self.watches[id]?.callbacks = callbacks }
    }

    /// Closes a socket; once it is closed, a second call does nothing.
    func release(_ id: UInt64) {
        post { self.watches.removeValue(forKey: id)?.socket.close() }
    }

    /// Whether the owner is also told when there is room to send; on the thread only.
    func setSending(_ id: UInt64, _ isSending: Bool) {
        watches[id]?.events = Int16(ZMQ_POLLIN | (isSending ? ZMQ_POLLOUT : 0))
    }

    /// Whether the owner is told every 20 ms; on the thread only.
    func setTicking(_ id: UInt64, _ isTicking: Bool) {
        watches[id]?.isTicking = isTicking
    }

    /// Closes every socket, ends the context and then the thread; returns when all is gone.
    func end() async {
        await withCheckedContinuation { continuation in
            let hasEnded = shared.withLock { shared in
                shared.isEnding = true
                if !shared.hasEnded { shared.waiters.append(continuation) }
                return shared.hasEnded
            }
            if hasEnded { continuation.resume() } else { wake() }
        }
    }

    /// Lets the thread end by itself.
    func endSoon() {
        shared.withLock { $0.isEnding = true }
        wake()
    }

    /// Runs a block on the thread, or never when the thread is ending and closes all sockets.
    private func post(_ block: @escaping @Sendable () -> Void) {
        shared.withLock { shared in
            if !shared.isEnding { shared.work.append(.block(block)) }
        }
        wake()
    }

    // MARK: The thread

    private func run() {
        identity.store(UInt(pthread_self()), ordering: .releasing)
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        while true {
            let (work, isEnding) = shared.withLock { shared in
                defer { shared.work.removeAll() }
                return (shared.work, shared.isEnding)
            }
            for item in work { perform(item) }
            if isEnding && work.isEmpty { break }
            if work.isEmpty { pollOnce(waiting: true) } else { pollOnce(waiting: false) }
        }
        finish()
    }

    /// Asks every socket and the wake-up once, and tells the owners of those that are ready.
    private func pollOnce(waiting: Bool) {
        let ids = watches.filter { $0.value.callbacks != nil }.map(\.key)
        var items = ids.compactMap { watches[$0] }.map {
            zmq_pollitem_t(socket: $0.socket.handle, fd: 0, events: $0.events, revents: 0)
        }
        items.append(
            zmq_pollitem_t(socket: nil, fd: wakeOut, events: Int16(ZMQ_POLLIN), revents: 0))
        let isTicking = watches.values.contains { $0.isTicking }
        let timeout = waiting ? (isTicking ? Self.tickMilliseconds : -1) : 0
        // An interrupted poll reports nothing, and the loop comes back to it.
        let count = zmq_poll(&items, Int32(items.count), timeout)
        if items.last?.revents != 0 {
            var bytes: UInt64 = 0
            read(wakeOut, &bytes, MemoryLayout<UInt64>.size)
        }
        if count > 0 {
            for (id, item) in zip(ids, items) where item.revents != 0 {
                watches[id]?.callbacks?.ready()
            }
        }
        guard isTicking, .now - lastTick >= .milliseconds(Self.tickMilliseconds) else { return }
        lastTick = .now
        for id in ids where watches[id]?.isTicking == true { watches[id]?.callbacks?.tick() }
    }

    private func perform(_ work: Work) {
        switch work {
        case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
        case .block(let block): block()
        }
    }

    private func finish() {
        for watch in watches.values {
            watch.callbacks?.ending()
            watch.socket.stopMonitor()
        }
        for watch in watches.values { watch.socket.close() }
        watches = [:]
        while zmq_ctx_term(context.pointer) != 0 && zmq_errno() == EINTR {}
        let (work, waiters) = shared.withLock { shared in
            shared.hasEnded = true
            defer {
                shared.work = []
                shared.waiters = []
            }
            return (shared.work, shared.waiters)
        }
        for item in work { runAfterEnd(item) }
        for waiter in waiters { waiter.resume() }
    }

    private func runAfterEnd(_ work: Work) {
        afterEnd.async { self.perform(work) }
    }

    private func wake() {
        var byte: UInt8 = 0
        // A full pipe wakes the thread as well as one more byte would.
        while write(wakeIn, &byte, 1) < 0 && errno == EINTR {}
    }
}

/// Lets reads and writes return at once, and keeps the descriptor from child processes.
private func makePrivate(_ descriptor: Int32) -> Bool {
    fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
}
