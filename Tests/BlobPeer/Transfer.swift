import ArgumentParser
import Cryptography
import Node
import Storage

/// The bounds of a transfer, where a test or a measurement wants its own.
struct TransferOptions: ParsableArguments {
    @Option(help: "Bytes of a chunk.") var chunk = 1 << 20
    @Option(help: "Chunks under way at once.") var window = 8
    @Option(help: "Seconds for the whole transfer.") var overall = 120

    var limits: TransferLimits {
        TransferLimits(chunk: chunk, window: window, overall: .seconds(overall))
    }
}

/// Uploads a blob; prints `progress DONE SIZE` as it goes, then `done`.
struct Send: AsyncParsableCommand {
    @OptionGroup var peer: PeerOptions
    @Option var endpoint: String
    @OptionGroup var sizes: TransferOptions
    @Argument var digest: Digest

    func run() async throws {
        endWithParent()
        let client = try peer.client(peer.context(), endpoint)
        let store = try BlobStore(folder: peer.folder)
        try await reporting {
            try await upload(
                digest, from: store, via: client,
                limits: sizes.limits, progress: sayProgress)
        }
    }
}

/// Downloads a blob; prints `progress DONE SIZE` as it goes, then `done`.
struct Fetch: AsyncParsableCommand {
    @OptionGroup var peer: PeerOptions
    @Option var endpoint: String
    @OptionGroup var sizes: TransferOptions
    @Option(help: "The longest blob taken, in bytes.") var maximum: UInt64 = 1 << 32
    @Argument var digest: Digest

    func run() async throws {
        endWithParent()
        let client = try peer.client(peer.context(), endpoint)
        let store = try BlobStore(folder: peer.folder)
        try await reporting {
            try await download(
                digest, into: store, via: client, maximum: maximum,
                limits: sizes.limits, progress: sayProgress)
        }
    }
}

private func sayProgress(_ done: UInt64, _ size: UInt64) { say("progress \(done) \(size)") }

/// Prints how a transfer ended: `done`, or `failed` with the other side's code and a sentence.
private func reporting(_ transfer: () async throws -> Void) async throws {
    do {
        try await transfer()
        say("done")
    } catch {
        say("failed \((error as? RemoteFailure)?.code ?? "-") \(error)")
        throw ExitCode.failure
    }
}
