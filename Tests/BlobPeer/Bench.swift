import ArgumentParser
import Cryptography
import Foundation
import Messaging
import Node
import Processes
import Storage

/// Compares transfers between two processes with raw ZeroMQ between two processes, both with CURVE.
///
/// A run takes one of each in turn, so that a busy machine slows all of them; the medians count.
/// Processor time of both processes stands beside, which other work on the machine hardly moves.
struct Bench: AsyncParsableCommand {
    @OptionGroup var peer: PeerOptions
    @OptionGroup var sizes: TransferOptions
    @Option(help: "The size of the blob, in units of 1,048,576 bytes.") var mebibytes = 200
    @Option(help: "How often everything is measured.") var rounds = 5

    func run() async throws {
        try FileManager.default.createDirectory(
            atPath: peer.folder, withIntermediateDirectories: true)
        var (raw, hash, up, down) = ([Cost](), [Cost](), [Cost](), [Cost]())
        for round in 0..<rounds {
            raw.append(try await rawCost())
            let transfer = try await transferCosts(round: round)
            hash.append(transfer.hash)
            up.append(transfer.up)
            down.append(transfer.down)
        }
        report("raw PUSH/PULL", raw, against: raw)
        report("upload", up, against: raw)
        report("download", down, against: raw)
        report("SHA-256 alone", hash, against: raw)
    }

    private func report(_ name: String, _ costs: [Cost], against raw: [Cost]) {
        let cost = Cost(medianOf: costs)
        let ratio = Cost(medianOf: raw).seconds / cost.seconds
        let rate = Double(mebibytes << 20) / 1e6 / cost.seconds
        say(
            "\(name): \(Int(rate)) MB/s, \(Int(ratio * 100)) % of raw; "
                + "processors \(Int(cost.processors * 1_000)) ms")
    }

    /// From the first byte handed over until the other process has received the last.
    private func rawCost() async throws -> Cost {
        let sink = try Companion(["sink", "--messages", "\(mebibytes)"] + options(peer.folder))
        defer { sink.kill() }
        let push = try RawPipe.push(to: await sink.line("endpoint "), peer)
        defer { push.close() }
        let chunk = [UInt8](repeating: 7, count: 1 << 20)
        try push.send(chunk)
        _ = try await sink.line("ready")
        let start = Meter(sink)
        for _ in 0..<mebibytes { try push.send(chunk) }
        _ = try await sink.line("received")
        return start.cost()
    }

    /// A new blob to another process, filed there, and back into another store.
    private func transferCosts(
        round: Int
    ) async throws -> (hash: Cost, up: Cost, down: Cost) {
        let folders = ["here", "there", "back"].map { "\(peer.folder)/\($0)" }
        defer { for folder in folders { try? FileManager.default.removeItem(atPath: folder) } }
        let here = try BlobStore(folder: folders[0])
        let digest = try here.put(content(round))
        let server = try Companion(["serve", "--quiet"] + options(folders[1]))
        defer { server.kill() }
        let context = try peer.context()
        let client = try peer.client(context, try await server.line("endpoint "))
        do {
            // Connects before the clock starts.
            try await download(
                Digest.sha256([]), into: here, via: client, maximum: 0, progress: { _, _ in })
        } catch is RemoteFailure {}
        var start = Meter(server)
        try await upload(
            digest, from: here, via: client, limits: sizes.limits, progress: { _, _ in })
        let up = start.cost()
        let back = try BlobStore(folder: folders[2])
        start = Meter(server)
        try await download(
            digest, into: back, via: client, maximum: .max, limits: sizes.limits,
            progress: { _, _ in })
        let down = start.cost()
        await context.shutdown()
        let bytes = content(round)
        start = Meter(server)
        _ = Digest.sha256(bytes)
        return (start.cost(), up, down)
    }

    private func content(_ round: Int) -> [UInt8] {
        let count = mebibytes << 20
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: count)
        for place in stride(from: 0, to: count, by: 4_096) {
            bytes[place] = UInt8(place >> 12 & 255)
        }
        return bytes
    }

    private func options(_ folder: String) -> [String] {
        ["--folder", folder, "--seed", peer.seed]
    }
}

/// What something took: time, and the processor time of both processes.
private struct Cost {
    var seconds: Double
    var processors: Double

    init(seconds: Double, processors: Double) {
        self.seconds = seconds
        self.processors = processors
    }

    init(medianOf costs: [Cost]) {
        seconds = costs.map(\.seconds).sorted()[costs.count / 2]
        processors = costs.map(\.processors).sorted()[costs.count / 2]
    }
}

private struct Meter {
    private let companion: Companion
    private let start = ContinuousClock.now
    private let processors: Double

    init(_ companion: Companion) {
        self.companion = companion
        processors = Self.processors(companion)
    }

    func cost() -> Cost {
        Cost(
            seconds: (.now - start) / .seconds(1),
            processors: Self.processors(companion) - processors)
    }

    private static func processors(_ companion: Companion) -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [usage.ru_utime, usage.ru_stime].map {
            Double($0.tv_sec) + Double($0.tv_usec) / 1e6
        }.reduce(companion.processors, +)
    }
}

/// This executable once more, with other arguments, until it is killed.
private struct Companion {
    private let process: ChildProcess

    init(_ arguments: [String]) throws {
        process = try ChildProcess(
            builtExecutable("blob-peer"), arguments, errors: .inherited, holdsInput: true)
    }

    /// What follows the words on the first line that begins with them.
    func line(_ words: String) async throws -> String {
        String(try await process.line { $0.hasPrefix(words) }.dropFirst(words.count))
    }

    /// Seconds so far, in steps of 10 ms: fields 14 and 15 of proc(5)'s stat, in ticks.
    var processors: Double {
        let path = "/proc/\(process.id)/stat"
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let fields = text.drop { $0 != ")" }.split(separator: " ")
        guard fields.count > 13 else { return 0 }
        let ticks = fields[12...13].compactMap { Double($0) }.reduce(0, +)
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func kill() { process.signal(SIGKILL) }
}
