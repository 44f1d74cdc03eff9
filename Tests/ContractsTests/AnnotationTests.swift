import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct AnnotationTests {
    static let site = Consortium.east
    static let readers = Consortium.readers(of: site)
    static let (first, second, third, fourth) = (readers[0], readers[1], readers[2], readers[3])

    let item: ItemID
    /// `east/1` is registered at height 2 for all four readers: commits to 6, reveals 7 to 9.
    let registered: Consortium

    init() throws {
        item = try itemID("east/1")
        var consortium = try Consortium()
        try consortium.register([item], readers: Self.readers, by: Self.site)
        registered = consortium
    }

    /// Heights at which the item is due, as the table has them.
    func due(_ consortium: Consortium) -> [UInt64] {
        consortium.state.entries(in: .due, prefix: [], limit: .max).compactMap { entry in
            let key = entry.key.key
            guard key.dropFirst(8).first == DueKind.item.rawValue else { return nil }
            return key.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    func commit(
        _ consortium: inout Consortium, _ reader: AccountID, _ grade: UInt32 = 3, at: UInt64
    ) throws -> Rejection? {
        try consortium.outcome(consortium.commit(item, grade, by: reader), by: reader, at: at)
    }

    func reveal(
        _ consortium: inout Consortium, _ reader: AccountID, _ grade: UInt32 = 3, at: UInt64
    ) throws -> Rejection? {
        try consortium.outcome(consortium.reveal(item, grade, by: reader), by: reader, at: at)
    }

    func close(_ consortium: inout Consortium, at: UInt64) throws -> Rejection? {
        try consortium.outcome(.closeItem(item.text), by: Consortium.coordinator, at: at)
    }

    @Test("a commitment is SHA-256 over six framed fields, and every field counts")
    func commitment() throws {
        let (network, reader) = (registered.network, Self.first)
        let other = NetworkID(Digest.sha256(Array("other".utf8)))
        func commitment(
            _ network: NetworkID, _ item: String, _ reader: AccountID, _ grade: UInt32,
            _ salt: [UInt8]
        ) throws -> Digest {
            answerCommitment(
                network: network, item: try itemID(item), annotator: reader, answer: .grade(grade),
                salt: salt)
        }
        let salt = named("salt")
        func framed(_ bytes: [UInt8]) -> [UInt8] { bigEndian(UInt64(bytes.count)) + bytes }
        let fields = [
            Array("tally/answer/v1".utf8), network.digest.bytes, Array("east/1".utf8),
            Array(reader.text.utf8), [0, 0, 0, 3], salt,
        ]
        let expected = Digest.sha256(fields.flatMap(framed))
        #expect(try commitment(network, "east/1", reader, 3, salt) == expected)
        let others = try [
            commitment(other, "east/1", reader, 3, salt),
            commitment(network, "east/2", reader, 3, salt),
            commitment(network, "east/1", Self.second, 3, salt),
            commitment(network, "east/1", reader, 4, salt),
            commitment(network, "east/1", reader, 3, named("other")),
        ]
        #expect(Set(others + [expected]).count == 6)
        let published = answerCommitment(
            network: NetworkID(try #require(Digest(Array(repeating: 0x11, count: 32)))),
            item: try itemID("north/n0001"), annotator: AccountID(.annotator, "north-1"),
            answer: .measurement(-1500), salt: Array(repeating: 0x33, count: 32))
        #expect(
            published.hex == "5601b4d8cd4ec7b38e2f733986d9956e8c3ab4d51535c4aa132eeead9aa9bd8a")
        let secret = named("secret")
        let salts = Set(
            [
                answerSalt(secret: secret, network: network, item: item),
                answerSalt(secret: named("other"), network: network, item: item),
                answerSalt(secret: secret, network: other, item: item),
                answerSalt(secret: secret, network: network, item: try itemID("east/2")),
            ])
        #expect(salts.count == 4)
        #expect(
            try TestSupport.salt(of: reader, for: item, network: network)
                == answerSalt(
                    secret: signingKey(of: reader).derivedSecret(label: "answers"),
                    network: network, item: item))
    }

    @Test("commits to height 6, reveals from 7 to 9, closes from 10")
    func windows() throws {
        var consortium = registered
        #expect(due(consortium) == [7])
        #expect(try commit(&consortium, Self.first, at: 6) == nil)
        #expect(due(consortium) == [10])
        #expect(try reveal(&consortium, Self.first, at: 6) == .revealNotOpen)
        #expect(try commit(&consortium, Self.second, at: 7) == .commitWindowOver)
        #expect(try close(&consortium, at: 7) == .itemNotReady)
        var early = consortium
        #expect(try reveal(&early, Self.first, at: 7) == nil)
        #expect(due(early) == [7])
        #expect(try close(&early, at: 7) == nil)
        var late = consortium
        #expect(try reveal(&late, Self.first, at: 9) == nil)
        #expect(try reveal(&consortium, Self.first, at: 10) == .revealWindowOver)
        #expect(try close(&consortium, at: 9 + 1) == nil)
        #expect(due(early).isEmpty && due(consortium).isEmpty)
    }

    @Test("once all have committed, reveals open at the next height")
    func allCommitted() throws {
        var consortium = registered
        for reader in [Self.third, Self.first, Self.fourth] {
            #expect(try commit(&consortium, reader, at: 3) == nil)
            #expect(consortium.item(item)?.revealFrom == 0)
        }
        #expect(due(consortium) == [10])
        #expect(try commit(&consortium, Self.second, at: 4) == nil)
        let state = try #require(consortium.item(item))
        #expect(state.answers.map(\.annotator) == Self.readers.map(\.text))
        #expect(state.revealFrom == 5 && state.revealUntil == 7)
        #expect(due(consortium) == [8])
        #expect(try reveal(&consortium, Self.first, at: 4) == .revealNotOpen)
        for reader in Self.readers { #expect(try reveal(&consortium, reader, at: 5) == nil) }
        #expect(due(consortium) == [5])
        #expect(try close(&consortium, at: 5) == nil)
        #expect(consortium.item(item)?.outcome == .approved)
    }

    @Test("nobody committed: the item closes when the window is over, and nobody pays")
    func nobody() throws {
        var consortium = registered
        #expect(try close(&consortium, at: 6) == .itemNotReady)
        #expect(try close(&consortium, at: 7) == nil)
        let state = try #require(consortium.item(item))
        #expect(state.outcome == .tooFew && state.closedHeight == 7)
        #expect(
            Self.readers.allSatisfy { consortium.held(.init(kind: "stake", name: $0.name)) > 0 })
        #expect(consortium.state.entries(in: .windows, prefix: [], limit: .max).isEmpty)
    }

    @Test("an item with no readers closes in the next block")
    func noReaders() throws {
        var consortium = try Consortium()
        try consortium.register([item], readers: [], by: Self.site)
        #expect(due(consortium) == [3])
        #expect(try close(&consortium, at: 2) == .itemNotReady)
        #expect(try close(&consortium, at: 3) == nil)
        #expect(consortium.item(item)?.outcome == .tooFew)
        #expect(consortium.openPeriod().tooFew == 1)
    }

    @Test("a copied commitment never opens, and costs its copier the stake")
    func copied() throws {
        var consortium = registered
        let original = try consortium.commit(item, 3, by: Self.first)
        try consortium.applied([original], by: Self.first, at: 3)
        try consortium.applied([original], by: Self.second, at: 3)
        try consortium.applied([consortium.reveal(item, 3, by: Self.first)], by: Self.first, at: 7)
        let salt = try TestSupport.salt(of: Self.first, for: item, network: consortium.network)
        for reader in [Self.first, Self.second] {
            for grade in UInt32(1)...5 {
                let own = try TestSupport.salt(of: reader, for: item, network: consortium.network)
                for salt in [salt, own] {
                    #expect(
                        try consortium.outcome(
                            .reveal(item.text, grade, salt: salt), by: Self.second, at: 7)
                            == .doesNotOpen)
                }
            }
        }
        #expect(try close(&consortium, at: 10) == nil)
        #expect(consortium.held(ConsortiumAccount.stake(of: Self.second)) == 0)
        #expect(consortium.held(ConsortiumAccount.appeal(of: Self.second)) == 10_000_000)
        #expect(consortium.held(ConsortiumAccount.stake(of: Self.first)) == 10_000_000)
    }

    @Test("a commitment never revealed costs the stake, which returns to the reserve")
    func silence() throws {
        var consortium = registered
        let reserve = consortium.held(ConsortiumAccount.reserve)
        for reader in Self.readers { #expect(try commit(&consortium, reader, at: 3) == nil) }
        for reader in [Self.first, Self.third] {
            #expect(try reveal(&consortium, reader, at: 4) == nil)
        }
        #expect(try close(&consortium, at: 6) == .itemNotReady)
        let effects = try consortium.applied(
            [.closeItem(item.text)], by: Consortium.coordinator, at: 7)
        #expect(
            effects[0].postings.map { "\($0.debit) \($0.credit) \($0.microtokens) \($0.rule)" }
                == [Self.second, Self.fourth].map {
                    "stake/\($0.name) appeal/\($0.name) 10000000 annotation/1"
                })
        #expect(consortium.item(item)?.outcome == .tooFew)
        let window = consortium.value(
            WireWindowState.self, .windows, Array("item/east/1".utf8))
        #expect(window?.untilHeight == 13)
        #expect(window?.appeals == [Self.second.text, Self.fourth.text])
        let expire = WireTransaction.expire("item/east/1")
        #expect(try consortium.outcome(expire, by: Self.first, at: 13) == .windowOpen)
        let returned = try consortium.applied([expire], by: Self.first, at: 14)
        #expect(returned[0].postings.allSatisfy { $0.rule == "annotation/1" })
        #expect(consortium.held(ConsortiumAccount.reserve) == reserve + 20_000_000)
        #expect(consortium.held(ConsortiumAccount.appeal(of: Self.second)) == 0)
        #expect(consortium.state.entries(in: .windows, prefix: [], limit: .max).isEmpty)
        #expect(consortium.state.entries(in: .due, prefix: [], limit: .max).isEmpty)
        #expect(consortium.audit().isEmpty)
    }

    @Test("who has no stake left loses nothing more, and no window opens")
    func silentTwice() throws {
        var consortium = registered
        let next = try itemID("east/2")
        try consortium.register([next], readers: [Self.first], by: Self.site)
        try consortium.applied(
            [
                consortium.commit(item, 1, by: Self.first),
                consortium.commit(next, 1, by: Self.first),
            ],
            by: Self.first)
        try consortium.applied(
            [.closeItem(item.text), .closeItem(next.text)], by: Self.site, at: 20)
        let windows = consortium.state.entries(in: .windows, prefix: [], limit: .max)
        #expect(windows.map(\.key.key) == [Array("item/east/1".utf8)])
        #expect(consortium.held(ConsortiumAccount.appeal(of: Self.first)) == 10_000_000)
        #expect(consortium.audit().isEmpty)
    }

    @Test(
        "outcomes by the ordinal rule",
        arguments: [
            ([3, 3, 3], WireItemOutcome.approved, 3, 0), ([2, 3, 4, 3], .approved, 3, 2),
            ([1, 2, 2, 3], .approved, 2, 2), ([2, 3, 4, 4], .approved, 3, 2),
            ([1, 2, 3, 4], .disputed, 0, 3), ([1, 5, 1], .disputed, 0, 4),
            ([3, 3], .tooFew, 0, 0), ([5], .tooFew, 0, 0),
        ])
    func outcomes(grades: [UInt32], outcome: WireItemOutcome, grade: UInt32, spread: UInt32) throws
    {
        var consortium = registered
        for (reader, grade) in zip(Self.readers, grades) {
            #expect(try commit(&consortium, reader, grade, at: 6) == nil)
        }
        for (reader, grade) in zip(Self.readers, grades) {
            #expect(try reveal(&consortium, reader, grade, at: 7) == nil)
        }
        let effects = try consortium.applied([.closeItem(item.text)], by: Self.first, at: 7)
        let state = try #require(consortium.item(item))
        #expect(state.outcome == outcome && state.grade == grade && state.spread == spread)
        #expect(state.closeEnvelope == effects[0].envelope && state.closeIndex == 0)
        #expect((state.posteriorPermille > 0) == (outcome == .approved))
        let period = consortium.openPeriod()
        #expect(period.items == 1 && period.decided == 1)
        #expect(
            [period.approved, period.disputed, period.tooFew]
                == [WireItemOutcome.approved, .disputed, .tooFew].map { $0 == outcome ? 1 : 0 })
        #expect(Self.readers.allSatisfy { consortium.held(ConsortiumAccount.stake(of: $0)) > 0 })
        let scores = consortium.state.entries(in: .scores, prefix: [], limit: .max)
        #expect(scores.count == (outcome == .approved ? grades.count + 1 : 0))
    }
}
