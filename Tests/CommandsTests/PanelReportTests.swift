import Contracts
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// Reports of drawn panels: withheld secrets, later waves, reversals, and the rule in force.
struct PanelReportTests {
    fileprivate static let item = ReportLedger.item(1)

    /// Four readers and two seniors a site, and item 1 registered.
    private func registered() throws -> ReportLedger {
        var agreement = drawnAgreement("class")
        agreement.annotation.classes = 3
        agreement.annotation.labels = ["cat", "dog", "emu"]
        agreement.annotation.posteriorPermille = 700
        agreement.annotation.minimumVotes = 2
        agreement.annotation.nearShareNumerator = 0
        agreement.annotation.nearShareDenominator = 0
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        let ledger = try ReportLedger(agreement)
        try ledger.block(
            Consortium.sites.map { site in
                (
                    site,
                    try Consortium.readers(of: site).map {
                        try .enrol(memberDocument($0), as: ["reader"])
                    }
                        + Consortium.seniors(of: site).map {
                            try .enrol(memberDocument($0), as: ["senior"])
                        }
                )
            })
        let item = try itemID(Self.item)
        try ledger.block([
            (
                ReportLedger.north,
                [.grant(named("patient of \(item)")), ledger.consortium.drawnRecord(item)]
            )
        ])
        return ledger
    }

    private func drawn() throws -> ReportLedger {
        let ledger = try registered()
        let item = try itemID(Self.item)
        try ledger.block()
        try ledger.block([
            (ReportLedger.north, [.openSeed(item.text, ledger.consortium.secret(of: item))])
        ])
        return ledger
    }

    /// Those who are asked now commit, and but for some they reveal; the wave ends.
    private func answer(
        _ ledger: ReportLedger, _ grades: [UInt32], silent: Set<AccountID> = []
    ) throws {
        let item = try itemID(Self.item)
        let readers = ledger.consortium.asked(item)
        try ledger.block(
            try zip(readers, grades).map {
                ($0, [try ledger.consortium.commit(item, $1, by: $0)])
            })
        try ledger.block(
            try zip(readers, grades).filter { !silent.contains($0.0) }.map {
                ($0, [try ledger.consortium.reveal(item, $1, by: $0)])
            })
        if !silent.isEmpty { for _ in 0..<3 { try ledger.block() } }
        try ledger.block([(Consortium.coordinator, [.closeItem(item.text)])])
    }

    private func explain(
        _ ledger: ReportLedger, _ item: String = PanelReportTests.item
    ) throws -> ExplainReport {
        try Reporter(store: ledger.store).explain(itemID(item))
    }

    @Test("the rule in force travels with the worklist")
    func rule() throws {
        let ledger = try registered()
        let reader = Consortium.readers(of: Consortium.east)[0]
        let report = try Reporter(store: ledger.store).worklist(of: reader)
        #expect(report.annotationRule() == ledger.consortium.agreement.annotation)
        #expect(report.listing([]).annotationRule()?.labels == ["cat", "dog", "emu"])
    }

