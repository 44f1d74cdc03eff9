import Contracts
import Cryptography
import Foundation
import Ledger
import Logging
import Messaging
import Node
import Storage
import Synchronization
import TestSupport
import Testing
import Wire

/// A node that hands out snapshots over a real socket, and may lie or fall silent.
private final class Peer: Sendable {
    enum Conduct { case honest, altered, unsettled, endsAfterThree }

    private let server: RequestServer
    let client: RequestClient
    /// Buckets from which chunks were asked for.
    private let asked = Mutex<[UInt32]>([])
    private let rootsAsked = Mutex(0)

    var chunks: [UInt32] { asked.withLock { $0 } }
    var roots: Int { rootsAsked.withLock { $0 } }

    init(
        _ conduct: Conduct, ledger: String, context: MessagingContext, path: String
    ) async throws {
        let store = try LedgerStore.reading(at: ledger)
        let desk = SnapshotDesk(store)
        // Computed once, so that nobody waits for it.
        _ = try await desk.offer()
        let place = Mutex<Peer?>(nil)
        let handler: RequestServer.Handler = { _, body in
            guard let peer = place.withLock({ $0 }) else { return [] }
            return (try? await peer.answer(body, conduct, desk, store))?.encoded() ?? []
        }
        server = try RequestServer(
            context: context, endpoints: [], key: TransportKey.generate(), localPath: path,
            handler: handler)
        client = try RequestClient(context: context, localPath: path)
        place.withLock { $0 = self }
    }

    private func answer(
        _ body: [UInt8], _ conduct: Conduct, _ desk: SnapshotDesk, _ store: LedgerStore
    ) async throws -> WireResponse {
        var response = WireResponse()
        switch try WireRequest(strictly: body).body {
        case .snapshot:
            var offer = try await desk.offer()
            if conduct == .unsettled {
                let newest = try #require(try store.newestCheckpoint())
                offer.proof = data(
                    try Prover(store).proof(ofBlockAt: newest.height.next).bytes)
            }
            response.snapshot = offer
        case .bucketRoots(let request):
            rootsAsked.withLock { $0 += 1 }
            response.bucketRoots = await desk.bucketRoots(request)
        case .stateChunk(let request):
            let count = asked.withLock { asked in
                asked.append(request.first)
                return asked.count
            }
            var chunk = try await desk.stateChunk(request)
            if conduct == .altered, count == 2 { chunk.rows[0].value += [1] }
            if conduct == .endsAfterThree, count > 3 { chunk = WireStateChunk() }
            response.stateChunk = chunk
        default: response.failure.code = "malformed"
        }
        return response
    }
}

@Suite("Joining with a snapshot", .timeLimit(.minutes(5))) struct JoiningTests {
    private let source: StudiedHome
    private let folder: TemporaryFolder
    private let home: Home
    private let context: MessagingContext
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        source = try StudiedHome()
        folder = try TemporaryFolder()
        home = Home(folder.path)
        context = try MessagingContext(logger: logger)
    }

    private func peer(_ conduct: Peer.Conduct, _ name: String) async throws -> Peer {
        try await Peer(
            conduct, ledger: source.home.ledger, context: context, path: "\(folder.path)/\(name)")
    }

    private func join() throws -> SnapshotJoin {
        SnapshotJoin(
            home: home, genesis: try source.home.genesisDocument(), logger: logger)
    }

    private func joined() throws -> Height {
        let store = try LedgerStore.open(at: home.joining)
        defer { try? store.close() }
        #expect(try store.snapshot()?.isWhole == true)
        return try store.tip().height
    }

    @Test(
        "who sends a false snapshot is named and not asked again; nothing of it stays",
        arguments: [true, false])
    func liar(isInChunk: Bool) async throws {
        let liar = try await peer(isInChunk ? .altered : .unsettled, "liar")
        let honest = try await peer(.honest, "honest")
        let join = try join()
        await #expect(throws: SnapshotRefusal.self) {
            try await join.fetch(from: Consortium.east, liar.client)
        }
        #expect(!home.exists(home.joining))
        let before = liar.chunks.count
        #expect(try await !join.fetch(from: Consortium.east, liar.client))
        #expect(liar.chunks.count == before)
        #expect(try await join.fetch(from: Consortium.west, honest.client))
        #expect(try joined() > .genesis)
        await context.shutdown()
    }

    @Test("what was checked stays when a peer falls away, and another goes on from there")
    func goesOn() async throws {
        let first = try await peer(.endsAfterThree, "first")
        let second = try await peer(.honest, "second")
        #expect(try await !join().fetch(from: Consortium.east, first.client))
        #expect(first.chunks.count == 4)
        // As after a crash: nothing is remembered but the file.
        #expect(try await join().fetch(from: Consortium.west, second.client))
        #expect(second.chunks.first == first.chunks.last)
        #expect(second.roots == 0 && first.roots == 4)
        #expect(try joined() > .genesis)
        await context.shutdown()
    }
}
