import ArgumentParser
import Cryptography
import Glibc
import Logging
import Messaging

/// One side of a blob transfer, for tests that kill it and for measurements.
@main struct BlobPeer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blob-peer", abstract: "Serve, send, fetch and measure blobs.",
        subcommands: [Serve.self, Send.self, Fetch.self, Bench.self, Sink.self])
}

/// What every side is told.
struct PeerOptions: ParsableArguments {
    @Option(help: "The folder of the blob store.") var folder: String
    @Option(help: "Both sides' keys are derived from it.") var seed = "blob-peer"

    var serverKey: TransportKey { get throws { try key("server") } }
    var clientKey: TransportKey { get throws { try key("client") } }

    private func key(_ name: String) throws -> TransportKey {
        try TransportKey(secretKey: Digest.sha256(Array("\(seed)/\(name)".utf8)).bytes)
    }

    func context() throws -> MessagingContext {
        try MessagingContext(logger: Logger(label: "blob-peer") { _ in SwiftLogNoOpLogHandler() })
    }

    func client(_ context: MessagingContext, _ endpoint: String) throws -> RequestClient {
        try RequestClient(
            context: context, endpoint: endpoint, serverKey: serverKey.publicKey, key: clientKey,
            limits: MessagingLimits(longestReconnect: .milliseconds(200)))
    }
}

extension Digest: ExpressibleByArgument {
    public init?(argument: String) { self.init(hex: argument) }
}

/// Prints a line at once, so that a killed process has printed all it did.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

/// Ends this process when the one that started it is gone.
func endWithParent() {
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { _ in
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) > 0 {}
            _exit(3)
        }, nil)
    if code == 0 { pthread_detach(thread) }
}
