import CZeroMQ
import Cryptography
package import Logging
import Synchronization

/// The process's end of the network: libzmq's context, its one thread, and who may connect.
///
/// The handler that judges keys (ZAP, ZeroMQ RFC 27) is bound before any other socket can
/// exist, so no peer is let in unjudged.
package final class MessagingContext: Sendable {
    let thread: SocketThread
    private let allowList: AllowList

    /// - Parameter logger: hears of refused keys at level info.
    /// - Throws: ``MessagingError/library(operation:endpoint:code:)``.
    package init(logger: Logger) throws {
        guard zmq_has("curve") == 1, let pointer = zmq_ctx_new() else {
            throw MessagingError.last("prepare", "libzmq with CURVE (package libzmq3-dev)")
        }
        let context = ContextHandle(pointer: pointer)
        let allowList = AllowList(logger: logger)
        self.allowList = allowList
        let socket: RawSocket
        do {
            socket = try Self.handshakeSocket(context)
        } catch {
            zmq_ctx_term(pointer)
            throw error
        }
        do {
            thread = try SocketThread(context: context)
        } catch {
            socket.close()
            zmq_ctx_term(pointer)
            throw error
        }
        for id in try thread.adopt([socket]) {
            thread.watch(
                id, SocketCallbacks(ready: { answerHandshakes(on: socket, from: allowList) }))
        }
    }

    private static func handshakeSocket(_ context: ContextHandle) throws -> RawSocket {
        let socket = try RawSocket(context, kind: ZMQ_REP, name: zapEndpoint)
        do {
            try socket.set(ZMQ_LINGER, 0)
            try socket.bind(zapEndpoint)
        } catch {
            socket.close()
            throw error
        }
        return socket
    }

    deinit { thread.endSoon() }

    /// Replaces the list of peers that may connect.
    ///
    /// A key that is no longer listed is refused from its next connection on; an account that no
    /// longer has any key is refused at once, by every server of this context.
    ///
    /// - Parameter peers: CURVE public key (32 bytes) → account id.
    package func setAllowed(_ peers: [[UInt8]: String]) {
        allowList.replace(peers)
    }

    func isAllowed(_ account: String) -> Bool { allowList.contains(account: account) }

    /// Closes every socket of this context and returns when its thread has ended.
    package func shutdown() async { await thread.end() }
}

private let zapEndpoint = "inproc://zeromq.zap.01"

/// The keys that may connect, and which refusals were logged lately.
private final class AllowList: Sendable {
    private struct State {
        var accounts: [[UInt8]: String] = [:]
        var names: Set<String> = []
        var logged: [[UInt8]: ContinuousClock.Instant] = [:]
    }

    private static let logInterval = Duration.seconds(60)
    private static let mostLogged = 1_024

    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    func replace(_ accounts: [[UInt8]: String]) {
        state.withLock {
            $0.accounts = accounts
            $0.names = Set(accounts.values)
            $0.logged = [:]
        }
    }

    func contains(account: String) -> Bool { state.withLock { $0.names.contains(account) } }

    /// The account of a key; a refused key is logged once a minute, since its owner tries again.
    func account(of key: [UInt8], address: String) -> String? {
        let now = ContinuousClock.now
        let (account, isNews) = state.withLock { state -> (String?, Bool) in
            if let account = state.accounts[key] { return (account, false) }
            if let last = state.logged[key], now - last < Self.logInterval { return (nil, false) }
            if state.logged.count >= Self.mostLogged { state.logged = [:] }
            state.logged[key] = now
            return (nil, true)
        }
        if isNews {
            logger.info(
                "refused a key that is not registered",
                metadata: ["key": "\(hexString(key))", "address": "\(address)"])
        }
        return account
    }
}

/// Answers every waiting ZAP request; each names a peer's key and wants a verdict.
private func answerHandshakes(on socket: RawSocket, from allowList: AllowList) {
    while let request = try? socket.receive() {
        let frames = request.frames
        let isOurs =
            frames.count == 7 && frames[0] == Array("1.0".utf8)
            && frames[2] == Array(RawSocket.zapDomain.utf8)
            && frames[5] == Array("CURVE".utf8) && frames[6].count == 32
        var verdict = ("400", "not registered", "")
        if isOurs {
            let address = String(decoding: frames[3], as: UTF8.self)
            if let account = allowList.account(of: frames[6], address: address) {
                verdict = ("200", "OK", account)
            }
        }
        let reply = ["1.0", verdict.0, verdict.1, verdict.2, ""].map { Array($0.utf8) }
        let id = frames.count > 1 ? frames[1] : []
        // A verdict that cannot be sent leaves the peer waiting outside, which is safe.
        _ = try? socket.send([reply[0], id] + reply[1...])
    }
}
