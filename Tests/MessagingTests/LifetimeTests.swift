import CZeroMQ
import Cryptography
import Glibc
import Testing

import Messaging

@Suite("Lifetime of connections", .serialized, .timeLimit(.minutes(2)))
struct LifetimeTests {
    @Test("a request to nobody times out and says that nobody was reached")
    func nobody() async throws {
        let consortium = try Consortium()
        let client = try RequestClient(
            context: consortium.context, endpoint: "tcp://127.0.0.1:9",
            serverKey: consortium.key.publicKey, key: consortium.register("site/north"))
        let expected = MessagingError.timedOut(
            endpoint: "tcp://127.0.0.1:9", after: .milliseconds(100), link: .neverReached)
        await #expect(throws: expected) {
            try await client.request([1], timeout: .milliseconds(100))
        }
        #expect(expected.description.contains("tcp://127.0.0.1:9"))
        await consortium.context.shutdown()
    }

    @Test("a cancelled request ends at once, before and after it is sent")
    func cancelled() async throws {
        let consortium = try Consortium()
        let gate = Gate()
        let server = try consortium.server { _, body in
            if body == [1] { await gate.pass() }
            return body
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        let task = Task { try await client.request([1], timeout: .seconds(60)) }
        let arrived = try await eventually { await gate.arrivals == 1 }
        #expect(arrived)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.request([1], timeout: .seconds(60))
        }
        await #expect(throws: CancellationError.self) { try await early.value }
        await gate.open()
        #expect(try await client.request([2], timeout: .seconds(10)) == [2])
        await consortium.context.shutdown()
    }

    @Test("a client connects again by itself when its server comes back")
    func reconnects() async throws {
        let consortium = try Consortium()
        let first = try consortium.server { _, _ in [1] }
        let endpoint = first.endpoints[0]
        let client = try consortium.client(
            first, consortium.register("site/north"),
            limits: MessagingLimits(longestReconnect: .milliseconds(100)))
        #expect(try await client.request([0], timeout: .seconds(10)) == [1])
        await first.close()
        let lost = try await eventually { await client.link == .lost }
        #expect(lost)
        await #expect(throws: MessagingError.self) {
            try await client.request([0], timeout: .milliseconds(100))
        }
        let other = try await reopened(consortium, endpoint)
        #expect(try await client.request([0], timeout: .seconds(10)) == [2])
        await other.close()
        await consortium.context.shutdown()
    }

    @Test("a request on a connection that is lost fails at once")
    func cutOff() async throws {
        let consortium = try Consortium()
        let gate = Gate()
        let server = try consortium.server { _, body in
            if body == [1] { await gate.pass() }
            return body
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        let waiting = Task { try await client.request([1], timeout: .seconds(600)) }
        let arrived = try await eventually { await gate.arrivals == 1 }
        #expect(arrived)
        #expect(try await client.request([2], timeout: .seconds(20)) == [2])
        await server.close(draining: .zero)
        do {
            _ = try await waiting.value
            Issue.record("it was answered")
        } catch MessagingError.timedOut(server.endpoints[0], let after, link: .lost) {
            #expect(after < .seconds(60))
        }
        await gate.open()
        let other = try await reopened(consortium, server.endpoints[0])
        #expect(try await client.request([3], timeout: .seconds(20)) == [2])
        await other.close()
        await consortium.context.shutdown()
    }

    /// Opens a second server where the first one was, once libzmq has let the port go.
    private func reopened(_ consortium: Consortium, _ endpoint: String) async throws
        -> RequestServer
    {
        for _ in 0..<400 {
            do {
                return try RequestServer(
                    context: consortium.context, endpoints: [endpoint], key: consortium.key
                ) { _, _ in [2] }
            } catch MessagingError.library(_, _, EADDRINUSE) {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        throw MessagingError.closed(endpoint: endpoint)
    }

    @Test("an address in use is refused with its name and a way out")
    func addressInUse() async throws {
        let consortium = try Consortium()
        let server = try consortium.server { _, body in body }
        let expected = MessagingError.library(
            operation: "listen at", endpoint: server.endpoints[0], code: EADDRINUSE)
        #expect(throws: expected) {
            try RequestServer(
                context: consortium.context, endpoints: server.endpoints, key: consortium.key
            ) { _, body in body }
        }
        #expect(expected.description.contains("another process uses this address"))
        #expect(throws: MessagingError.self) {
            try RequestServer(
                context: consortium.context, endpoints: ["nonsense"], key: consortium.key
            ) { _, body in body }
        }
        await consortium.context.shutdown()
    }

    @Test("close lets the handlers in hand finish, and their answers arrive")
    func drains() async throws {
        let consortium = try Consortium()
        let gate = Gate()
        let server = try consortium.server { _, body in
            await gate.pass()
            return body
        }
        let client = try consortium.client(server, consortium.register("site/north"))
        let request = Task { try await client.request([1], timeout: .seconds(20)) }
        let arrived = try await eventually { await gate.arrivals == 1 }
        #expect(arrived)
        let closing = Task { await server.close(draining: .seconds(20)) }
        try await Task.sleep(for: .milliseconds(50))
        await #expect(throws: MessagingError.self) {
            try await client.request([2], timeout: .milliseconds(200))
        }
        await gate.open()
        #expect(try await request.value == [1])
        await closing.value
        await consortium.context.shutdown()
    }

    @Test("shutdown fails what waits, ends every thread, and later calls end too")
    func shutdown() async throws {
        let descriptorsBefore = try descriptorCount()
        for _ in 0..<3 {
            let consortium = try Consortium()
            let server = try consortium.server { _, _ in
                try? await Task.sleep(for: .seconds(60))
                return []
            }
            let client = try consortium.client(server, consortium.register("site/north"))
            let request = Task { try await client.request([1], timeout: .seconds(60)) }
            let waits = try await eventually { await client.link == .connected }
            #expect(waits)
            await consortium.context.shutdown()
            let closed = MessagingError.closed(endpoint: server.endpoints[0])
            await #expect(throws: closed) { try await request.value }
            await #expect(throws: closed) {
                try await client.request([1], timeout: .seconds(60))
            }
            #expect(throws: MessagingError.self) { try consortium.server { _, body in body } }
            await server.close()
            await client.close()
            await consortium.context.shutdown()
        }
        let returned = try await eventually { try descriptorCount() <= descriptorsBefore + 2 }
        #expect(returned, "descriptors of libzmq and of the thread were left open")
    }

    @Test("sockets and contexts that are only forgotten are closed as well")
    func forgotten() async throws {
        let before = try threadCount()
        for _ in 0..<5 {
            let consortium = try Consortium()
            let server = try consortium.server { _, body in body }
            let client = try consortium.client(server, consortium.register("site/north"))
            #expect(try await client.request([1], timeout: .seconds(10)) == [1])
        }
        let ended = try await eventually { try threadCount() <= before + 4 }
        #expect(ended, "five contexts have three threads each")
    }

    @Test("clients closed while their server goes leave the others of the process connected")
    func closedInLoss() async throws {
        let north = try Consortium()
        for _ in 0..<200 {
            let far = try Consortium()
            let server = try far.server { _, body in body }
            let clients = try (0..<4).map { number in
                let key = try far.register("site/north\(number)")
                return try RequestClient(
                    context: north.context, endpoint: server.endpoints[0],
                    serverKey: far.key.publicKey, key: key)
            }
            for client in clients {
                #expect(try await client.request([1], timeout: .seconds(20)) == [1])
            }
            async let gone: Void = far.context.shutdown()
            for client in clients {
                await client.close()
                await Task.yield()
            }
            await gone
        }
        let server = try north.server { _, body in body }
        let client = try north.client(server, north.register("site/west"))
        #expect(try await client.request([2], timeout: .seconds(20)) == [2])
        await north.context.shutdown()
    }

    private func threadCount() throws -> Int { try entries("/proc/self/task") }
    private func descriptorCount() throws -> Int { try entries("/proc/self/fd") }

    private func entries(_ folder: String) throws -> Int {
        let handle = try #require(opendir(folder))
        defer { closedir(handle) }
        var count = 0
        while readdir(handle) != nil { count += 1 }
        return count
    }
}
