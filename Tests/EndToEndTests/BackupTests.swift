import Cryptography
import Deployments
import Foundation
import Processes
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Backup", .timeLimit(.minutes(10)))
    struct Backup {
        @Test("a copy of a running node is sound, and its worker votes again by a decision alone")
        func runningNode() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                async let rounds: Ended = deployment.done(
                    ["run", "start", "--rounds", "2", "--wait"], in: Deployment.coordinator)
                try await eventually("round 1 is open", every: .zero) {
                    try await deployment.rounds(in: "west").map { $0.opened >= 1 } ?? false
                }
                let made = try await deployment.report(
                    BackupReport.self, "backup", "--to", deployment.home("copy"), "--with-keys",
                    in: "west")
                #expect(made.withKeys && made.damagedBlobs.isEmpty)
                _ = try await rounds
                #expect(try openFiles(below: deployment.home("copy")) == [])
                let verified = try await deployment.report(
                    VerifyReport.self, "verify", in: "copy")
                #expect(verified.sound && verified.height == made.settledHeight)
                let again = try await deployment.tally(
                    "backup", "--to", deployment.home("copy"), in: "west")
                #expect(again.status == 1 && again.errors.contains("exists already"))

                // The copy takes the home's place; it lacks what west voted for since.
                #expect(try await deployment.stop("west").status == 0)
                try FileManager.default.removeItem(atPath: deployment.home("west"))
                try FileManager.default.moveItem(
                    atPath: deployment.home("copy"), toPath: deployment.home("west"))
                try await deployment.start("west")
                #expect(try deployment.service("west").log.contains("following without voting"))
                // Three of four are a quorum: without north nothing settles while west is silent.
                _ = try await deployment.atRest()
                #expect(try await deployment.stop("north").status == 0)
                // The block with the grant settles the one below its parent, and then nothing does.
                let before = try await deployment.status(of: "east")
                let waiting = try deployment.begin(
                    ["consent", "grant", "--patient", "waits", "--purposes", "training"],
                    in: "east")
                try await eventually("the grant is ordered") {
                    try await deployment.status(of: "east").settledHeight > before.settledHeight
                }
                let ordered = try await deployment.status(of: "east")
                try await Task.sleep(for: .seconds(3))
                #expect(waiting.isRunning)
                #expect(
                    try await deployment.status(of: "east").settledHash == ordered.settledHash)
                try await deployment.start("north")
                #expect(try await waiting.ended().status == 0)

                #expect(try await deployment.stop("west").status == 0)
                try await deployment.done(["site", "restore"], in: "west")
                try await deployment.start("west")
                try await deployment.decide(
                    ["--rekey", "\(deployment.home("west"))/west.next-member"], by: "north",
                    with: ["hub", "east"], term: 2)
                #expect(try await deployment.stop("north").status == 0)
                try await deployment.done(
                    ["consent", "grant", "--patient", "voting", "--purposes", "training"],
                    in: "west")
                try await deployment.start("north")
                #expect(try await deployment.faults() == [])
            }
        }

        /// Files and folders that others than their owner may use.
        private func openFiles(below folder: String) throws -> [String] {
            try ([""] + FileManager.default.subpathsOfDirectory(atPath: folder)).filter { name in
                let found = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
                let mode = (found[.posixPermissions] as? NSNumber)?.intValue ?? 0o777
                return mode & 0o077 != 0
            }
        }
    }
}

private struct BackupReport: Decodable {
    let settledHeight: UInt64
    let blobs: Int
    let damagedBlobs: [String]
    let withKeys: Bool
}
