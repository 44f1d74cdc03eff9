import Contracts
import Cryptography
import Deployments
import Foundation
import Ledger
import Processes
import Storage
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Repair", .timeLimit(.minutes(10)))
    struct Repair {
        @Test("a site heals blocks, state, effects and blobs that changed while it was stopped")
        func changedBytes() async throws {
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                _ = try await deployment.atRest()
                for wound in Wound.allCases {
                    #expect(try await deployment.stop("east").status == 0)
                    let before = try await deployment.status(of: "east")
                    try wound.inflict(on: deployment.home("east"))
                    let unsound = try await deployment.tally("verify", in: "east")
                    #expect(unsound.status == 2, "\(wound): \(unsound)")
                    try await deployment.start("east")
                    try await eventually("\(wound) is healed") {
                        try await deployment.tally("verify", in: "east").status == 0
                    }
                    let after = try await deployment.status(of: "east")
                    #expect(after.settledHash == before.settledHash, "\(wound)")
                }
                // It still votes: without west the other three must agree.
                #expect(try await deployment.stop("west").status == 0)
                try await deployment.done(
                    ["consent", "grant", "--patient", "healed", "--purposes", "training"],
                    in: "east")
                try await deployment.start("west")
                #expect(try await deployment.faults() == [])
            }
        }

        @Test("a site whose votes were lost, or whose file is gone, follows and votes no more")
        func lostJournal() async throws {
            try await withDeployment(.annotated) { deployment in
                try await deployment.startAll()
                for loss in ["a vote", "the header", "the file", "half of it"] {
                    #expect(try await deployment.stop("east").status == 0)
                    let ledger = "\(deployment.home("east"))/ledger.sqlite"
                    switch loss {
                    case "a vote": try flip(try newestVote(of: ledger), in: ledger)
                    case "the header": try flip(Array("SQLite format 3".utf8), in: ledger)
                    case "the file": try FileManager.default.removeItem(atPath: ledger)
                    default: try halve(ledger)
                    }
                    let report = try await deployment.report(
                        RepairReport.self, "repair", in: "east")
                    #expect(report.journal == "lost", "\(loss)")
                    if loss == "a vote" { #expect(report.fetchedBlocks == 0) }
                    if loss == "the file" { #expect(report.ownBlocks == 0) }
                    try await deployment.start("east")
                    #expect(
                        try deployment.service("east").log.contains("following without voting"))
                    _ = try await deployment.atRest()
                    #expect(try await deployment.tally("verify", in: "east").status == 0, "\(loss)")
                }
                #expect(try await deployment.stop("east").status == 0)
                try await deployment.done(["site", "restore"], in: "east")
                try await deployment.start("east")
                try await deployment.decide(
                    ["--rekey", "\(deployment.home("east"))/east.next-member"], by: "north",
                    with: ["hub", "west"], term: 2)
                #expect(try await deployment.stop("north").status == 0)
                try await deployment.done(
                    ["consent", "grant", "--patient", "voting", "--purposes", "training"],
                    in: "east")
                try await deployment.start("north")
                #expect(try await deployment.faults() == [])
            }
        }

        private func halve(_ file: String) throws {
            let handle = try FileHandle(forWritingTo: URL(filePath: file))
            try handle.truncate(atOffset: try handle.seekToEnd() / 2)
            try handle.close()
        }

        private func newestVote(of ledger: String) throws -> [UInt8] {
            let store = try LedgerStore.reading(at: ledger)
            defer { try? store.close() }
            let slot = try #require(try store.journal().lastVote)
            return try #require(try store.vote(at: slot)).encoded()
        }
    }
}

private struct RepairReport: Decodable {
    let height: UInt64
    let ownBlocks: Int
    let fetchedBlocks: Int
    let journal: String
}

/// Damage that peers can make good.
private enum Wound: CaseIterable {
    case oldBlock, newestBlock, effect, state, blob

    func inflict(on home: String) throws {
        let ledger = "\(home)/ledger.sqlite"
        if self == .blob {
            let blobs = "\(home)/blobs"
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: blobs)
                    .filter { $0.count == 64 }.min())
            let file = "\(blobs)/\(name)"
            return try flip(Array(try Data(contentsOf: URL(filePath: file)).prefix(40)), in: file)
        }
        let store = try LedgerStore.reading(at: ledger)
        let tip = try store.tip()
        var old = try #require(try store.block(at: Height(1)))
        while old.envelopes.isEmpty {
            old = try #require(try store.block(at: old.height.next))
        }
        let newest = try #require(try store.block(at: tip.height))
        let effect = try #require(try store.effects(of: old).first)
        try store.close()
        switch self {
        case .oldBlock: try flip(Array(old.envelopes[0].bytes.suffix(60)), in: ledger)
        case .newestBlock: try flip(newest.headerBytes, in: ledger)
        case .effect: try flip(effect, in: ledger)
        case .state: try flip(try checkedEntry(of: ledger, store.genesis.network), in: ledger)
        case .blob: break
        }
    }

    /// A value of the state that did not change since the newest checkpoint.
    private func checkedEntry(of ledger: String, _ network: NetworkID) throws -> [UInt8] {
        let file = SalvagedLedger(path: ledger, network: network)
        defer { file.close() }
        for bucket in try #require(file.hashedBuckets) {
            let entries = file.hashedBucket(bucket)?.entries ?? []
            if let entry = entries.first(where: { $0.value.count > 16 }) { return entry.value }
        }
        throw Unexpected(description: "no entry was hashed at a checkpoint")
    }
}

/// Changes one bit in the middle of every place where these bytes stand in a file.
private func flip(_ bytes: [UInt8], in file: String) throws {
    var content = try Data(contentsOf: URL(filePath: file))
    var count = 0
    var rest = content.startIndex..<content.endIndex
    while let found = content.range(of: Data(bytes), in: rest) {
        content[found.lowerBound + bytes.count / 2] ^= 0x10
        rest = found.upperBound..<content.endIndex
        count += 1
    }
    try #require(count > 0)
    try content.write(to: URL(filePath: file))
}
