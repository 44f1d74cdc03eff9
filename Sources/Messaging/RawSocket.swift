import CZeroMQ
package import Cryptography
import Glibc

/// One message as it arrived: its frames, and the account that CURVE vouches for.
package struct ReceivedMessage {
    package var frames: [[UInt8]]
    package let userID: String?
}

/// A libzmq socket with the name that its errors carry.
///
/// `@unchecked Sendable`: it is set up on one thread, then handed under a lock to the
/// ``SocketThread``, which alone touches it from there on.
package struct RawSocket: @unchecked Sendable {
    package enum Sent { case sent, full, unreachable }

    /// Frames beyond this number are read and thrown away; no message of ours has as many.
    private static let mostFrames = 8

    let handle: UnsafeMutableRawPointer
    let name: String

    package init(_ context: ContextHandle, kind: Int32, name: String) throws {
        guard let handle = zmq_socket(context.pointer, kind) else {
            throw MessagingError.last("open a socket for", name)
        }
        self.handle = handle
        self.name = name
    }

    package func close() {
        stopMonitor()
        zmq_close(handle)
    }

    /// Ends the reports of `monitor(_:)`; call it before the socket that hears them is closed.
    ///
    /// libzmq closes a socket in its own time and reports from its I/O thread meanwhile. With nobody
    /// to hear it, that thread would wait for ever, and every connection of the process with it.
    func stopMonitor() { zmq_socket_monitor(handle, nil, 0) }

    package func set(_ option: Int32, _ value: Int32) throws {
        var value = value
        try check("configure the socket of") {
            zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size)
        }
    }

    package func set(_ option: Int32, bytes: [UInt8]) throws {
        try check("configure the socket of") {
            zmq_setsockopt(handle, option, bytes, bytes.count)
        }
    }

    func setMaximumMessageSize(_ bytes: Int) throws {
        var value = Int64(bytes)
        try check("configure the socket of") {
            zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &value, MemoryLayout<Int64>.size)
        }
    }

    func bind(_ endpoint: String) throws {
        try check("listen at", endpoint) { zmq_bind(handle, endpoint) }
    }

    package func connect(_ endpoint: String) throws {
        try check("connect to", endpoint) { zmq_connect(handle, endpoint) }
    }

    /// The address of the last `bind`, with the port that the system chose for `*`.
    func lastEndpoint() throws -> String {
        var text = [UInt8](repeating: 0, count: 512)
        var count = text.count
        try check("read the address of") {
            zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &text, &count)
        }
        return String(decoding: text.prefix(count).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Hands a message to libzmq without waiting.
    ///
    /// - Returns: `full` when the peer's queue has no room, `unreachable` when the peer is gone.
    /// - Throws: ``MessagingError/library(operation:endpoint:code:)`` for any other fault.
    package func send(_ frames: [[UInt8]]) throws -> Sent {
        for (index, frame) in frames.enumerated() {
            let more = index + 1 < frames.count ? ZMQ_SNDMORE : 0
            while zmq_send(handle, frame, frame.count, ZMQ_DONTWAIT | more) < 0 {
                switch zmq_errno() {
                case EINTR: continue
                case EAGAIN: return .full
                case EHOSTUNREACH: return .unreachable
                default: throw MessagingError.last("send to", name)
                }
            }
        }
        return .sent
    }

    /// The next message, or nil when none waits.
    package func receive() throws -> ReceivedMessage? {
        var frames: [[UInt8]] = []
        var userID: String?
        var message = zmq_msg_t()
        zmq_msg_init(&message)
        defer { zmq_msg_close(&message) }
        repeat {
            while zmq_msg_recv(&message, handle, ZMQ_DONTWAIT) < 0 {
                switch zmq_errno() {
                case EINTR: continue
                case EAGAIN where frames.isEmpty: return nil
                default: throw MessagingError.last("receive from", name)
                }
            }
            if frames.count <= Self.mostFrames {
                let bytes = UnsafeRawBufferPointer(
                    start: zmq_msg_data(&message), count: zmq_msg_size(&message))
                frames.append(Array(bytes))
            }
            userID = zmq_msg_gets(&message, "User-Id").map { String(cString: $0) }
        } while zmq_msg_more(&message) != 0
        return ReceivedMessage(frames: frames, userID: userID)
    }

    private func check(
        _ operation: String, _ endpoint: String? = nil, _ call: () -> Int32
    ) throws {
        while call() != 0 {
            guard zmq_errno() == EINTR else {
                throw MessagingError.last(operation, endpoint ?? name)
            }
        }
    }
}

