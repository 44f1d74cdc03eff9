import Cryptography
import Glibc
import Logging
import Synchronization
import TestSupport
import Testing

import Messaging

@Suite("Requests", .serialized, .timeLimit(.minutes(2)))
struct RequestTests {
    @Test("an answer comes back to its question, from the registered account")
    func answers() async throws {
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server { peer, body in
            calls.note(peer)
            return Array(body.reversed())
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        #expect(try await client.request([1, 2, 3], timeout: .seconds(10)) == [3, 2, 1])
        #expect(try await client.request([], timeout: .seconds(10)) == [])
        #expect(calls.peers == [.member("site/north"), .member("site/north")])
        #expect(await client.link == .connected)
        await consortium.context.shutdown()
    }

    @Test("a thousand requests at once each get their own answer")
    func concurrent() async throws {
        let consortium = try Consortium()
        let server = try consortium.server { _, body in
            if body[1] % 7 == 0 { try? await Task.sleep(for: .milliseconds(2)) }
            return body + body
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        let answers = try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
            for index in 0..<1_000 {
                group.addTask {
                    let body = [UInt8(index >> 8), UInt8(index & 255)]
                    return (index, try await client.request(body, timeout: .seconds(30)))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(answers.count == 1_000)
        for (index, answer) in answers {
            let body = [UInt8(index >> 8), UInt8(index & 255)]
            #expect(answer == body + body)
        }
        #expect(await server.counts == RequestCounts())
        await consortium.context.shutdown()
    }

    @Test("a key that is not registered gets nothing and reaches no handler")
    func unregistered() async throws {
        let log = LogLines()
        let consortium = try Consortium(logger: log.logger)
        let calls = Calls()
        let server = try consortium.server { peer, body in
            calls.note(peer)
            return body
        }
        _ = try consortium.register("site/north")
        let stranger = try TransportKey.generate()
        let client = try consortium.client(server, stranger)
        await #expect(
            throws: MessagingError.timedOut(
                endpoint: server.endpoints[0], after: .milliseconds(700), link: .refused)
        ) { try await client.request([1], timeout: .milliseconds(700)) }
        #expect(calls.peers.isEmpty)
        let refusals = log.lines.filter { $0.contains(hexString(stranger.publicKey)) }
        #expect(refusals.count == 1, "logged once, not at every attempt")
        await consortium.context.shutdown()
    }

    @Test("the routing id that a client sets changes nothing about who it is")
    func routingID() async throws {
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server { peer, body in
            calls.note(peer)
            return body
        }
        _ = try consortium.register("site/north")
        let raw = try RawPeer(
            server.endpoints[0], serverKey: consortium.key.publicKey,
            key: consortium.register("site/west"), routingID: "site/north")
        #expect(try raw.socket.send([idBytes(7), [1]]) == .sent)
        let answer = try await raw.receive(within: .seconds(10))
        #expect(answer == [idBytes(7), [0], [1]])
        #expect(calls.peers == [.member("site/west")])
        await consortium.context.shutdown()
    }

    @Test("random frames do no harm", arguments: UInt64(0)..<3)
    func randomFrames(seed: UInt64) async throws {
        let consortium = try Consortium()
        let server = try consortium.server { _, body in body }
        let client = try consortium.client(server, consortium.register("site/north"))
        let raw = try RawPeer(
            server.endpoints[0], serverKey: consortium.key.publicKey,
            key: consortium.register("site/west"))
        var random = SplitMix64(seed: seed)
        var sent = 0
        for _ in 0..<500 {
            let frames = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            if frames.count == 2, frames[0].count == 8 { continue }
            if try raw.socket.send(frames) == .sent { sent += 1 }
        }
        #expect(try raw.socket.send([idBytes(9), [5]]) == .sent)
        let answer = try await raw.receive(within: .seconds(10))
        #expect(answer == [idBytes(9), [0], [5]], "seed \(seed)")
        #expect(await server.counts.malformed == sent, "seed \(seed)")
        #expect(try await client.request([1], timeout: .seconds(10)) == [1])
        await consortium.context.shutdown()
    }

    @Test("a message beyond the limit ends its sender's connection and nobody else's")
    func oversized() async throws {
        let limits = MessagingLimits(maximumMessageSize: 100_000)
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server(limits: limits) { peer, body in
            calls.note(peer)
            return body.count == 3 ? [UInt8](repeating: 0, count: 100_001) : body
        }
        let client = try consortium.client(
            server, consortium.register("site/north"), limits: limits)
        let raw = try RawPeer(
            server.endpoints[0], serverKey: consortium.key.publicKey,
            key: consortium.register("site/west"))
        let huge = [UInt8](repeating: 1, count: 200_000)
        #expect(try raw.socket.send([idBytes(1), huge]) == .sent)
        #expect(try await raw.receive(within: .milliseconds(500)) == nil)
        #expect(calls.peers.isEmpty)
        #expect(try await client.request([1], timeout: .seconds(10)) == [1])
        let most = [UInt8](repeating: 1, count: 100_000)
        #expect(try await client.request(most, timeout: .seconds(10)) == most)
        await #expect(
            throws: MessagingError.tooLarge(
                endpoint: server.endpoints[0], bytes: 200_000, limit: 100_000)
        ) { try await client.request(huge, timeout: .seconds(1)) }
        await #expect(throws: MessagingError.answerTooLarge(endpoint: server.endpoints[0])) {
            try await client.request([1, 2, 3], timeout: .seconds(10))
        }
        await consortium.context.shutdown()
    }

    @Test("an account with too many requests in hand hears busy, and another is served")
    func busy() async throws {
        let consortium = try Consortium()
        let gate = Gate()
        let server = try consortium.server(limits: MessagingLimits(maximumInFlight: 4)) {
            peer, body in
            if peer == .member("site/north") { await gate.pass() }
            return body
        }
        let eager = try consortium.client(server, consortium.register("site/north"))
        let other = try consortium.client(server, consortium.register("site/west"))
        let outcomes = Outcomes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    do {
                        _ = try await eager.request([1], timeout: .seconds(20))
                        outcomes.add(true)
                    } catch MessagingError.busy {
                        outcomes.add(false)
                    }
                }
            }
            let refused = try await eventually { outcomes.all.count == 6 }
            #expect(refused)
            #expect(await gate.arrivals == 4)
            #expect(try await other.request([2], timeout: .seconds(10)) == [2])
            await gate.open()
            try await group.waitForAll()
        }
        #expect(outcomes.all.filter { $0 }.count == 4)
        #expect(await server.counts.busy == 6)
        #expect(try await eager.request([3], timeout: .seconds(10)) == [3])
        await consortium.context.shutdown()
    }

    @Test("a removed account is told so at once, and its key refused at the next connection")
    func removed() async throws {
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server { peer, body in
            calls.note(peer)
            return body
        }
        let key = try consortium.register("site/north")
        let client = try consortium.client(server, key)
        #expect(try await client.request([1], timeout: .seconds(10)) == [1])
        consortium.remove(key)
        let started = ContinuousClock.now
        await #expect(throws: MessagingError.noMember(endpoint: server.endpoints[0])) {
            try await client.request([2], timeout: .seconds(30))
        }
        #expect(.now - started < .seconds(20), "it is answered, not left to wait")
        #expect(calls.peers.count == 1, "no handler sees what it asks")
        #expect(await server.counts.refused == 1)
        await client.close()
        let again = try consortium.client(server, key)
        await #expect(
            throws: MessagingError.timedOut(
                endpoint: server.endpoints[0], after: .milliseconds(500), link: .refused)
        ) { try await again.request([3], timeout: .milliseconds(500)) }
        #expect(await server.counts.refused == 1, "it was kept out at the door")
        await consortium.context.shutdown()
    }
}

/// Which requests were answered, in the order in which they ended.
private final class Outcomes: Sendable {
    private let kept = Mutex<[Bool]>([])

    func add(_ isAnswered: Bool) { kept.withLock { $0.append(isAnswered) } }
    var all: [Bool] { kept.withLock { $0 } }
}

/// Keeps what was logged.
final class LogLines: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    fileprivate func add(_ line: String) { kept.withLock { $0.append(line) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.add("\(event.level) \(event.message) \(event.metadata ?? [:])")
        }
    }
}
