import Cryptography
import Ledger
import TestSupport
import Testing

struct IdentifierTests {
    static let longest = String(repeating: "a", count: 64)
    static let malformed = [
        "", "/", "a", "a/", "/a", "a/b/c", "a//b", "A/b", "a/B", "a /b", "a/b ", "a/ä", "a/b\n",
        "a/b\0", "a\\b", "\(longest)a/b", "a/\(longest)a", "a/b?", "а/b",
    ]

    @Test(
        "accounts of two well-formed parts",
        arguments: [
            "site/north", "annotator/north-1", "a/b", "0._-/9", "\(longest)/\(longest)",
            "patient/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ])
    func wellFormed(text: String) throws {
        let account = try #require(AccountID(text))
        let item = try #require(ItemID(text))
        #expect(account.text == text && account.description == text)
        #expect("\(account.kind)/\(account.name)" == text)
        #expect(item.text == text && item.site == account.kind)
    }

    @Test("everything else is refused", arguments: malformed)
    func refused(text: String) {
        #expect(AccountID(text) == nil)
        #expect(ItemID(text) == nil)
    }

    @Test("roles are read from the part before the slash")
    func roles() throws {
        for role in Role.allCases {
            let account = AccountID(role, "x")
            #expect(account.role == role)
            #expect(AccountID(account.text) == account)
        }
        #expect(AccountID(kind: "reserve", name: "consortium").role == nil)
        #expect(try #require(AccountID("sites/north")).role == nil)
        #expect(Role.allCases.filter(\.votes) == [.coordinator, .site])
    }

    @Test("ids compare as bytes, not as a language would", arguments: UInt64(0)..<50)
    func order(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let letters = Array("az09._-")
        func part() -> String {
            String(
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    letters[Int.random(in: 0..<letters.count, using: &random)]
                })
        }
        let texts = (0..<20).map { _ in "\(part())/\(part())" }
        let byBytes = texts.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        #expect(
            texts.compactMap { AccountID($0) }.sorted().map(\.text) == byBytes, "seed \(seed)")
        #expect(texts.compactMap { ItemID($0) }.sorted().map(\.text) == byBytes, "seed \(seed)")
    }

    @Test("heights stop at the highest instead of wrapping")
    func heights() {
        #expect(Height(5).advanced(by: 3) == Height(8))
        #expect(Height.genesis.next == Height(1))
        #expect(Height(.max).next == Height(.max))
        #expect(Height(.max - 1).advanced(by: .max) == Height(.max))
    }

    @Test("slots compare by term first")
    func slots() {
        func slot(_ term: UInt64, _ height: UInt64) -> Slot {
            Slot(term: Term(term), height: Height(height))
        }
        #expect(slot(1, 9) < slot(2, 3))
        #expect(slot(2, 3) < slot(2, 4))
        #expect(!(slot(2, 3) < slot(2, 3)))
        #expect(Slot.genesis < slot(1, 1))
        #expect(slot(2, 3).description == "(2, 3)")
        #expect(RoundNumber(2) < RoundNumber(10))
    }

    @Test("transaction ids as text, there and back")
    func transactionIDs() throws {
        let hash = Digest.sha256(Array("envelope".utf8))
        let id = TransactionID(envelope: hash, index: 17)
        #expect(id.description == "\(hash.hex)/17")
        #expect(TransactionID(id.description) == id)
        #expect(id < TransactionID(envelope: hash, index: 18))
        for text in [
            "", "/1", hash.hex, "\(hash.hex)/", "\(hash.hex)/-1", "\(hash.hex)/4294967296",
            "\(hash.hex)/1/2", "\(hash.hex.uppercased())/1", "\(hash.hex.dropLast())/1",
            "\(hash.hex)/x",
        ] {
            #expect(TransactionID(text) == nil, "\(text)")
        }
    }
}