/// How much a socket holds for a peer, and how soon it notices that one is gone.
package struct MessagingLimits: Hashable, Sendable {
    /// The largest frame, in bytes; a peer that announces a larger one is disconnected.
    package var maximumMessageSize: Int
    /// Requests of one account that a server works on at a time.
    package var maximumInFlight: Int
    /// Requests that a client has on the way at a time; further ones wait in the client.
    package var window: Int
    /// How long a closed socket goes on sending what it has.
    package var linger: Duration
    /// How often a silent connection is probed; after three of them it counts as lost.
    package var heartbeat: Duration
    /// The longest pause between two attempts to connect.
    package var longestReconnect: Duration

    package init(
        maximumMessageSize: Int = 8 << 20, maximumInFlight: Int = 64, window: Int = 32,
        linger: Duration = .seconds(1), heartbeat: Duration = .seconds(5),
        longestReconnect: Duration = .seconds(5)
    ) {
        self.maximumMessageSize = maximumMessageSize
        self.maximumInFlight = maximumInFlight
        self.window = window
        self.linger = linger
        self.heartbeat = heartbeat
        self.longestReconnect = longestReconnect
    }
}

extension RawSocket {
    static let zapDomain = "tally"

    /// What CURVE adds to a frame (command name, nonce, tag and flags: 33 bytes), rounded up.
    private static let curveOverhead = 64

    /// Sets what every socket has in common.
    ///
    /// - Parameters:
    ///   - limits: sizes and times.
    ///   - queue: the messages kept for one peer in either direction.
    /// - Throws: ``MessagingError/library(operation:endpoint:code:)``.
    func configure(_ limits: MessagingLimits, queue: Int) throws {
        let heartbeat = limits.heartbeat.milliseconds
        try set(ZMQ_LINGER, limits.linger.milliseconds)
        try set(ZMQ_SNDHWM, Int32(clamping: queue))
        try set(ZMQ_RCVHWM, Int32(clamping: queue))
        try set(ZMQ_HEARTBEAT_IVL, heartbeat)
        try set(ZMQ_HEARTBEAT_TIMEOUT, Int32(clamping: 3 * Int(heartbeat)))
        try set(ZMQ_HANDSHAKE_IVL, 10_000)
        try set(ZMQ_RECONNECT_IVL, 50)
        try set(ZMQ_RECONNECT_IVL_MAX, limits.longestReconnect.milliseconds)
        try setMaximumMessageSize(limits.maximumMessageSize + Self.curveOverhead)
    }

    /// Only peers that the ZAP handler allows may speak, and what they say carries their User-Id.
    func secureAsServer(_ key: TransportKey) throws {
        try set(ZMQ_CURVE_SERVER, 1)
        try set(ZMQ_CURVE_SECRETKEY, bytes: key.secretKey)
        try set(ZMQ_ZAP_DOMAIN, bytes: Array(Self.zapDomain.utf8))
        try set(ZMQ_ZAP_ENFORCE_DOMAIN, 1)
    }

    package func secureAsClient(_ key: TransportKey, serverKey: [UInt8]) throws {
        guard serverKey.count == 32 else {
            throw MessagingError.library(
                operation: "use a public key of \(serverKey.count) bytes for", endpoint: name,
                code: EINVAL)
        }
        try set(ZMQ_CURVE_SERVERKEY, bytes: serverKey)
        try set(ZMQ_CURVE_PUBLICKEY, bytes: key.publicKey)
        try set(ZMQ_CURVE_SECRETKEY, bytes: key.secretKey)
    }
}

extension Duration {
    /// Whole milliseconds, as libzmq counts them.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        return Int32(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }
}
