import TestSupport
import Testing
import Wire

struct CodecTests {
    func fault(_ bytes: [UInt8]) -> WireFault? {
        do throws(WireFault) {
            _ = try WireTransaction(strictly: bytes)
            return nil
        } catch { return error }
    }

    static let transactions: [WireTransaction] = [
        .enrol([1, 2, 3]), .grant(named("p"), waive: true, notAfter: 9),
        .withdraw(named("p"), [.training, .sharing]),
        .register("east/1", of: named("p"), readers: ["annotator/a", "annotator/b"]),
        .commit("east/1", named("c")), .reveal("east/1", 3, salt: named("s")),
        .closeItem("east/1"), .closePeriod(1), .startRun(1, from: named("m"), rounds: 3),
        .stopRun(1), .offer(1, named("r")), .fix(1, named("r")), .openRound(1, 1, base: named("m")),
        .submit(1, 1, update: named("u"), manifest: named("f")),
        .checked(1, 1, model: named("m"), values: named("v")),
        .closeRound(1, 1, model: named("m"), values: [1]), .expire("item/east/1"),
    ]

    @Test("every transaction there and back")
    func roundTrip() throws {
        for transaction in Self.transactions {
            let bytes = transaction.encoded()
            #expect(try WireTransaction(strictly: bytes) == transaction)
            #expect(try WireTransaction(strictly: bytes).encoded() == bytes)
            #expect(fault(bytes + RawMessage.number(1000, 0)) != nil)
            #expect(fault(Array(bytes.dropLast())) != nil)
        }
        #expect(Set(Self.transactions.map { $0.encoded() }).count == 17)
    }

    @Test("two bodies, an unknown body and an unknown field inside one are refused")
    func bodies() {
        let close = RawMessage.bytes(7, RawMessage.bytes(1, Array("east/1".utf8)))
        let period = RawMessage.bytes(8, RawMessage.number(1, 1))
        let refused = WireFault.notCanonical("tally.v1.Transaction")
        #expect(fault(close) == nil && fault(period) == nil)
        #expect(fault(close + period) == refused)
        #expect(fault(RawMessage.bytes(60, [])) == refused)
        #expect(fault(RawMessage.bytes(8, RawMessage.number(2, 1))) == refused)
        #expect(
            fault(RawMessage.bytes(8, RawMessage.number(1, 1) + RawMessage.number(2, 1)))
                == refused)
        #expect(fault(RawMessage.bytes(8, RawMessage.number(1, 0))) == refused)
        #expect(fault(RawMessage.bytes(8, [])) == nil)
    }

    @Test("repeated numbers have one encoding: packed")
    func packing() throws {
        let patient = RawMessage.bytes(1, named("p"))
        let packed = RawMessage.bytes(2, patient + RawMessage.bytes(2, [1, 2]))
        let expected = WireTransaction.grant(named("p"), [.training, .evaluation])
        #expect(try WireTransaction(strictly: packed) == expected)
        let loose = patient + RawMessage.number(2, 1) + RawMessage.number(2, 2)
        let refused = WireFault.notCanonical("tally.v1.Transaction")
        #expect(fault(RawMessage.bytes(2, loose)) == refused)
        let twoPacks = patient + RawMessage.bytes(2, [1]) + RawMessage.bytes(2, [2])
        #expect(fault(RawMessage.bytes(2, twoPacks)) == refused)
        #expect(fault(RawMessage.bytes(2, patient + RawMessage.bytes(2, []))) == refused)
    }

    @Test("a bool is 0 or 1, a 32-bit number has 32 bits, text is UTF-8")
    func scalars() {
        func grant(_ rest: [UInt8]) -> [UInt8] {
            RawMessage.bytes(2, RawMessage.bytes(1, named("p")) + rest)
        }
        let refused = WireFault.notCanonical("tally.v1.Transaction")
        #expect(fault(grant(RawMessage.number(3, 1))) == nil)
        #expect(fault(grant(RawMessage.number(3, 2))) == refused)
        #expect(fault(grant(RawMessage.number(3, 0))) == refused)
        #expect(fault(RawMessage.bytes(8, RawMessage.number(1, 1 << 32 | 1))) == refused)
        #expect(
            fault(RawMessage.bytes(7, RawMessage.bytes(1, [0xc3, 0x28])))
                == .malformed("tally.v1.Transaction"))
    }

    @Test("random bytes are refused or have this one encoding", arguments: UInt64(0)..<500)
    func noise(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let place = Int.random(in: 0..<Self.transactions.count, using: &random)
        var bytes = Self.transactions[place].encoded()
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
                in: 0...255, using: &random)
        }
        if let read = try? WireTransaction(strictly: bytes) {
            #expect(read.encoded() == bytes, "replay with seed \(seed)")
        }
    }
}
