import Commands
import Cryptography
import Foundation
import Ledger
import Node
import TestSupport
import Testing

@Suite("Which site a reader's home asks")
struct SiteDocumentTests {
    private let folder = NSTemporaryDirectory() + "tally-site-\(UUID().uuidString)"

    private func run(_ arguments: String...) async -> Int32 {
        await Tally.run(arguments: arguments)
    }

    private func write(_ name: String, _ content: [UInt8]) throws -> String {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try Data(content).write(to: URL(filePath: "\(folder)/\(name)"))
        return "\(folder)/\(name)"
    }

    private func document(_ account: AccountID, endpoint: String) throws -> [UInt8] {
        try signedMember(
            account: account, signing: signingKey(of: account),
            vote: account.role?.votes == true ? voteKey(of: account) : nil,
            transport: Digest.sha256(Array("new \(account)".utf8)).bytes, endpoint: endpoint)
    }

    /// Founded by sites of which north alone listens.
    private func genesis() throws -> String {
        let founders = [
            try memberDocument(Consortium.coordinator), try memberDocument(Consortium.developer),
            try memberDocument(Consortium.east),
            try document(Consortium.north, endpoint: "tcp://127.0.0.1:7301"),
            try memberDocument(Consortium.treasurer),
        ]
        return try write(
            "genesis.tally",
            genesisDocument(
                agreement: testAgreement(), members: founders.map { try Member(strictly: $0) },
                timeMilliseconds: 1, nonce: Digest.sha256([1]).bytes))
    }

    @Test("a document of a site takes the place of the founding one, and another one its place")
    func documents() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let genesis = try genesis()
        let home = Home(folder + "/reader")
        func text(_ file: String) throws -> String {
            String(decoding: try home.read(file, remedy: "?"), as: UTF8.self)
        }
        func join(_ options: String...) async -> Int32 {
            await Tally.run(
                arguments: ["network", "join", genesis, "--home", home.path] + options)
        }
        #expect(
            await run("key", "new", "--name", "site", "--role", "annotator", "--home", home.path)
                == 0)
        #expect(await join("--site", "site/east") == 1, "it does not listen")
        #expect(await join("--site", "site/north") == 0)
        #expect(try text(home.siteFile) == "site/north\n" && !home.exists(home.siteDocument))
        // A site that founded nothing, by its document.
        let south = try #require(AccountID("site/south"))
        #expect(await join("--site", "site/south") == 1)
        let later = try document(south, endpoint: "tcp://127.0.0.1:7302")
        let file = try write("south.member", later)
        #expect(await join("--site-member", file) == 0)
        #expect(try text(home.siteFile) == "site/south\n")
        #expect(try home.read(home.siteDocument, remedy: "?") == later)
        #expect(try home.member().account.name == "site", "its own document is another one")
        // The same command takes another document, and the plain one changes nothing.
        let moved = try document(south, endpoint: "tcp://127.0.0.1:7303")
        #expect(await join("--site-member", try write("south.member", moved)) == 0)
        #expect(try home.read(home.siteDocument, remedy: "?") == moved)
        #expect(await join() == 0)
        #expect(try text(home.siteFile) == "site/south\n" && home.exists(home.siteDocument))
        // What cannot be asked leaves all as it is.
        let silent = try write("east.member", try memberDocument(Consortium.east))
        #expect(await join("--site-member", silent) == 1)
        let developer = try write("dev.member", try memberDocument(Consortium.developer))
        #expect(await join("--site-member", developer) == 1)
        #expect(await join("--site-member", file, "--site", "site/north") == 64)
        #expect(await join("--site-member", genesis) == 1)
        #expect(await join("--site-member", folder) == 1)
        #expect(try home.read(home.siteDocument, remedy: "?") == moved)
        // A founder by its name is meant as it founded.
        #expect(await join("--site", "site/north") == 0)
        #expect(try text(home.siteFile) == "site/north\n" && !home.exists(home.siteDocument))
    }

    @Test("what cannot be read is named, with what it is")
    func unreadable() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = try write("file", [1, 2, 3])
        func reason(_ path: String, atMost limit: Int? = nil) -> String {
            do {
                return "\(try fileContent(path, atMost: limit))"
            } catch { return sentence(for: error) }
        }
        for limit in [nil, 10] {
            #expect(reason(file, atMost: limit) == "[1, 2, 3]")
            #expect(reason(folder, atMost: limit) == "\(folder) is a folder; name a file")
            #expect(
                reason("\(folder)/none", atMost: limit)
                    == "\(folder)/none is not there; check the path")
            // The kernel refuses to read a process's memory from its beginning.
            #expect(
                reason("/proc/self/mem", atMost: limit).hasPrefix(
                    "/proc/self/mem cannot be read: "))
        }
        #expect(reason(file, atMost: 3) == "[1, 2, 3]")
        #expect(reason(file, atMost: 2).hasPrefix("\(file) has more than 2 bytes"))
        #expect(throws: HomeError.unreadable(file: folder, reason: "it is a folder")) {
            try Home(folder).read(folder, remedy: "?")
        }
    }
}
