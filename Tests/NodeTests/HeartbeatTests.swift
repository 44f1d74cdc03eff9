import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

/// What nodes find out by telling each other, one heartbeat after the other, without any network.
final class HeartbeatTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "tally-heartbeat-\(UUID())").path()
    private var chain: StoredChain

    init() throws { chain = try StoredChain(in: folder) }

    deinit {
        try? chain.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The nodes of all voters, where the chain stands.
    private func cores() throws -> [AccountID: NodeCore] {
        let now = chain.now
        var cores: [AccountID: NodeCore] = [:]
        for voter in chain.voters {
            cores[voter.account] = try NodeCore(
                store: voter.store, blobs: voter.blobs,
                keys: KeyRing(
                    account: voter.account, signing: signingKey(of: voter.account),
                    voteKeys: [voteKey(of: voter.account)], transport: .generate()),
                clock: { now })
        }
        return cores
    }

    /// Each of two nodes tells the other, and shows the evidence that the other has not.
    private func tell(_ one: NodeCore, _ other: NodeCore) async throws {
        for (teller, listener) in [(one, other), (other, one)] {
            let exchange = try await teller.exchange()
            _ = try await listener.learn(from: exchange)
            let told = Set(exchange.evidence.compactMap { Digest($0) })
            for known in try await teller.offences() where told.contains(known.id) {
                try await listener.take(evidence: known.evidence.bytes)
            }
        }
    }

    private func hasConvicted(_ account: AccountID, _ core: NodeCore) async throws -> Bool {
        try await core.offences().contains { $0.offence.offender == account }
    }

    private static let links = [
        [(Consortium.east, Consortium.west)],
        [(Consortium.east, Consortium.north), (Consortium.north, Consortium.west)],
        [(Consortium.north, Consortium.west), (Consortium.east, Consortium.north)],
    ]

    /// A path of one link, and one of two links in either order, is all that is left.
    @Test(
        "a coordinator that shows two sites different blocks is found out within two heartbeats",
        arguments: links.indices)
    func splitView(path: Int) async throws {
        try chain.submit([.grant(named("a patient"))], by: Consortium.east)
        try chain.settle()
        let blocks = try ["one", "another"].map { name -> Block in
            var coordinator = chain.coordinator
            var replica = chain.replica
            coordinator.contribute([.grant(named(name))])
            return try coordinator.propose(above: &replica, now: chain.now + 1_000).orThrow("block")
        }
        #expect(blocks[0].slot == blocks[1].slot && blocks[0].hash != blocks[1].hash)
        let cores = try cores()
        for (site, block) in [(Consortium.east, blocks[0]), (Consortium.west, blocks[1])] {
            _ = try await cores[site].orThrow("\(site)").consider(block.bytes)
        }
        for (site, core) in cores {
            #expect(try await !hasConvicted(Consortium.coordinator, core), "\(site) knows too much")
        }
        for _ in 0..<2 {
            for (one, other) in Self.links[path] {
                try await tell(cores[one].orThrow("\(one)"), cores[other].orThrow("\(other)"))
            }
        }
        for site in Set(Self.links[path].flatMap { [$0.0, $0.1] }) {
            let core = try cores[site].orThrow("\(site)")
            #expect(try await hasConvicted(Consortium.coordinator, core), "\(site)")
        }
    }

    @Test("a promise of inclusion that is not kept convicts, one that is kept does not")
    func promises() async throws {
        try chain.submit([.grant(named("kept"))], by: Consortium.north)
        try chain.settle()
        let kept = try #require(try chain.voters[2].store.block(at: Height(1))?.envelopes.first)
        let forgotten = try chain.envelope([.grant(named("forgotten"))], by: Consortium.north)
        let promise = UInt64(chain.genesis.agreement.chain.inclusionPromise)
        let north = try #require(chain.voters.first { $0.account == Consortium.north })
        for envelope in [kept, forgotten] {
            let receipt = try Receipt(
                envelope: envelope.id, acceptedAfter: .genesis,
                block: chain.network.digest, promise: promise, network: chain.network,
                key: signingKey(of: Consortium.coordinator))
            try north.store.accept(envelope, receipt: receipt.wire.encoded())
        }
        // One block before the promised height is settled nobody has broken anything.
        while chain.voters[2].replica.settled.height.value < promise - 1 { try oneBlock() }
        var core = try #require(cores()[Consortium.north])
        try await core.checkPromises()
        #expect(try await core.offences().isEmpty)
        try oneBlock()
        core = try #require(cores()[Consortium.north])
        try await core.checkPromises()
        let found = try await core.offences()
        #expect(found.map(\.offence.kind) == [.brokenPromise])
        let shown = try Evidence(
            strictly: found[0].evidence.bytes, network: chain.network)
        let coordinator = try signingKey(of: Consortium.coordinator).verifyingKey
        _ = try shown.offence { $0 == coordinator && $1 == Consortium.coordinator }
    }

    private func oneBlock() throws {
        try chain.submit([.grant(named("filler \(chain.now)"))], by: Consortium.east)
        _ = try chain.step()
    }
}
