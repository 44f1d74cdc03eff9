import CZeroMQ
import Cryptography
import Foundation
import Fuzzing
import Glibc
import Logging
import Messaging
import Synchronization
import Testing
import Wire

/// Strangers' bytes at real sockets: whole messages of any frames, and bytes that are no ZMTP.
@Suite("Mutated bytes at sockets", .serialized, .timeLimit(.minutes(2)))
struct SocketTests {
    private static let account = "site/north"
    private let context: MessagingContext
    private let server: RequestServer
    private let serverKey: TransportKey
    private let clientKey: TransportKey

    init() throws {
        let context = try MessagingContext(
            logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }))
        serverKey = try TransportKey.generate()
        clientKey = try TransportKey.generate()
        context.setAllowed([clientKey.publicKey: Self.account])
        server = try RequestServer(
            context: context, endpoints: ["tcp://127.0.0.1:*"], key: serverKey
        ) { _, body in
            var response = WireResponse()
            do {
                _ = try WireRequest(strictly: body)
                response.done = WireDone()
            } catch {
                response.failure.code = "malformed"
            }
            return response.encoded()
        }
        self.context = context
    }

    private func client() throws -> RequestClient {
        try RequestClient(
            context: context, endpoint: server.endpoints[0], serverKey: serverKey.publicKey,
            key: clientKey)
    }

    /// Whether a member who keeps the rules is still answered.
    private func isAnswered(_ client: RequestClient) async throws -> Bool {
        var request = WireRequest()
        request.status = WireStatusRequest()
        let answer = try await client.request(request.encoded(), timeout: .seconds(30))
        return try WireResponse(strictly: answer).done == WireDone()
    }

    @Test("a server outlives messages of any frames, and answers others meanwhile")
    func messages() async throws {
        let target = try #require(try FuzzTarget.all().first { $0.name == "frames" })
        let client = try client()
        let stranger = ContextHandle(pointer: try #require(zmq_ctx_new()))
        let socket = try RawSocket(stranger, kind: ZMQ_DEALER, name: server.endpoints[0])
        try socket.set(ZMQ_LINGER, 0)
        try socket.secureAsClient(clientKey, serverKey: serverKey.publicKey)
        try socket.connect(server.endpoints[0])
        var sent = 0
        for (index, input) in target.inputs(4_000, seed: 1).enumerated() {
            let frames = Frames.read(input)
            // A stranger's own routing id is the ROUTER's to add.
            let message = index.isMultiple(of: 2) ? Array(frames.dropFirst()) : frames
            guard !message.isEmpty else { continue }
            while try socket.send(message) == .full { try await Task.sleep(for: .milliseconds(1)) }
            sent += 1
            while try socket.receive() != nil {}
            if index.isMultiple(of: 200) { #expect(try await isAnswered(client)) }
        }
        #expect(try await isAnswered(client))
        let counts = await server.counts
        #expect(counts.malformed > sent / 10, "too few messages arrived")
        print("\(sent) messages of mutated frames sent, \(counts.malformed) of them malformed")
        socket.close()
        zmq_ctx_term(stranger.pointer)
        await context.shutdown()
    }

    @Test("a server outlives connections that speak no ZMTP, or break off within it")
    func connections() async throws {
        let client = try client()
        #expect(try await isAnswered(client))
        let port = try #require(
            server.endpoints[0].split(separator: ":").last.flatMap { UInt16($0) })
        for (index, bytes) in FuzzTarget.greetings.inputs(400, seed: 2).enumerated() {
            try write(bytes, toPort: port)
            if index.isMultiple(of: 50) { #expect(try await isAnswered(client)) }
        }
        #expect(try await isAnswered(client))
        await context.shutdown()
    }

    /// A connection of its own, closed at once or reset.
    private func write(_ bytes: [UInt8], toPort port: UInt16) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(code == 0)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
