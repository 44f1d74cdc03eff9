import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

/// A store that cannot be read.
private struct BrokenState: StateView {
    func value(at key: StateKey) throws(StateFault) -> [UInt8]? { throw StateFault("broken") }

    func entries(
        in table: StateTable, prefix: [UInt8], limit: Int
    ) throws(StateFault) -> [StateEntry] { throw StateFault("broken") }

    func entries(inBucket bucket: UInt16) throws(StateFault) -> [StateEntry] {
        throw StateFault("broken")
    }
}

struct EffectsTests {
    static let site = Consortium.east
    static let patient = named("patient")

    /// Executes on the consortium's state without keeping anything.
    func run(
        _ envelopes: [Envelope], _ consortium: Consortium, at height: UInt64,
        on state: (any StateView)? = nil
    ) throws -> Execution {
        try Contracts.execute(
            envelopes, in: consortium.context(at: height), on: state ?? consortium.state,
            isVerified: { $0.isSigned(by: $1, network: consortium.network) })
    }

    func fault(
        _ envelopes: [Envelope], _ consortium: Consortium, at height: UInt64 = 2,
        on state: (any StateView)? = nil
    ) -> ExecutionFault? {
        do {
            _ = try run(envelopes, consortium, at: height, on: state)
            return nil
        } catch { return error as? ExecutionFault }
    }

    /// A block of several envelopes, some of whose transactions are rejected.
    func block(_ consortium: inout Consortium) throws -> [Envelope] {
        let readers = Consortium.readers(of: Self.site)
        return [
            try consortium.envelope(
                [
                    .grant(Self.patient), .grant(named("q"), []),
                    .register("east/1", of: Self.patient, readers: readers.map(\.text)),
                    .register("north/1", of: Self.patient, readers: []),
                ], by: Self.site),
            try consortium.envelope(
                [.startRun(1, from: named("model"))], by: Consortium.developer),
            try consortium.envelope(
                [consortium.commit(itemID("east/1"), 3, by: readers[2])], by: readers[2]),
            try consortium.envelope(
                [
                    .enrol(memberDocument(AccountID(.annotator, "west-9"))),
                    .grant(Self.patient), .stopRun(1),
                ], by: Consortium.west),
        ]
    }

