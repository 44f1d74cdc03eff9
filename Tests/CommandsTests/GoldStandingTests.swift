import Commands
import Contracts
import Cryptography
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// What commands say of gold that cannot count, and of gold that was shown.
@Suite("Gold that counts, and gold that does not")
struct GoldStandingTests {
    private func registered(
        _ ledger: ReportLedger, _ items: [String], tag: String? = nil
    ) throws {
        try ledger.block([
            (
                ReportLedger.north,
                try items.flatMap { text -> [WireTransaction] in
                    let item = try itemID(text)
                    var record = ledger.consortium.drawnRecord(item)
                    if let tag { record.recordRegister.contentTag = data(named(tag)) }
                    return [.grant(named("patient of \(item)")), record]
                }
            )
        ])
    }

    /// Secrets are opened, and all who are asked give one grade each, equal or not.
    private func read(_ ledger: ReportLedger, _ grades: [(item: String, grades: [UInt32])]) throws {
        try ledger.block()
        let items = try grades.map { try itemID($0.item) }
        try ledger.block([
            (
                ReportLedger.north,
                items.map { .openSeed($0.text, ledger.consortium.secret(of: $0)) }
            )
        ])
        for reveals in [false, true] {
            for (item, entry) in zip(items, grades) {
                try ledger.block(
                    try zip(ledger.consortium.asked(item), entry.grades).map { reader, grade in
                        let transaction =
                            reveals
                            ? try ledger.consortium.reveal(item, grade, by: reader)
                            : try ledger.consortium.commit(item, grade, by: reader)
                        return (reader, [transaction])
                    })
            }
        }
        try ledger.block([(Consortium.coordinator, items.map { .closeItem($0.text) })])
    }

    private func study() throws -> ReportLedger {
        var agreement = drawnAgreement()
        agreement.annotation.waves = [3]
        agreement.annotation.seniorCredential = ""
        agreement.annotation.commitWindow = 20
        agreement.annotation.revealWindow = 20
        agreement.annotation.periodItems = 1
        let ledger = try ReportLedger(agreement)
        try ledger.block(
            try Consortium.sites.map { site in
                (
                    site,
                    try Consortium.readers(of: site).map {
                        .enrol(try memberDocument($0), as: ["reader"])
                    }
                )
            })
        return ledger
    }

    @Test("each answer that was shown counts, or is passed over with its reason")
    func shown() throws {
        let ledger = try study()
        try registered(ledger, ["north/early"], tag: "twice")
        let gold = ledger.consortium.gold([
            try itemID("north/copy"): 2, try itemID("north/early"): 2,
            try itemID("north/good"): 2, try itemID("north/none"): 2,
            try itemID("north/torn"): 3,
        ])
        try ledger.block([(Consortium.coordinator, [.commitGold(gold.commitment)])])
        try registered(ledger, ["north/copy"], tag: "twice")
        try registered(ledger, ["north/good", "north/torn"])
        try read(
            ledger,
            [
                ("north/early", [2, 2, 2]), ("north/good", [2, 2, 2]), ("north/torn", [1, 3, 5]),
            ])
        let reporter = Reporter(store: ledger.store)
        let awaited = try #require(try reporter.awaitedGold(gold.commitment))
        #expect(awaited.height == 3 && awaited.period == 1)
        #expect(try reporter.awaitedGold(of: Consortium.coordinator) == [3])
        #expect(try reporter.shownGold(gold.answers) == nil)
        try ledger.block([
            (
                Consortium.coordinator,
                [.revealGold(gold.commitment, gold.answers, salt: gold.salt)]
            )
        ])
        #expect(try reporter.awaitedGold(gold.commitment) == nil)
        #expect(try reporter.awaitedGold(of: Consortium.coordinator).isEmpty)
        #expect(try reporter.shownGold(gold.answers) == "north/good")
        let passedOver = try reporter.passedOver(
            gold.answers, awaited, of: Consortium.coordinator)
        #expect(
            passedOver.map(\.item) == ["north/copy", "north/early", "north/none", "north/torn"])
        let reasons = passedOver.map(\.reason)
        try #require(reasons.count == 4)
        #expect(reasons[0].contains("duplicate"))
        #expect(reasons[1] == "registered at height 2, before the commitment at 3")
        #expect(reasons[2].contains("no such item"))
        #expect(reasons[3].contains("without a label (disputed)"))
        let text = goldShownText(gold.answers.count, passedOver: passedOver)
        #expect(text.hasPrefix("1 of 5 answers count; passed over:\n  north/copy: "))
        #expect(goldShownText(2, passedOver: []) == "2 of 2 answers count")
    }

    @Test("items that are registered already, or of unknown sites, are named before a commitment")
    func doubts() throws {
        let ledger = try study()
        try registered(ledger, ["north/early"])
        let items = ["north/early", "north/late", "nroth/late"]
        let known = try Reporter(store: ledger.store).registered(items)
        #expect(known == ["north/early"])
        let some = goldItemsDoubt(items, registered: known, sites: ["north"])
        #expect(some?.text.contains("1 of 3 items are registered already") == true)
        #expect(some?.isHopeless == false)
        #expect(goldItemsDoubt(known, registered: known, sites: ["north"])?.isHopeless == true)
        let strange = goldItemsDoubt(items, registered: [], sites: ["north"])
        #expect(strange?.text.hasSuffix(": nroth/late") == true)
        #expect(strange?.isHopeless == false)
        #expect(goldItemsDoubt(["north/late"], registered: [], sites: ["north"]) == nil)
    }

    @Test("a file that opens no commitment is told which it is, or what it may be")
    func unknown() {
        let office = Consortium.coordinator
        let shown = unknownGoldText(office, shown: "north/good", waiting: [4])
        #expect(shown.contains("shown already: north/good"))
        let other = unknownGoldText(office, shown: nil, waiting: [4, 9])
        #expect(other.contains("2 commitments") && other.contains("of height 4, 9"))
        let none = unknownGoldText(office, shown: nil, waiting: [])
        #expect(none.contains("none was made") && none.contains("its period closed"))
    }
}
