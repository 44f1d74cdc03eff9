import Contracts
import Cryptography
import Ledger
import Node
import Replay
import Storage
import TestSupport
import Testing
import Training
import Wire

/// A voter reads no blob that the chain leaves no room for, whoever made it.
@Suite("Bounds of blobs", .timeLimit(.minutes(5))) struct BlobBoundTests {
    @Test("bounds follow what the chain states, and never overflow")
    func bounds() {
        let mebibyte: UInt64 = 1 << 20
        #expect(BlobBounds.update(base: 1_000) == mebibyte + 1_000)
        #expect(BlobBounds.update(base: .max) == .max)
        #expect(BlobBounds.manifest(examples: 100) == mebibyte + 32_000)
        #expect(BlobBounds.manifest(examples: .max) == 64 * mebibyte)
        var rule = testAgreement().training
        #expect(BlobBounds.reference(count: 10, rule) == mebibyte + 10 * (64 + 14 + 12 + 160))
        rule.features = (0..<10_000).map { "feature-\($0)" }
        #expect(BlobBounds.reference(count: .max, rule) == 256 * mebibyte)
        #expect(BlobBounds.patients(sites: 3) == 5_461)
        #expect(BlobBounds.patients(sites: 0) == 16_384)
    }

    @Test("the values of the largest round fit into the envelope that closes it")
    func values() {
        var values = WireRoundValues()
        let reason = String(repeating: "\u{10FFFF}", count: 200)
        let name = String(repeating: "s", count: 64)
        for _ in 0..<12 {
            var site = WireSiteValue()
            site.site = "site/\(name)"
            site.answer = "answered"
            site.reason = reason
            (site.verified, site.shapley) = (.max, .min)
            values.sites.append(site)
        }
        for index in 0..<BlobBounds.patients(sites: 1) {
            var patient = WirePatientRecords()
            patient.patient = data(Digest.sha256(bigEndian(UInt32(index))).bytes)
            patient.records = .max
            values.patients.append(patient)
        }
        // What the coordinator takes into one envelope of its own.
        #expect(values.encoded().count < Envelope.maximumBytes - (256 << 10))
    }

    @Test("entries are counted before any is made")
    func counted() throws {
        var manifest = WireManifest()
        for index in 0..<3 {
            var entry = WireManifestEntry()
            entry.record = "a/\(index)"
            entry.item = "a/\(index)"
            entry.closeEnvelope = data(Digest.zero.bytes)
            manifest.entries.append(entry)
        }
        let bytes = manifest.encoded()
        #expect(BlobBounds.canHold(3, in: bytes))
        for entries in [0, 2, 4, .max] as [UInt32] {
            #expect(!BlobBounds.canHold(entries, in: bytes))
        }
        // A million empty entries fit into two megabytes and would need a hundred in memory.
        let bomb = [[UInt8]](repeating: [0x0a, 0], count: 1_000_000).flatMap(\.self)
        #expect(!BlobBounds.canHold(1_000_000, in: bomb))
        #expect(BlobBounds.canHold(1_000_000, records: bomb))
        #expect(!BlobBounds.canHold(999_999, records: bomb))
        for broken in [[0x0a], [0x0a, 2, 1], [0x12, 0], [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
            #expect(!BlobBounds.canHold(1, records: broken.map { UInt8($0) }))
        }
    }

    /// The roll-call of round 1 when one kind of blob is longer than allowed.
    private func answers(
        longer isLonger: @escaping (Digest, WireRoundState) -> Bool
    ) throws -> [WireSiteValue] {
        let home = try StudiedHome()
        let store = try LedgerStore.reading(at: home.home.ledger)
        let state = SQLiteState(store)
        var changes = ChangeSet(above: state)
        let (started, opened) = (changes.run(1), changes.round(1, 1))
        let (run, round) = (try #require(started), try #require(opened))
        let blobs = home.home.blobs
        let source: BlobSource = { digest, maximum in
            if isLonger(digest, round), maximum < .max { return nil }
            return try readBlob(digest, in: blobs, upTo: maximum)
        }
        let reference = try assembleReference(
            run, agreement: store.genesis.agreement, state: state, contentKey: nil, blob: source)
        var models = CoalitionMemory()
        let result = try RoundChecker(
            agreement: store.genesis.agreement, state: state, blob: source
        ).check(run, round: 1, reference: reference.set, models: &models)
        return try WireRoundValues(strictly: result.values).sites
    }

    @Test("an update or manifest beyond its bound is refused by name, and the round goes on")
    func refused() throws {
        let site = Consortium.north.text
        func own(_ round: WireRoundState) -> WireUpdateState? {
            round.updates.first { $0.site == site }
        }
        let long = try answers { digest, round in own(round)?.update == data(digest.bytes) }
        let manifest = try answers { digest, round in own(round)?.manifest == data(digest.bytes) }
        for (sites, word) in [(long, "more bytes than the model"), (manifest, "is longer than")] {
            #expect(sites.map(\.answer) == ["answered", "refused", "answered"])
            #expect(sites[1].reason.contains(word), "\(sites[1].reason)")
        }
    }

    @Test("an offer of reference records beyond its bound is left out")
    func offer() throws {
        let home = try StudiedHome()
        let store = try LedgerStore.reading(at: home.home.ledger)
        let state = SQLiteState(store)
        var changes = ChangeSet(above: state)
        let started = changes.run(1)
        let run = try #require(started)
        let north = try #require(run.offers.first { $0.site == Consortium.north.text })
        let blobs = home.home.blobs
        let assembled = try assembleReference(
            run, agreement: store.genesis.agreement, state: state, contentKey: nil
        ) { digest, maximum in
            if data(digest.bytes) == north.records { return nil }
            return try readBlob(digest, in: blobs, upTo: maximum)
        }
        #expect(assembled.refused[Consortium.north]?.contains("longer") == true)
        #expect(assembled.refused.count == 1)
    }
}
