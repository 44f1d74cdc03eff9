import Cryptography
import Foundation
import Glibc
import Testing

import Messaging

/// What a peer can do to others without being one of them, or while being one: `threats.md`.
@Suite("Lies at the door", .serialized, .timeLimit(.minutes(2)))
struct DoorTests {
    /// What a ZeroMQ peer with CURVE says first.
    private static let greeting: [UInt8] =
        [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + Array("CURVE".utf8)
        + [UInt8](repeating: 0, count: 47)

    /// The most memory that this process ever asked for, in bytes.
    private static func peakMemory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmPeak:") })
        return try #require(
            line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }) << 10
    }

    @Test("a header of a 2 GB frame ends its connection, and nobody makes room for it")
    func hugeFrame() async throws {
        let consortium = try Consortium()
        let server = try consortium.server { _, body in body }
        let client = try consortium.client(server, consortium.register("site/north"))
        #expect(try await client.request([1], timeout: .seconds(10)) == [1])
        let before = try Self.peakMemory()
        let port = try #require(
            server.endpoints[0].split(separator: ":").last.flatMap { UInt16($0) })
        // A long frame, and a long command: flags, then the length in 8 bytes.
        for flags in [2, 6] as [UInt8] {
            let peer = try PlainPeer(port: port)
            defer { peer.hangUp() }
            peer.say(Self.greeting + [flags, 0, 0, 0, 0, 0x80, 0, 0, 0] + [1, 2, 3])
            #expect(await peer.isHungUpOn(within: .seconds(5)), "flags \(flags)")
            #expect(try await client.request([2], timeout: .seconds(10)) == [2])
        }
        #expect(try Self.peakMemory() - before < 1 << 30)
        await consortium.context.shutdown()
    }

    @Test("a peer that does not read its answers loses them, and others are served")
    func slowReader() async throws {
        let consortium = try Consortium()
        let limits = MessagingLimits(maximumMessageSize: 2 << 20, maximumInFlight: 4)
        let answer = [UInt8](repeating: 7, count: 1 << 20)
        let server = try consortium.server(limits: limits) { peer, body in
            peer == .member("site/west") ? answer : body
        }
        let client = try consortium.client(
            server, consortium.register("site/north"), limits: limits)
        let slow = try RawPeer(
            server.endpoints[0], serverKey: consortium.key.publicKey,
            key: consortium.register("site/west"), receiveQueue: 1)
        var asked: UInt8 = 0
        let isFull = try await eventually {
            asked &+= 1
            _ = try slow.socket.send([idBytes(asked), [asked]])
            return await server.counts.undelivered > 0
        }
        #expect(isFull, "answers that nobody reads are not kept for ever")
        for index in UInt8(0)..<20 {
            #expect(try await client.request([index], timeout: .seconds(10)) == [index])
        }
        #expect(try await slow.receive(within: .seconds(10)) != nil, "it may still read")
        await consortium.context.shutdown()
    }

    @Test("a flood of bad requests from one peer is thrown away, and others are served")
    func badRequests() async throws {
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server { peer, body in
            calls.note(peer)
            return body
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        let flood = try RawPeer(
            server.endpoints[0], serverKey: consortium.key.publicKey,
            key: consortium.register("site/west"))
        var sent = 0
        for round in UInt8(0)..<20 {
            for _ in 0..<1_000 where try flood.socket.send([[1, 2, 3]]) == .sent { sent += 1 }
            #expect(try await client.request([round], timeout: .seconds(10)) == [round])
        }
        // More than its own queue holds, however slowly the server took it.
        let isFlooded = try await eventually {
            for _ in 0..<1_000 where try flood.socket.send([[1, 2, 3]]) == .sent { sent += 1 }
            return sent > 1_000
        }
        #expect(isFlooded)
        #expect(try await eventually { await server.counts.malformed == sent })
        #expect(Set(calls.peers) == [.member("site/north")])
        await consortium.context.shutdown()
    }
}

/// A plain TCP connection that says whatever it is told.
private struct PlainPeer {
    private let descriptor: Int32

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0, "nobody listens on port \(port)")
    }

    func say(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Reads what comes until the other side hangs up.
    func isHungUpOn(within time: Duration) async -> Bool {
        let deadline = ContinuousClock.now + time
        var room = [UInt8](repeating: 0, count: 256)
        while .now < deadline {
            let count = recv(descriptor, &room, 256, Int32(MSG_DONTWAIT))
            if count == 0 || (count < 0 && errno == ECONNRESET) { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    func hangUp() { close(descriptor) }
}
