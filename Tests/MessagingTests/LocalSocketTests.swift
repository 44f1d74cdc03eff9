import Cryptography
import Foundation
import Glibc
import Testing

import Messaging

@Suite("The local socket", .serialized, .timeLimit(.minutes(2)))
final class LocalSocketTests {
    private let folder: URL
    private let path: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "tally-\(UUID())")
        path = folder.appending(path: "tally.sock").path()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    @Test("a local request is answered, from a socket file of mode 0600")
    func answers() async throws {
        let consortium = try Consortium()
        let calls = Calls()
        let server = try consortium.server(localPath: path) { peer, body in
            calls.note(peer)
            return body + body
        }
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(status.st_mode & S_IFMT == S_IFSOCK)
        let client = try RequestClient(context: consortium.context, localPath: path)
        #expect(try await client.request([7], timeout: .seconds(10)) == [7, 7])
        #expect(calls.peers == [.local])
        let member = try consortium.client(server, consortium.register("site/north"))
        #expect(try await member.request([8], timeout: .seconds(10)) == [8, 8])
        #expect(calls.peers == [.local, .member("site/north")])
        await consortium.context.shutdown()
    }

    @Test("a served path is not taken over; one left by a killed process is")
    func stale() async throws {
        let consortium = try Consortium()
        let first = try consortium.server(localPath: path) { _, _ in [1] }
        #expect(throws: MessagingError.alreadyRunning(path: path)) {
            try consortium.server(localPath: path) { _, _ in [2] }
        }
        let client = try RequestClient(context: consortium.context, localPath: path)
        #expect(try await client.request([0], timeout: .seconds(10)) == [1])
        await first.close()
        await consortium.context.shutdown()

        unlink(path)
        try leaveSocketFile(path)
        let next = try Consortium()
        #expect(throws: MessagingError.notRunning(path: path)) {
            try RequestClient(context: next.context, localPath: path)
        }
        let second = try next.server(localPath: path) { _, _ in [2] }
        let again = try RequestClient(context: next.context, localPath: path)
        #expect(try await again.request([0], timeout: .seconds(10)) == [2])
        await second.close()
        await next.context.shutdown()
    }

    /// Binds a socket and closes it without removing its file, as a killed process does.
    private func leaveSocketFile(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(code == 0)
        #expect(listen(descriptor, 1) == 0)
        close(descriptor)
        #expect(access(path, F_OK) == 0)
    }

    @Test("a path that is too long or has no folder is refused by name")
    func badPaths() async throws {
        let consortium = try Consortium()
        let long = "/tmp/" + String(repeating: "x", count: 120)
        #expect(throws: MessagingError.localPathTooLong(path: long, limit: 107)) {
            try consortium.server(localPath: long) { _, body in body }
        }
        #expect(throws: MessagingError.localPathTooLong(path: long, limit: 107)) {
            try RequestClient(context: consortium.context, localPath: long)
        }
        #expect(throws: MessagingError.self) {
            try consortium.server(localPath: "/tmp/no/such/folder/sock") { _, body in body }
        }
        await consortium.context.shutdown()
    }
}
