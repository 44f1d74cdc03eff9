import Commands
import Contracts
import Cryptography
import Federation
import Foundation
import Ledger
import Node
import SecondOpinion
import Storage
import TestSupport
import Testing
import Wire

/// A home with a ledger of three terms, and the chain that it holds.
private final class ProvenHome: Sendable {
    let path: String
    let chain: ProvenChain

    var genesis: String { path + "/genesis.tally" }

    init(_ chain: ProvenChain) throws {
        self.chain = chain
        path = NSTemporaryDirectory() + "tally-proofs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(chain.genesis.bytes).write(to: URL(filePath: genesis))
        let store = try LedgerStore.create(
            at: path + "/ledger.sqlite", genesis: chain.genesis)
        try chain.keep(in: store)
        try store.close()
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func store() throws -> LedgerStore { try .reading(at: path + "/ledger.sqlite") }

    func write(_ name: String, _ content: [UInt8]) throws -> String {
        try Data(content).write(to: URL(filePath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }

    func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: "\(path)/\(name)")))
    }
}

@Suite("Proofs from a ledger")
struct ProofTests {
    private let home: ProvenHome

    init() throws {
        var chain = try ProvenChain()
        for count in [3, 0, 5] { try chain.append(count) }
        let second = AccountID(.coordinator, "second")
        try chain.open(chain.decide(second, voters: [second] + Consortium.sites))
        for count in [1, 0, 2, 4] { try chain.append(count) }
        let third = AccountID(.coordinator, "third")
        try chain.open(
            chain.decide(third, voters: [third, Consortium.east, Consortium.north], term: 7))
        for count in [2, 0, 1, 0, 0] { try chain.append(count) }
        home = try ProvenHome(chain)
    }

    private func run(_ arguments: String...) async -> Int32 {
        await Tally.run(arguments: arguments)
    }

    @Test("every settled transaction of a ledger of three terms has a receipt")
    func everyTransaction() throws {
        let store = try home.store()
        let prover = Prover(store)
        let settled = try store.tip().height
        #expect(settled.value == UInt64(home.chain.blocks.count) - 2)
        for block in home.chain.blocks where block.height <= settled {
            for envelope in block.envelopes {
                for index in envelope.transactions.indices {
                    let id = TransactionID(envelope: envelope.id, index: UInt32(index))
                    for hasLog in [true, false] {
                        let proof = try prover.proof(of: id, hasLog: hasLog)
                        let found = try proof.check(genesis: home.chain.genesis)
                        #expect(found.hash == block.hash && found.transaction?.id == id)
                    }
                }
            }
        }
        let newest = try prover.proofOfNewest().check(genesis: home.chain.genesis)
        #expect(newest.slot.height == settled)
        let unknown = TransactionID(envelope: .zero, index: 0)
        #expect(throws: ProverError.unknown(unknown)) { try prover.proof(of: unknown) }
    }

    @Test("a ledger whose newest blocks wait proves the same at every height it grew to")
    func whileGrowing() throws {
        for length in 3...home.chain.blocks.count {
            let grown = try ProvenHome(home.chain.prefix(length))
            let store = try grown.store()
            let settled = try store.tip().height
            guard settled > .genesis else { continue }
            let found = try Prover(store).proofOfNewest().check(genesis: home.chain.genesis)
            #expect(found.slot.height == settled, "length \(length)")
        }
    }

