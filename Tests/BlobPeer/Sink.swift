import ArgumentParser
import CZeroMQ
import Cryptography
import Glibc

/// Receives raw messages: says when the first is there, and when all that follow are.
struct Sink: ParsableCommand {
    @OptionGroup var peer: PeerOptions
    @Option(help: "How many come after the first.") var messages: Int

    func run() throws {
        endWithParent()
        let pull = try RawPipe.pull(peer)
        say("endpoint \(try pull.endpoint())")
        try pull.receive()
        say("ready")
        for _ in 0..<messages { try pull.receive() }
        say("received")
    }
}

/// libzmq alone could not do what was asked.
struct RawFailure: Error {
    let code = zmq_errno()
}

/// A PUSH or a PULL socket with CURVE and nothing around it: what a transfer is compared with.
struct RawPipe {
    private let context: UnsafeMutableRawPointer
    private let socket: UnsafeMutableRawPointer

    private init(_ kind: Int32) throws {
        guard let context = zmq_ctx_new(), let socket = zmq_socket(context, kind) else {
            throw RawFailure()
        }
        self.context = context
        self.socket = socket
        for option in [ZMQ_SNDHWM, ZMQ_RCVHWM] { try set(option, 8) }
    }

    static func pull(_ peer: PeerOptions) throws -> RawPipe {
        let pipe = try RawPipe(ZMQ_PULL)
        try pipe.set(ZMQ_CURVE_SERVER, 1)
        try pipe.set(ZMQ_CURVE_SECRETKEY, peer.serverKey.secretKey)
        try check(zmq_bind(pipe.socket, "tcp://127.0.0.1:*"))
        return pipe
    }

    static func push(to endpoint: String, _ peer: PeerOptions) throws -> RawPipe {
        let pipe = try RawPipe(ZMQ_PUSH)
        try pipe.set(ZMQ_CURVE_SERVERKEY, peer.serverKey.publicKey)
        try pipe.set(ZMQ_CURVE_PUBLICKEY, peer.clientKey.publicKey)
        try pipe.set(ZMQ_CURVE_SECRETKEY, peer.clientKey.secretKey)
        try check(zmq_connect(pipe.socket, endpoint))
        return pipe
    }

    func endpoint() throws -> String {
        var text = [UInt8](repeating: 0, count: 256)
        var count = text.count
        try Self.check(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, &text, &count))
        return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
    }

    func send(_ bytes: [UInt8]) throws {
        try Self.check(zmq_send(socket, bytes, bytes.count, 0))
    }

    /// Waits for a message and drops it.
    func receive() throws {
        var message = zmq_msg_t()
        zmq_msg_init(&message)
        defer { zmq_msg_close(&message) }
        try Self.check(zmq_msg_recv(&message, socket, 0))
    }

    func close() {
        zmq_close(socket)
        zmq_ctx_term(context)
    }

    private func set(_ option: Int32, _ value: Int32) throws {
        var value = value
        try Self.check(zmq_setsockopt(socket, option, &value, MemoryLayout<Int32>.size))
    }

    private func set(_ option: Int32, _ bytes: [UInt8]) throws {
        try Self.check(zmq_setsockopt(socket, option, bytes, bytes.count))
    }

    private static func check(_ code: Int32) throws {
        if code < 0 { throw RawFailure() }
    }
}
