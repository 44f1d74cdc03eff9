import ArgumentParser
import Cryptography
import Glibc
import Messaging
import Node
import Storage
import Wire

/// Takes and gives blobs until it is killed; prints its endpoint, then every chunk and read.
struct Serve: AsyncParsableCommand {
    @OptionGroup var peer: PeerOptions
    @Option var endpoint = "tcp://127.0.0.1:*"
    @Option(help: "The longest blob taken, in bytes.") var maximum: UInt64 = 1 << 32
    @Option(help: "The longest file that the system lets this process write, in bytes.")
    var fileLimit: UInt64?
    @Option(help: "Milliseconds to wait before each answer.") var delay: Int = 0
    @Flag(help: "Print no line for each chunk and read.") var quiet = false

    func run() async throws {
        endWithParent()
        if let fileLimit {
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: rlim_t(fileLimit), rlim_max: rlim_t(fileLimit))
            guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
                throw ExitCode.failure
            }
        }
        let store = try BlobStore(folder: peer.folder)
        let blobs = BlobServer(
            store: store, limits: BlobLimits(blob: maximum), receives: true)
        let context = try peer.context()
        context.setAllowed([try peer.clientKey.publicKey: "site/client"])
        let server = try RequestServer(
            context: context, endpoints: [endpoint], key: peer.serverKey
        ) { [quiet, delay] _, body in
            guard let request = try? WireRequest(strictly: body).body else { return [] }
            if !quiet { note(request) }
            if delay > 0 { try? await Task.sleep(for: .milliseconds(delay)) }
            return await answer(request, from: blobs).encoded()
        }
        say("endpoint \(server.endpoints[0])")
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}

private func note(_ request: WireRequest.OneOf_Body) {
    switch request {
    case .blobOffer(let offer): say("offer \(offer.size)")
    case .blobChunk(let chunk): say("chunk \(chunk.offset) \(chunk.content.count)")
    case .blobRead(let read): say("read \(read.offset) \(read.length)")
    default: break
    }
}

private func answer(
    _ request: WireRequest.OneOf_Body, from blobs: BlobServer
) async -> WireResponse {
    switch request {
    case .blobOffer(let offer): await blobs.answer(offer, from: "site/client")
    case .blobChunk(let chunk): await blobs.answer(chunk, from: "site/client")
    case .blobRead(let read): await blobs.answer(read)
    default: WireResponse()
    }
}
