import Commands
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

/// What people see of a decision before they vote on it.
@Suite("Decisions as people see them")
struct DecisionReportTests {
    private let ledger: ReportLedger
    private let thief = AccountID(.site, "thief")

    init() throws {
        ledger = try ReportLedger()
        try ledger.block([(Consortium.north, [.grant(named("patient"), waive: false)])])
    }

    private func document(
        _ account: AccountID, keysOf holder: AccountID, endpoint: String = ""
    ) throws -> Member {
        try Member(
            strictly: signedMember(
                account: account, signing: signingKey(of: holder), vote: voteKey(of: holder),
                transport: Digest.sha256(Array("\(holder)".utf8)).bytes, endpoint: endpoint))
    }

    private func entry(_ decision: Decision) throws -> (entry: DecisionEntry, text: String) {
        try ledger.store.keep(decision)
        let report = try governanceReport(of: ledger.store, account: Consortium.north)
        return (
            try #require(report.decisions.first { $0.decision == decision.hash.hex }),
            governanceText(report)
        )
    }

    @Test("a decision on new keys shows whose keys change, from what to what")
    func newKeys() throws {
        var draft = DecisionDraft()
        let own = try document(
            Consortium.east, keysOf: thief, endpoint: "tcp://10.0.0.9:1\nfor it    everybody")
        draft.rekeyed = [own]
        draft.reason = "a new laptop"
        let (entry, text) = try entry(try draft.decision(on: ledger.store))
        #expect(entry.entering == [])
        let member = try #require(entry.members.first)
        #expect(entry.members.count == 1 && member.account == Consortium.east.text)
        #expect(member.kind == .newKeys)
        let was = try Member(strictly: memberDocument(Consortium.east))
        #expect(member.signingKey?.was == was.signingKey.hex)
        #expect(member.signingKey?.becomes == own.signingKey.hex)
        #expect(member.voteKey?.was == was.voteKey?.hex)
        #expect(member.voteKey?.becomes == own.voteKey?.hex)
        #expect(member.transportKey?.was == hexString(was.transportKey))
        #expect(member.endpoint?.was == nil)
        #expect(entry.agreement == [] && !entry.changesAgreement)
        #expect(text.contains("\(was.signingKey.hex) → \(own.signingKey.hex)"))
        #expect(text.contains("site/east gets new keys"))
        #expect(!text.contains("\nfor it    everybody"), "somebody's words begin no line")
        #expect(text.contains("1\\u{A}for it"))
    }

    @Test("who enters is told from who gets new keys, with all that is new")
    func entering() throws {
        var draft = DecisionDraft()
        let south = try document(AccountID(.site, "south"), keysOf: thief, endpoint: "tcp://s:1")
        draft.entering = [south]
        draft.reason = "a fourth hospital"
        let (entry, text) = try entry(try draft.decision(on: ledger.store))
        #expect(entry.entering == ["site/south"])
        #expect(entry.members.map(\.kind) == [.new])
        #expect(entry.members.first?.signingKey?.was == nil)
        #expect(text.contains("site/south enters") && text.contains(south.signingKey.hex))
    }

    @Test("every changed parameter of the agreement is shown, was and becomes")
    func agreement() throws {
        var draft = DecisionDraft()
        var agreement = ledger.store.genesis.agreement
        let was = agreement.rewards.roundPoolMicrotokens
        agreement.rewards.roundPoolMicrotokens = was + 7
        agreement.chain.blockIntervalMs = 75
        draft.agreement = agreement
        let (entry, text) = try entry(try draft.decision(on: ledger.store))
        #expect(
            entry.agreement.map(\.parameter) == [
                "chain.blockIntervalMs", "rewards.roundPoolMicrotokens",
            ])
        #expect(entry.agreement.map(\.was) == ["50", was == 0 ? nil : "\(was)"])
        #expect(entry.agreement.map(\.becomes) == ["75", "\(was + 7)"])
        #expect(text.contains("chain.blockIntervalMs: 50 → 75"))
    }

    @Test("the number proposed is the lowest free one, whatever numbers others use")
    func numbers() throws {
        func next() throws -> Decision {
            var draft = DecisionDraft()
            draft.rekeyed = [try document(Consortium.east, keysOf: thief)]
            return try draft.decision(on: ledger.store)
        }
        var draft = DecisionDraft()
        draft.rekeyed = [try document(Consortium.west, keysOf: thief)]
        draft.term = Term(1 + Decision.termReach)
        try ledger.store.keep(try draft.decision(on: ledger.store))
        let first = try next()
        #expect(first.term == Term(2))
        try ledger.store.keep(first)
        #expect(try next().term == Term(3))
        try ledger.store.forget([first.hash])
        #expect(try next().term == Term(2))
        draft.term = Term(2 + Decision.termReach)
        #expect(throws: DecisionDraft.Fault.self) { try draft.decision(on: ledger.store) }
    }

    @Test("a decision keeps its place beside one whose ballots were forgotten")
    func forgets() throws {
        var draft = DecisionDraft()
        draft.rekeyed = [try document(Consortium.east, keysOf: thief)]
        let decision = try draft.decision(on: ledger.store)
        let store = ledger.store
        try store.keep(decision)
        try store.keep(
            try Ballot(
                decision: decision.hash, voter: Consortium.west, network: store.genesis.network,
                key: voteKey(of: Consortium.west)))
        try store.forget([decision.hash])
        #expect(try store.decisions(above: .genesis) == [])
        #expect(try store.ballots(for: decision.hash) == [])
    }

    @Test("characters that move the cursor are shown by their numbers")
    func printed() {
        #expect(printable("a\u{1B}[1m\u{202E}b\u{9B}") == "a\\u{1B}[1m\\u{202E}b\\u{9B}")
        #expect(printable("Grüße → 3 €") == "Grüße → 3 €")
    }
}