    @Test("a receipt is written, checked with genesis alone, and refused when it was changed")
    func receipt() async throws {
        let envelope = try #require(home.chain.blocks[7].envelopes.first)
        let id = "\(envelope.id.hex)/3"
        let file = home.path + "/receipt.tally"
        #expect(await run("receipt", id, "--out", file, "--home", home.path) == 0)
        #expect(await run("receipt", "check", file, "--genesis", home.genesis) == 0)
        #expect(await run("receipt", "check", file, "--home", home.path) == 0)
        let opinions = try await secondOpinions(
            "receipt", on: [home.read("receipt.tally")], genesis: home.chain.genesis.bytes)
        #expect(opinions.first?["transaction"] == id)
        var bytes = try home.read("receipt.tally")
        bytes[bytes.count / 2] ^= 4
        let changed = try home.write("changed.tally", bytes)
        #expect(await run("receipt", "check", changed, "--genesis", home.genesis) == 2)
        let foreign = try home.write(
            "foreign.tally", testGenesis(chainAgreement()))
        #expect(await run("receipt", "check", file, "--genesis", foreign) == 2)
        #expect(await run("receipt", "check", file, "--genesis", file) == 1)
        #expect(
            await run(
                "receipt", "\(Digest.zero.hex)/0", "--out", file, "--home", home.path) == 1)
        #expect(await run("receipt", "nonsense", "--out", file, "--home", home.path) == 64)
    }

    @Test("evidence is checked with genesis, and with a ledger for keys that came later")
    func evidence() async throws {
        for evidence in try home.chain.plantedOffences() {
            let file = try home.write("evidence.tally", evidence.bytes)
            #expect(await run("evidence", "check", file, "--genesis", home.genesis) == 0)
        }
        let key = try signingKey(of: AccountID(.coordinator, "third"))
        let block = try #require(home.chain.blocks.last)
        var header = block.header
        header.timeMilliseconds += 1
        let bytes = header.encoded(network: home.chain.network)
        let message = payload(.block, network: home.chain.network, bytes)
        let rival = try SignedHeader(
            bytes: bytes, signature: key.sign(message).bytes, network: home.chain.network)
        let later = try #require(
            Evidence.conflict(
                SignedHeader(block), rival, by: key.verifyingKey, network: home.chain.network))
        let file = try home.write("later.tally", later.bytes)
        #expect(await run("evidence", "check", file, "--genesis", home.genesis) == 2)
        #expect(await run("evidence", "check", file, "--home", home.path) == 0)
        let nonsense = try home.write("nonsense.tally", [1, 2, 3])
        #expect(await run("evidence", "check", nonsense, "--home", home.path) == 2)
        #expect(await run("evidence", "list", "--home", home.path) == 0)
    }

    @Test(
        "an invalid block convicts by re-execution; a sound one, or one spoilt by others, does not")
    func invalidBlocks() async throws {
        func check(_ block: [UInt8]) async throws -> Int32 {
            let evidence = try #require(
                Evidence.invalidBlock(
                    block, by: signingKey(of: Consortium.coordinator).verifyingKey,
                    network: home.chain.network))
            let file = try home.write("block.tally", evidence.bytes)
            #expect(await run("evidence", "check", file, "--genesis", home.genesis) == 2)
            return await run("evidence", "check", file, "--home", home.path)
        }
        let sound = home.chain.blocks[2]
        #expect(try await check(sound.bytes) == 2, "a sound block")
        let offences: [(inout BlockHeader) -> Void] = [
            { $0.effectsRoot = .zero }, { $0.stateRoot = $0.effectsRoot }, { $0.voters = .zero },
            { $0.timeMilliseconds = 0 }, { $0.transactionCount = 0 },
        ]
        for change in offences {
            #expect(try await check(home.chain.altered(2, change)) == 0)
        }
        // What the header does not bind, others may have changed.
        var wire = try WireBlock(strictly: sound.bytes)
        var envelope = try WireEnvelope(strictly: [UInt8](wire.envelopes[0]))
        envelope.signature[5] ^= 1
        wire.envelopes[0] = data(envelope.encoded())
        #expect(try await check(wire.encoded()) == 2, "a spoilt signature")
        envelope.transactions.removeLast()
        wire.envelopes[0] = data(envelope.encoded())
        #expect(try await check(wire.encoded()) == 2, "other transactions")
        #expect(try await check(home.chain.altered(2) { $0.logRoot = .zero }) == 2)
        #expect(
            try await check(home.chain.altered(2) { $0.previous = .zero }) == 2, "another parent")
        var bare = try WireBlock(strictly: sound.bytes)
        bare.parentCertificate = data([])
        let evidence = Evidence.invalidBlock(
            bare.encoded(), by: try signingKey(of: Consortium.coordinator).verifyingKey,
            network: home.chain.network)
        #expect(evidence == nil, "without the certificate that the header binds")
    }

    @Test("an exported chain is whole, and the second implementation reads it to the same heights")
    func export() async throws {
        let file = home.path + "/chain.tally"
        #expect(await run("export", "chain", "--out", file, "--home", home.path) == 0)
        #expect(try home.read("chain.tally") == home.chain.exported())
        let opinions = try await secondOpinions(
            "chain", on: [home.read("chain.tally")], genesis: home.chain.genesis.bytes)
        let store = try home.store()
        #expect(opinions.first?.proven == true)
        #expect(opinions.first?["settledHeight"] == "\(try store.tip().height)")
        #expect(await run("export", "chain", "--out", "/nonexistent/x", "--home", home.path) == 1)
    }

    @Test("of a balance from a site, its height and newest posting are proven, and no more is said")
    func balance() throws {
        var chain = home.chain
        let reader = try #require(Consortium.readers(of: Consortium.east).first)
        try chain.append([.enrol(try memberDocument(reader))])
        for _ in 0..<3 { try chain.append() }
        let prover = Prover(try ProvenHome(chain).store())
        let account = ConsortiumAccount.stake(of: reader)
        let height = Height(UInt64(chain.blocks.count) - 2)
        func checked(
            _ proof: SettlementProof?, _ posting: SettlementProof?, of account: AccountID,
            settled: Height
        ) throws -> BalanceReport {
            try Commands.checked(
                BalanceReport(
                    account: account.text, available: "1", pending: "0", escrow: "0",
                    settledHeight: settled.value), proof: proof?.bytes ?? [],
                posting: posting?.bytes ?? [], account: account, genesis: chain.genesis,
                site: Consortium.north)
        }
        let proof = try #require(try prover.proof(ofBalance: account, at: height))
        let posting = try #require(proof.posting)
        let good = try checked(proof.settled, posting, of: account, settled: height)
        #expect(good.provenHeight == height.value)
        #expect(good.provenPostingHeight == height.value - 1)
        #expect(good.provenTransaction?.hasSuffix("/0") == true)
        #expect(
            good.proof
                == "settled height proven, newest posting shown is proven at height "
                + "\(height.value - 1); the sums are site/north's word")
        // Another settled height than the one that is proven, above it or below.
        for claimed in [Height(999_999), Height(height.value - 1), .genesis] {
            #expect(throws: CommandFault.self) {
                try checked(proof.settled, posting, of: account, settled: claimed)
            }
        }
        // A posting above the height that is proven, and one of another account.
        let early = Height(height.value - 2)
        let old = try prover.proof(ofBlockAt: early)
        #expect(try prover.proof(ofBalance: account, at: early) == nil)
        #expect(throws: CommandFault.self) {
            try checked(old, posting, of: account, settled: early)
        }
        #expect(throws: CommandFault.self) {
            try checked(proof.settled, posting, of: Consortium.west, settled: height)
        }
        // A proof of the height alone is no proof of a posting.
        #expect(throws: CommandFault.self) {
            try checked(proof.settled, proof.settled, of: account, settled: height)
        }
        let bare = try checked(proof.settled, nil, of: account, settled: height)
        #expect(
            bare.proof == "settled height proven, no posting shown; the sums are site/north's word")
        #expect(bare.provenTransaction == nil && bare.provenPostingHeight == nil)
        #expect(throws: CommandFault.self) {
            try checked(nil, posting, of: account, settled: height)
        }
        let first = try checked(nil, nil, of: account, settled: .genesis)
        #expect(first.proof.contains("nothing is proven") && first.provenHeight == nil)
    }

    @Test("bytes that are no proof prove no balance")
    func spoiltBalance() throws {
        let proof = try Prover(try home.store()).proofOfNewest()
        let height = UInt64(home.chain.blocks.count) - 2
        let balance = BalanceReport(
            account: Consortium.east.text, available: "1", pending: "0", escrow: "0",
            settledHeight: height)
        func checked(_ proof: [UInt8], _ posting: [UInt8] = []) throws -> BalanceReport {
            try Commands.checked(
                balance, proof: proof, posting: posting, account: Consortium.east,
                genesis: home.chain.genesis, site: Consortium.north)
        }
        #expect(try checked(proof.bytes).provenHeight == height)
        for spoilt in [[], [1, 2, 3], Array(proof.bytes.dropLast())] {
            #expect(throws: CommandFault.self) { try checked(spoilt) }
        }
        #expect(throws: CommandFault.self) { try checked(proof.bytes, [1, 2, 3]) }
    }
}