    @Test("classes that get names later have them in what was read before")
    func laterNames() throws {
        let ledger = try ReportLedger()
        try ledger.open(items: 1)
        try ledger.read(items: 1)
        try ledger.decide { $0.annotation.labels = ["none", "faint", "clear", "large", "huge"] }
        let report = try explain(ledger, ReportLedger.item(0))
        #expect(
            report.value == "none"
                && report.readers.map(\.value) == ["none", "none", "none", "faint"])
    }

    @Test("an item whose site has not opened its secret says so, and is counted for the site")
    func withheld() throws {
        let ledger = try registered()
        for _ in 0..<7 { try ledger.block() }
        #expect(try Reporter(store: ledger.store).data().withheldSecrets.isEmpty)
        try ledger.block([(Consortium.coordinator, [.closeItem(Self.item)])])
        let report = try explain(ledger)
        #expect(report.outcome == "open" && report.reason.contains("has not opened its secret"))
        let withheld = try Reporter(store: ledger.store).data().withheldSecrets
        #expect(withheld.map(\.site) == ["site/north"] && withheld.map(\.items) == [1])
    }

    @Test("who answered after others had revealed reads of the flat fee, and of no figure")
    func late() throws {
        let ledger = try drawn()
        let item = try itemID(Self.item)
        let first = ledger.consortium.asked(item)
        try answer(ledger, [1, 2, 3])
        let second = ledger.consortium.asked(item)
        try answer(ledger, [2, 2])
        let report = try explain(ledger)
        #expect(report.outcome == "approved" && Set(first).isDisjoint(with: second))
        for reader in report.readers {
            let isLate = second.contains { $0.text == reader.annotator }
            #expect(reader.arithmetic.contains("flat fee of 0.001000 tokens") == isLate)
            #expect(!isLate || (reader.figure == nil && reader.reference == nil))
        }
    }

    @Test("who was silent in an earlier wave reads that the stake is taken, while a later one runs")
    func silentBefore() throws {
        let ledger = try drawn()
        let silent = try ledger.consortium.asked(itemID(Self.item))[0]
        try answer(ledger, [1, 2, 3], silent: [silent])
        let report = try explain(ledger)
        #expect(report.outcome == "open")
        let reader = try #require(report.readers.first { $0.annotator == silent.text })
        #expect(reader.arithmetic.contains("stake left was taken"))
    }

    @Test("a reversed item shows neither posterior nor spread of the label that was")
    func reversed() throws {
        let ledger = try drawn()
        try answer(ledger, [1, 1, 1])
        let before = try explain(ledger)
        #expect(before.value == "cat" && before.posteriorPermille != nil && before.spread != nil)
        try ledger.block([(ReportLedger.north, [.dispute(Self.item)])])
        try answer(ledger, [3, 3])
        let after = try explain(ledger)
        #expect(after.dispute?.outcome == "reversed" && after.value == "emu")
        #expect(after.posteriorPermille == nil && after.spread == nil)
        let anonymous = try after.anonymous()
        #expect(after.dispute?.by == "site/north" && anonymous.dispute?.by == "somebody")
    }

    @Test("who was asked later reads of the flat fee, also where no label came of it")
    func laterFee() throws {
        let ledger = try drawn()
        let first = try ledger.consortium.asked(itemID(Self.item))
        // Each class has two votes, and the seniors disagree.
        try answer(ledger, [1, 2, 3])
        try answer(ledger, [1, 2])
        let silent = try ledger.consortium.asked(itemID(Self.item))[0]
        try answer(ledger, [3, 3], silent: [silent])
        try answer(ledger, [1, 2])
        var report = try explain(ledger)
        let seniors = report.readers.filter(\.senior)
        #expect(report.outcome != "approved" && report.readers.count == 9 && seniors.count == 2)
        for reader in report.readers {
            let isFirst = first.map(\.text).contains(reader.annotator)
            #expect(
                reader.arithmetic.contains("the flat fee of 0.001000 tokens")
                    == (!isFirst && reader.value != nil))
            #expect(reader.weight == nil)
        }
        report = try report.anonymous()
        #expect(report.readers.map(\.senior) == Array(repeating: false, count: 7) + [true, true])
        #expect(report.readers.map(\.wave).sorted() == report.readers.map(\.wave))
    }

    @Test("an item that nobody may read says why nobody was asked")
    func nobody() throws {
        let ledger = try ReportLedger(drawnAgreement())
        let item = try itemID(Self.item)
        try ledger.block([
            (
                ReportLedger.north,
                [.grant(named("patient of \(item)")), ledger.consortium.drawnRecord(item)]
            )
        ])
        try ledger.block()
        try ledger.block([
            (ReportLedger.north, [.openSeed(item.text, ledger.consortium.secret(of: item))])
        ])
        if try explain(ledger).outcome == "open" {
            try ledger.block([(Consortium.coordinator, [.closeItem(item.text)])])
        }
        let report = try explain(ledger)
        #expect(report.outcome == "tooFew" && report.readers.isEmpty)
        #expect(report.reason.contains("no reader with the credential \"reader\""))
    }
}
