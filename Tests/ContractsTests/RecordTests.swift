import Contracts
import Cryptography
import Ledger
import TestSupport
import Testing
import Wire

struct RecordTests {
    func record(_ consortium: Consortium, _ item: String) -> WireRecordState? {
        consortium.value(WireRecordState.self, .records, Array(item.utf8))
    }

    @Test("a record is kept with its item, its tag and its readers")
    func registration() throws {
        var consortium = try Consortium()
        let readers = Consortium.readers(of: Consortium.east)
        let item = try itemID("east/1")
        try consortium.register([item], readers: readers, by: Consortium.east)
        let record = try #require(self.record(consortium, "east/1"))
        #expect(record.site == "site/east" && !record.duplicate && record.registeredHeight == 2)
        #expect([UInt8](record.patient) == named("patient of east/1"))
        #expect(record.use == .training)
        let tag = consortium.value(WireTagState.self, .tags, named("content east/1"))
        #expect(tag?.item == "east/1")
        let state = try #require(consortium.item(item))
        #expect(state.readers == readers.map(\.text) && state.outcome == .open)
        #expect(consortium.openPeriod().items == 1)
    }

    @Test("content that is registered already is kept, opens no item and never earns")
    func duplicates() throws {
        var consortium = try Consortium()
        for (site, item) in zip(Consortium.sites, ["east/1", "north/1", "west/1"]) {
            let patient = named("patient of \(item)")
            try consortium.applied(
                [
                    .grant(patient),
                    .register(
                        item, of: patient, tag: named("same"),
                        readers: Consortium.readers(of: site).map(\.text)),
                ], by: site)
        }
        #expect(
            ["east/1", "north/1", "west/1"].map { record(consortium, $0)?.duplicate } == [
                false, true, true,
            ])
        #expect(consortium.value(WireTagState.self, .tags, named("same"))?.item == "east/1")
        #expect(consortium.item(try itemID("east/1")) != nil)
        #expect(consortium.item(try itemID("north/1")) == nil)
        #expect(consortium.openPeriod().items == 1)
        #expect(consortium.state.entries(in: .due, prefix: [], limit: .max).count == 1)
        #expect(consortium.state.entries(in: .periodItems, prefix: [], limit: .max).count == 1)
        let reader = AccountID(.annotator, "north-1")
        #expect(
            try consortium.outcome(.commit("north/1", named("c")), by: reader) == .unknownItem)
    }

    @Test(
        "a record for evaluation needs consent for evaluation, one for training for training",
        arguments: [WireRecordUse.training, .evaluation])
    func purposes(use: WireRecordUse) throws {
        let (patient, site) = (named("patient"), Consortium.west)
        for purpose in [WirePurpose.training, .evaluation, .sharing, .commercial] {
            var consortium = try Consortium(enrolling: false)
            try consortium.applied([.grant(patient, [purpose])], by: site)
            let outcome = try consortium.outcome(
                .register("west/1", of: patient, use: use, readers: []), by: site)
            #expect((outcome == nil) == (purpose.rawValue == use.rawValue))
            #expect(outcome == nil || outcome == .noConsent)
        }
    }

    @Test("a withdrawal at the height of a registration comes first or last, as the block says")
    func withdrawalInTheBlock() throws {
        let (patient, site) = (named("patient"), Consortium.west)
        var consortium = try Consortium(enrolling: false)
        try consortium.applied([.grant(patient)], by: site)
        let effects = try consortium.apply(
            [
                .register("west/1", of: patient, readers: []),
                .withdraw(patient, [.training]),
                .register("west/2", of: patient, readers: []),
            ], by: site)
        #expect(effects.map(\.outcome) == [0, 0, Rejection.noConsent.rawValue])
        #expect(record(consortium, "west/1") != nil && record(consortium, "west/2") == nil)
    }
}
