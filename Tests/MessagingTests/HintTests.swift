import Cryptography
import Testing

import Messaging

@Suite("Hints", .serialized, .timeLimit(.minutes(2)))
struct HintTests {
    @Test("a hint reaches a registered subscriber and no other")
    func arrives() async throws {
        let consortium = try Consortium()
        let publisher = try HintPublisher(
            context: consortium.context, endpoint: "tcp://127.0.0.1:*", key: consortium.key)
        func subscriber(_ key: TransportKey) throws -> HintSubscriber {
            try HintSubscriber(
                context: consortium.context, endpoint: publisher.endpoint,
                serverKey: consortium.key.publicKey, key: key)
        }
        let member = try subscriber(consortium.register("site/north"))
        let stranger = try subscriber(TransportKey.generate())
        let overheard = Task { await stranger.hints.first { _ in true } }
        let heard = Task { await member.hints.first { _ in true } }
        let publishing = Task {
            while !Task.isCancelled {
                await publisher.publish([4, 2])
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        #expect(await heard.value == [4, 2])
        publishing.cancel()
        await stranger.close()
        #expect(await overheard.value == nil)
        await consortium.context.shutdown()
    }

    @Test("a late reader finds the newest hints, and the stream ends with the subscriber")
    func newest() async throws {
        let consortium = try Consortium()
        let publisher = try HintPublisher(
            context: consortium.context, endpoint: "tcp://127.0.0.1:*", key: consortium.key)
        let subscriber = try HintSubscriber(
            context: consortium.context, endpoint: publisher.endpoint,
            serverKey: consortium.key.publicKey, key: consortium.register("site/north"),
            buffered: 2)
        var hints = subscriber.hints.makeAsyncIterator()
        let greeting = Task {
            while !Task.isCancelled {
                await publisher.publish([0])
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        #expect(await hints.next() == [0])
        greeting.cancel()
        _ = await greeting.result
        for number in UInt8(1)...20 { await publisher.publish([number]) }
        try await Task.sleep(for: .milliseconds(300))
        #expect(await hints.next() == [19])
        #expect(await hints.next() == [20])
        await subscriber.close()
        #expect(await hints.next() == nil)
        await consortium.context.shutdown()
    }
}
