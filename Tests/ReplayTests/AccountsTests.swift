import Contracts
import Foundation
import Ledger
import Node
import SecondOpinion
import Storage
import TestSupport
import Testing
import Wire

@Suite("Accounts by the second implementation")
struct AccountsTests {
    private struct Exported {
        let chain: [UInt8]
        let effects: [UInt8]
        let store: LedgerStore
    }

    private func exported(_ home: StudiedHome) throws -> Exported {
        let store = try LedgerStore.reading(at: home.home.ledger)
        let (chain, effects) = (home.home.path + "/chain.tally", home.home.path + "/effects.tally")
        _ = try exportChain(of: store, to: chain)
        _ = try exportEffects(of: store, to: effects)
        return Exported(
            chain: [UInt8](try Data(contentsOf: URL(filePath: chain))),
            effects: [UInt8](try Data(contentsOf: URL(filePath: effects))), store: store)
    }

    private func opinion(_ exported: Exported, effects: [UInt8]) async throws -> Opinion {
        let folder = try TemporaryFolder()
        let path = folder.path + "/effects.tally"
        try Data(effects).write(to: URL(filePath: path))
        let opinions = try await secondOpinions(
            "accounts", on: [exported.chain], genesis: exported.store.genesis.bytes,
            options: ["--effects", path])
        return try #require(opinions.first)
    }

    @Test("Python keeps the same books from chain and effects, to the microtoken")
    func balances() async throws {
        let home = try StudiedHome()
        let exported = try exported(home)
        let opinion = try await opinion(exported, effects: exported.effects)
        #expect(opinion.proven, "\(opinion)")
        #expect(try #require(opinion["derived"].flatMap { Int($0) }) > 20)
        let text = try #require(opinion["accounts"])
        var view = ChangeSet(above: SQLiteState(exported.store))
        var accounts = 0
        for entry in view.entries(in: .balances) {
            let name = String(decoding: entry.key.key, as: UTF8.self)
            let balance = view.value(WireBalanceState.self, .balances, entry.key.key)
            let held = try #require(balance).available(at: .max)
            #expect(
                text.contains("\(name)\" = \(held);") || text.contains("\(name)\": \(held)"),
                "\(name) holds \(held), not so in \(text)")
            accounts += 1
        }
        #expect(accounts > 20)
        // The study has an income and a payout of which a quorum took a part back.
        let stored = view.value(WireSupplyState.self, .supply, [])
        let supply = try #require(stored)
        #expect(supply.revenue == 4_000_000 && supply.redeemed == 1_000)
    }
    @Test("an effect that is changed, or left out, is found by its root")
    func forgeries() async throws {
        let home = try StudiedHome()
        let exported = try exported(home)
        var changed = exported.effects
        changed[changed.count - 3] ^= 1
        #expect(try await !opinion(exported, effects: changed).proven)
        let cut = Array(exported.effects.dropLast(1))
        #expect(try await !opinion(exported, effects: cut).proven)
    }

    @Test("another policy moves what it says, and the agreed one nothing")
    func policies() throws {
        let home = try StudiedHome()
        let store = try LedgerStore.reading(at: home.home.ledger)
        var policy = store.genesis.agreement.rewards
        let same = try whatIf(policy, on: store)
        #expect(same.accounts.isEmpty && same.changedOutcomes == 0)
        #expect(same.roles.allSatisfy { $0.difference == "0.000000" })
        let moved = policy.patientsBasisPoints / 2
        policy.patientsBasisPoints -= moved
        policy.developersBasisPoints += moved
        let other = try whatIf(policy, on: store)
        let differences = Dictionary(
            other.roles.map { ($0.name, $0.difference) }, uniquingKeysWith: { first, _ in first })
        #expect(differences["developer"]?.hasPrefix("+") == true, "\(differences)")
        #expect(differences["patient"]?.hasPrefix("-") == true, "\(differences)")
        #expect(differences["reserve"] == "0.000000")
        #expect(other.accounts.contains { $0.name == Consortium.developer.text })
    }
}