    @Test("one leaf per transaction, in order, and the root over them")
    func leaves() throws {
        var consortium = try Consortium()
        let envelopes = try block(&consortium)
        let execution = try run(envelopes, consortium, at: 2)
        #expect(
            execution.effects.map(\.outcome) == [
                0, Rejection.purposesMalformed.rawValue, 0, Rejection.foreignItem.rawValue, 0, 0, 0,
                Rejection.notCustodian.rawValue, Rejection.notPermitted.rawValue,
            ])
        let places = envelopes.flatMap { envelope in
            envelope.transactions.indices.map { (envelope.id, UInt32($0)) }
        }
        for (effect, place) in zip(execution.effects, places) {
            #expect([UInt8](effect.envelope) == place.0.bytes && effect.index == place.1)
        }
        #expect(
            execution.effectsRoot == merkleRoot(execution.effects.map { leafHash($0.encoded()) }))
        #expect(!execution.isCheckpoint)
    }

    @Test("two states that list their entries in another order give equal bytes")
    func order() throws {
        var consortium = try Consortium()
        let envelopes = try block(&consortium)
        let entries = consortium.state.entries
        var results: Set<[UInt8]> = []
        for seed in UInt64(0)..<8 {
            var random = SplitMix64(seed: seed)
            var state = DictionaryState()
            // Other keys come and go first, so that the tables are laid out differently.
            for number in 0..<Int(seed) * 100 {
                let key = StateKey(.tags, bigEndian(UInt32(number)))
                state.apply([key: [1]])
                state.apply([key: nil])
            }
            for entry in entries.shuffled(using: &random) { state.apply([entry.key: entry.value]) }
            let execution = try run(envelopes, consortium, at: 2, on: state)
            let changes = execution.changes.sorted { $0.key < $1.key }.flatMap {
                [$0.key.table.rawValue] + $0.key.key + ($0.value ?? [0xff])
            }
            results.insert(
                execution.effectsRoot.bytes + execution.effects.flatMap { $0.encoded() } + changes)
        }
        #expect(results.count == 1)
    }

    @Test("layers or one applied state below: the effects are the same")
    func layered() throws {
        var consortium = try Consortium()
        let founded = consortium.state
        let first = try block(&consortium)
        let early = try run(first, consortium, at: 2)
        let next = try consortium.envelope([.withdraw(Self.patient, [.training])], by: Self.site)
        var applied = founded
        applied.apply(early.changes)
        let above = try run([next], consortium, at: 3, on: applied)
        let layered = try run(
            [next], consortium, at: 3, on: LayeredState(base: founded, layers: [early.changes]))
        #expect(above.effects == layered.effects && above.changes == layered.changes)
        #expect(above.effects.map(\.outcome) == [0])
    }

    @Test("the digest covers every changed table, key and value, and tells removal from empty")
    func changeDigest() {
        func digest(_ changes: [(StateTable, [UInt8], [UInt8]?)]) -> Digest {
            var set = ChangeSet(above: DictionaryState())
            for (table, key, value) in changes { set.set(table, key, value) }
            return set.commit()
        }
        let digests = [
            digest([]), digest([(.items, [1], [2])]), digest([(.items, [1], [3])]),
            digest([(.items, [1], [])]), digest([(.items, [1], nil)]), digest([(.due, [1], [2])]),
            digest([(.items, [1, 2], [])]), digest([(.items, [], [1, 2])]),
            digest([(.items, [1], [2]), (.items, [2], [2])]),
        ]
        #expect(Set(digests).count == digests.count)
        #expect(
            digests[1]
                == Digest.sha256(
                    [StateTable.items.rawValue] + bigEndian(UInt64(1)) + [1, 1]
                        + bigEndian(UInt64(1)) + [2]))
        #expect(
            digests[4]
                == Digest.sha256(
                    [StateTable.items.rawValue] + bigEndian(UInt64(1)) + [1, 0]))
        #expect(
            digest([(.items, [2], [2]), (.items, [1], [2])])
                == digest([(.items, [1], [2]), (.items, [2], [2])]))
        #expect(digest([(.items, [1], [9]), (.items, [1], [2])]) == digests[1])
    }

    @Test("a leaf covers its id, outcome, postings and changes")
    func leafFields() throws {
        var consortium = try Consortium()
        let reader = AccountID(.annotator, "east-9")
        let effect = try #require(
            try consortium.applied([.enrol(memberDocument(reader))], by: Self.site).first)
        #expect(effect.postings.count == 1 && effect.postings[0].rule == "stake/1")
        let variants: [(inout WireEffect) -> Void] = [
            { _ in }, { $0.envelope = data(named("x")) }, { $0.index += 1 }, { $0.outcome = 1 },
            { $0.postings = [] }, { $0.postings[0].debit = "reserve/x" },
            { $0.postings[0].credit = "stake/x" }, { $0.postings[0].microtokens += 1 },
            { $0.postings[0].rule = "stake/2" }, { $0.postings[0].availableFrom = 1 },
            { $0.postings.append($0.postings[0]) }, { $0.changes = data(named("x")) },
        ]
        let leaves = variants.map { change in
            var changed = effect
            change(&changed)
            return leafHash(changed.encoded())
        }
        #expect(Set(leaves).count == variants.count)
    }

    @Test("a rejected transaction changes nothing and posts nothing, whatever it wrote before")
    func rejected() throws {
        var agreement = testAgreement()
        agreement.rewards.supplyMicrotokens = 15_000_000
        var consortium = try Consortium(agreement, enrolling: false)
        let before = consortium.state.entries
        let readers = [AccountID(.annotator, "east-1"), AccountID(.annotator, "east-2")]
        let envelope = try consortium.envelope(
            [.enrol(memberDocument(readers[0])), .enrol(memberDocument(readers[1]))],
            by: Self.site)
        let execution = try run([envelope], consortium, at: 1)
        let effect = execution.effects[1]
        #expect(effect.outcome == Rejection.insufficientBalance.rawValue)
        #expect(effect.postings.isEmpty && [UInt8](effect.changes) == Digest.zero.bytes)
        #expect(
            execution.changes.keys.filter { $0.table == .members }.map(\.key)
                == [Array(readers[0].text.utf8)])
        let alone = try run(
            [
                try consortium.envelope(
                    [.enrol([1]), .closeItem("east/1")], by: Self.site, sequence: 1)
            ], consortium, at: 1)
        #expect(alone.changes.keys.map(\.table) == [.sequences])
        #expect(consortium.state.entries == before)
    }

    @Test("a block is a checkpoint every so many heights, and when a round closes")
    func checkpoints() throws {
        var consortium = try Consortium()
        let grant = try consortium.envelope([.grant(Self.patient)], by: Self.site)
        for (height, expected) in [(UInt64(999), false), (1000, true), (1001, false), (2000, true)]
        {
            #expect(try run([grant], consortium, at: height).isCheckpoint == expected)
        }
        #expect(try run([], consortium, at: 1000).isCheckpoint)
        var closing = try Consortium()
        try closing.startRun()
        try closing.openRound(1, 1)
        let bytes = roundValues([(1, 0), (1, 0), (1, 0)]).encoded()
        let model = named("model")
        for voter in Consortium.sites {
            try closing.applied(
                [.checked(1, 1, model: model, values: Digest.sha256(bytes).bytes)], by: voter)
        }
        let close = WireTransaction.closeRound(1, 1, model: model, values: bytes)
        let refused = WireTransaction.closeRound(1, 1, model: named("x"), values: bytes)
        let bad = try closing.envelope([refused], by: Self.site)
        #expect(try !run([bad], closing, at: closing.height.next.value).isCheckpoint)
        let good = try closing.envelope([close], by: Self.site)
        #expect(try run([good], closing, at: closing.height.next.value).isCheckpoint)
    }

    @Test("an envelope that is not admissible makes the block invalid")
    func admission() throws {
        var consortium = try Consortium()
        let stranger = AccountID(.site, "south")
        let foreign = try consortium.envelope([.closeItem("east/1")], by: stranger)
        #expect(fault([foreign], consortium) == .unknownSigner(stranger))
        let first = try consortium.envelope([.closeItem("east/1")], by: Self.site)
        let forged = try Envelope(
            strictly: signedEnvelope(
                [.closeItem("east/1")], signer: Self.site, sequence: 9, notAfter: Height(9),
                network: consortium.network, key: signingKey(of: stranger)),
            network: consortium.network)
        #expect(fault([forged], consortium) == .badSignature(Self.site, envelope: forged.id))
        #expect(
            fault([first, first], consortium)
                == .sequenceUsed(
                    Self.site, sequence: first.header.sequence, next: first.header.sequence + 1))
        let gap = try consortium.envelope([.closeItem("east/1")], by: Self.site, sequence: 50)
        let back = try consortium.envelope([.closeItem("east/1")], by: Self.site, sequence: 49)
        #expect(fault([first, gap], consortium) == nil)
        #expect(
            fault([gap, back], consortium) == .sequenceUsed(Self.site, sequence: 49, next: 51))
        let short = try consortium.envelope(
            [.closeItem("east/1")], by: Self.site, sequence: 60, notAfter: 5)
        #expect(fault([short], consortium, at: 5) == nil)
        #expect(
            fault([short], consortium, at: 6) == .expired(envelope: short.id, notAfter: 5))
    }

    @Test("a sequence far above the last one is refused, so that a moment uses up few")
    func sequenceStep() throws {
        var consortium = try Consortium()
        let last = consortium.sequence(of: Self.site)
        let (furthest, beyond) = (last + largestSequenceStep, last + largestSequenceStep + 1)
        let far = try consortium.envelope(
            [.closeItem("east/1")], by: Self.site, sequence: furthest)
        #expect(fault([far], consortium) == nil)
        for sequence in [beyond, .max] {
            let further = try consortium.envelope(
                [.closeItem("east/1")], by: Self.site, sequence: sequence)
            #expect(
                fault([further], consortium)
                    == .sequenceTooFar(Self.site, sequence: sequence, last: last))
        }
    }

    @Test("the last sequence there is can be used, and what follows is refused without a trap")
    func lastSequence() throws {
        var consortium = try Consortium()
        var used = WireSequenceState()
        used.last = .max - 1
        consortium.corrupt(.sequences, Array(Self.site.text.utf8), used.encoded())
        let last = try consortium.envelope(
            [.closeItem("east/1")], by: Self.site, sequence: .max)
        #expect(fault([last], consortium) == nil)
        #expect(
            fault([last, last], consortium)
                == .sequenceUsed(Self.site, sequence: .max, next: .max))
    }

    @Test("a state that cannot be read is no fault of the block")
    func unreadable() throws {
        var consortium = try Consortium()
        let envelope = try consortium.envelope([.grant(Self.patient)], by: Self.site)
        #expect(
            fault([envelope], consortium, on: BrokenState()) == .state(StateFault("broken")))
        consortium.corrupt(.consents, Self.patient, [0xff])
        guard case .state = fault([envelope], consortium) else {
            Issue.record("a damaged value was read")
            return
        }
    }
}
