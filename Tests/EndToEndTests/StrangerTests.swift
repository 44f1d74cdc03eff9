import Deployments
import Foundation
import Glibc
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Strangers")
    struct Strangers {
        @Test("a key that was never enrolled gets nothing, and an annotator nobody else's balance")
        func unregistered() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                try await deployment.newMember("stranger", asking: "coordinator/hub")
                try await deployment.newMember("intruder", asking: "site/north")
                // They wait for an answer as long as anybody; meanwhile others are asked.
                let asking = try ["stranger", "intruder"].map { name in
                    try deployment.begin(["status"], in: name)
                }
                let own = try await deployment.report(BalanceReport.self, "balance", in: "north-1")
                #expect(own.account == "annotator/north-1")
                let refused = [
                    ["balance", "annotator/north-2"], ["statement", "annotator/north-2"],
                    ["score", "annotator/north-2"], ["supply"], ["data", "list"],
                    ["balance", "reserve/main"],
                ]
                for arguments in refused {
                    let ended = try await deployment.begin(arguments, in: "north-1").ended()
                    #expect(ended.status == 1 && ended.output.isEmpty, "\(arguments): \(ended)")
                    #expect(
                        ended.sentences.count == 1
                            && ended.errors.contains("annotator/north-1 may not ask this"),
                        "\(arguments): \(ended)")
                }
                try await deployment.expectWork()
                for process in asking {
                    let ended = try await process.ended()
                    #expect(ended.status == 1 && ended.output.isEmpty, "\(ended)")
                    #expect(ended.sentences.count == 1, "\(ended)")
                    #expect(ended.errors.contains("it refused our key"), "\(ended)")
                }
            }
        }

        @Test("bytes that are no protocol disturb nobody")
        func garbage() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                let port = try await deployment.port(of: "coordinator/hub")
                var random = SplitMix64(seed: 1)
                let noise = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
                // What a ZeroMQ peer with CURVE says first.
                let greeting: [UInt8] =
                    [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + Array("CURVE".utf8)
                    + [UInt8](repeating: 0, count: 47)
                let request = "POST /run/start HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n"
                let messages: [[UInt8]] = [
                    noise, greeting + noise, Array(greeting.prefix(40)), [0], Array(request.utf8),
                    greeting + [4, 0xFF] + noise.prefix(255),
                    greeting + [6, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] + noise,
                ]
                for target in [port, port + 1] {
                    for message in messages {
                        // Held open to the end: a connection that says nothing more is the worst.
                        let peer = try RawPeer(port: target)
                        defer { peer.hangUp() }
                        peer.say(message)
                    }
                    for message in messages.shuffled(using: &random).prefix(4) {
                        let peer = try RawPeer(port: target)
                        peer.say(message)
                        peer.hangUp()
                    }
                }
                let silent = try (0..<20).map { _ in try RawPeer(port: port) }
                defer { for peer in silent { peer.hangUp() } }
                for peer in silent { peer.say(Array(greeting.prefix(11))) }
                try await deployment.expectWork()
                for name in Deployment.nodes {
                    #expect(try deployment.service(name).isRunning)
                }
                try await deployment.checkAll()
            }
        }
    }
}

/// A plain TCP connection that says whatever it is told.
struct RawPeer {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw Unexpected(description: "nobody listens on port \(port)")
        }
    }

    /// Says as much as the other side takes before it hangs up.
    func say(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes {
            send(
                descriptor, $0.baseAddress, $0.count,
                Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
    }

    func hangUp() { close(descriptor) }
}

extension Deployment {
    /// Expects that a transaction still gets through all the way.
    fileprivate func expectWork() async throws {
        let report = try await report(
            WriteReport.self, "consent", "grant", "--patient", "work", "--purposes", "training",
            in: "north")
        #expect(report.applied == 1)
    }

    fileprivate func port(of account: String) async throws -> Int {
        let report = try await report(MembersReport.self, "member", "list", in: "north")
        let endpoint = try #require(report.members.first { $0.account == account }).endpoint
        return try #require(endpoint.split(separator: ":").last.flatMap { Int($0) })
    }
}
