import ArgumentParser
import Cryptography
import Foundation
import Messaging
import Node
import Storage

/// Compares transfers between two processes with raw ZeroMQ between two processes, both with CURVE.
///
/// A run takes one of each in turn, so that a busy machine slows all of them; the medians count.
struct Bench: AsyncParsableCommand {
    @OptionGroup var peer: PeerOptions
    @OptionGroup var sizes: TransferOptions
    @Option(help: "The size of the blob, in units of 1,048,576 bytes.") var mebibytes = 200
    @Option(help: "How often everything is measured.") var rounds = 5

    func run() async throws {
        try FileManager.default.createDirectory(
            atPath: peer.folder, withIntermediateDirectories: true)
        let size = mebibytes << 20
        var raw: [Double] = []
        var up: [Double] = []
        var down: [Double] = []
        for round in 0..<rounds {
            raw.append(try rawSeconds())
            let transfer = try await transferSeconds(round: round, size: size)
            up.append(transfer.up)
            down.append(transfer.down)
            say(
                "round \(round): raw \(rate(raw[round])), upload \(rate(up[round])), "
                    + "download \(rate(down[round])) MB/s")
        }
        say("raw PUSH/PULL with CURVE: \(rate(median(raw))) MB/s")
        say("upload: \(rate(median(up))) MB/s, \(percent(median(raw) / median(up))) of raw")
        say("download: \(rate(median(down))) MB/s, \(percent(median(raw) / median(down))) of raw")
    }

    /// From the first byte handed over until the other process has received the last.
    private func rawSeconds() throws -> Double {
        let sink = try Companion(["sink", "--messages", "\(mebibytes)"] + options(peer.folder))
        defer { sink.kill() }
        let endpoint = try sink.line("endpoint ")
        let push = try RawPipe.push(to: endpoint, peer)
        defer { push.close() }
        let chunk = [UInt8](repeating: 7, count: 1 << 20)
        try push.send(chunk)
        _ = try sink.line("ready")
        let start = ContinuousClock.now
        for _ in 0..<mebibytes { try push.send(chunk) }
        _ = try sink.line("received")
        return seconds(since: start)
    }

    /// A new blob to another process, filed there, and back into another store.
    private func transferSeconds(
        round: Int, size: Int
    ) async throws -> (up: Double, down: Double) {
        let folders = ["here", "there", "back"].map { "\(peer.folder)/\($0)" }
        defer { for folder in folders { try? FileManager.default.removeItem(atPath: folder) } }
        let here = try BlobStore(folder: folders[0])
        var content = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: size)
        content.withUnsafeMutableBytes { bytes in
            for place in stride(from: 0, to: size, by: 4_096) {
                bytes[place] = UInt8(place >> 12 & 255)
            }
        }
        let digest = try here.put(content)
        content = []
        let server = try Companion(["serve", "--quiet"] + options(folders[1]))
        defer { server.kill() }
        let context = try peer.context()
        let client = try peer.client(context, try server.line("endpoint "))
        do {
            // Connects before the clock starts.
            try await download(
                Digest.sha256([]), into: here, via: client, maximum: 0, progress: { _, _ in })
        } catch is RemoteFailure {}
        var start = ContinuousClock.now
        try await upload(
            digest, from: here, via: client, limits: sizes.limits, progress: { _, _ in })
        let up = seconds(since: start)
        let back = try BlobStore(folder: folders[2])
        start = .now
        try await download(
            digest, into: back, via: client, maximum: .max, limits: sizes.limits,
            progress: { _, _ in })
        let down = seconds(since: start)
        await context.shutdown()
        return (up, down)
    }

    private func options(_ folder: String) -> [String] {
        ["--folder", folder, "--seed", peer.seed]
    }

    private func rate(_ seconds: Double) -> String {
        String(format: "%.0f", Double(mebibytes << 20) / 1e6 / seconds)
    }

    private func percent(_ ratio: Double) -> String { String(format: "%.0f %%", ratio * 100) }

    private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

    private func seconds(since start: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - start) / .seconds(1)
    }
}

/// This executable once more, with other arguments, until it is killed.
private final class Companion {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ arguments: [String]) throws {
        process.executableURL = Bundle.main.executableURL
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// What follows the words on the next line that begins with them.
    func line(_ words: String) throws -> String {
        var line: [UInt8] = []
        while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix(words) { return String(text.dropFirst(words.count)) }
            line = []
        }
        throw ExitCode.failure
    }

    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
