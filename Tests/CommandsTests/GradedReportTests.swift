import Contracts
import Cryptography
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// Reports of a study whose answers agree by degrees.
@Suite("Reports of measurements and masks")
struct GradedReportTests {
    private static let size = ImageSize(width: 30, height: 20)
    private static let items = 32

    private static func agreement(_ kind: AnswerKind) -> WireAgreement {
        var agreement = testAgreement()
        agreement.annotation.answer = kind.rawValue
        agreement.annotation.classes = kind == .masks ? 1 : 0
        agreement.annotation.nearDistance = 0
        agreement.annotation.maximumSpread = 0
        agreement.training.positiveAbove = 1
        agreement.training.negativeBelow = 2
        if kind == .measurement {
            agreement.annotation.absoluteTolerance = 900
        } else {
            agreement.annotation.nearShareNumerator = 0
            agreement.annotation.nearShareDenominator = 0
            agreement.annotation.agreementPermille = 600
        }
        return agreement
    }

    /// Answers that differ by item and reader; those to items 5 and 31 are disputed.
    private static func answer(_ kind: AnswerKind, _ number: Int, _ reader: Int) throws -> Answer {
        let isTorn = number == 5 || number == 31
        guard kind == .masks else {
            let spread = isTorn ? 9_000 : 150
            return .measurement(Int64(number % 7 * 1_000 + reader * spread))
        }
        let size = try #require(Self.size)
        let start = UInt32(isTorn ? 100 * reader : 20 * (number % 5) + 3 * reader)
        let length = UInt32(60 + 7 * (number % 3))
        return .mask(
            try #require(
                RunMask(size: size, joining: [start, length, size.pixels - start - length])))
    }

    private func study(_ kind: AnswerKind) throws -> ReportLedger {
        let ledger = try ReportLedger(Self.agreement(kind))
        let readers = ReportLedger.readers
        try ledger.block([(ReportLedger.north, try readers.map { .enrol(try memberDocument($0)) })])
        let names = (0..<Self.items).map(ReportLedger.item)
        try ledger.block([
            (
                ReportLedger.north,
                names.flatMap { name -> [WireTransaction] in
                    var register = WireTransaction.register(
                        name, of: named("patient of \(name)"), readers: readers.map(\.text))
                    register.recordRegister.width = kind == .masks ? 30 : 0
                    register.recordRegister.height = kind == .masks ? 20 : 0
                    return [.grant(named("patient of \(name)")), register]
                }
            )
        ])
        let network = ledger.consortium.network
        try ledger.block(
            readers.enumerated().map { index, reader in
                (
                    reader,
                    try names.enumerated().map { number, name in
                        let item = try itemID(name)
                        return .commit(
                            name,
                            answerCommitment(
                                network: network, item: item, annotator: reader,
                                answer: try Self.answer(kind, number, index),
                                salt: try salt(of: reader, for: item, network: network)
                            ).bytes)
                    }
                )
            })
        let reveals = try readers.enumerated().map { index, reader in
            (
                reader,
                try names.enumerated().map { number, name in
                    var reveal = WireTransaction.reveal(
                        name, 0, salt: try salt(of: reader, for: itemID(name), network: network))
                    switch try Self.answer(kind, number, index) {
                    case .measurement(let value): reveal.answerReveal.measurement = value
                    case .mask(let mask): reveal.answerReveal.mask.runs = mask.runs
                    case .grade, .boxes: break
                    }
                    return reveal
                }
            )
        }
        try ledger.block(
            reveals + [
                (Consortium.coordinator, names.map { .closeItem($0) } + [.closePeriod(1)])
            ])
        return ledger
    }

    @Test(
        "the figures of a reader's rows are exactly its points",
        arguments: [AnswerKind.measurement, .masks])
    func explanation(kind: AnswerKind) throws {
        let ledger = try study(kind)
        let reporter = Reporter(store: ledger.store)
        for (index, reader) in ReportLedger.readers.enumerated() {
            var (figures, fees, rows) = (Int64(0), UInt64(0), UInt64(0))
            for number in 0..<Self.items {
                let report = try reporter.explain(itemID(ReportLedger.item(number)))
                let own = try #require(report.readers.first { $0.annotator == reader.text })
                let answer = try Self.answer(kind, number, index)
                #expect(own.value == answerText(answer, Self.agreement(kind).annotation))
                guard let figure = own.figure else {
                    #expect(report.outcome == "disputed" && [5, 31].contains(number))
                    continue
                }
                let next = (1..<Self.items)
                    .map { ReportLedger.item((number + $0) % Self.items) }
                    .filter { ![5, 31].map(ReportLedger.item).contains($0) }
                let reference = try #require(own.referenceValue)
                #expect(own.inConsensus != nil)
                #expect(own.arithmetic.contains("its reference (\(reference))"))
                #expect(next.contains { own.arithmetic.contains("next item, \($0) (") })
                figures += figure
                fees += try #require(own.fee)
                rows += 1
            }
            let score = try reporter.score(of: reader)
            let period = try #require(score.periods.first)
            #expect(rows == 30 && period.rows == 30 && period.rated)
            #expect(figures == period.points && figures != 0 && fees == period.fee)
            let agreed = try #require(score.accuracyPermille)
            #expect(
                score.text
                    == "agreement with the other readers \(agreed)‰, beyond chance "
                    + "\(score.agreementPermille ?? -1)‰ (n = 30)")
            #expect(Int64(period.accuracyPermille) == agreed)
        }
    }

    @Test("an annotator is rated from thirty answers on, those of the open period counted")
    func rated() throws {
        // One of the items is disputed, and counts for nobody.
        for items in [30, 31] {
            let ledger = try ReportLedger()
            try ledger.open(items: items)
            try ledger.read(items: items)
            let score = try Reporter(store: ledger.store).score(of: ReportLedger.readers[0])
            #expect(score.answers == UInt64(items - 1) && score.rated == (items == 31))
            #expect((score.text == "not yet rated (n = 29, needs 30)") == (items == 30))
        }
    }

    @Test("approved items have their consensus, and the worklist says how large images are")
    func consensus() throws {
        let reporter = Reporter(store: try study(.masks).store)
        let entries = try reporter.consensus()
        #expect(entries.count == 30 && entries.allSatisfy { $0.size == Self.size })
        let first = try #require(entries.first { $0.item.text == ReportLedger.item(0) })
        // Four intervals of 60 pixels from 0, 3, 6 and 9: more than half from 6 to 63.
        let size = try #require(Self.size)
        #expect(
            first.answer == .mask(try #require(RunMask(size: size, runs: [6, 57, 537]))))
        let work = try reporter.worklist(of: ReportLedger.readers[0])
        #expect(
            work.items.count == 32 && work.items.allSatisfy { $0.width == 30 && $0.height == 20 })
    }

    @Test("masks are shown whole, with how far they agree, and without names as well")
    func drawings() throws {
        let reporter = Reporter(store: try study(.masks).store)
        let (item, rule) = (try itemID(ReportLedger.item(0)), Self.agreement(.masks).annotation)
        let report = try reporter.explain(item)
        guard case .mask(let consensus)? = try reporter.consensus().first?.answer else {
            Issue.record("item 0 has no mask")
            return
        }
        #expect(report.drawn?.runs == consensus.runs && report.drawn?.width == 30)
        for (seat, reader) in report.readers.enumerated() {
            guard case .mask(let own) = try Self.answer(.masks, 0, seat) else { continue }
            #expect(reader.annotator == ReportLedger.readers[seat].text)
            #expect(reader.drawn?.runs == own.runs && reader.drawn?.boxes == nil)
            #expect(reader.agreementPermille == rule.maskRule.agreement(own, consensus))
        }
        #expect(report.readers.map(\.drawn?.text).first == "60 pixels within 0,0 to 3,20")
        // All have 60 pixels: what tells them apart is where they are, not whose they are.
        let hidden = try report.anonymous()
        #expect(hidden.readers.map(\.value) == report.readers.map(\.value))
        #expect(hidden.readers.allSatisfy { $0.annotator.hasPrefix("reader ") })
        #expect(
            Set(hidden.readers.compactMap(\.drawn?.runs))
                == Set(report.readers.compactMap(\.drawn?.runs)))
        #expect(
            hidden.readers.allSatisfy { $0.figure == nil && $0.fee == nil && $0.weight == nil })
        var turned = report
        turned.readers.reverse()
        #expect(
            try turned.anonymous().readers.map(\.drawn?.runs)
                == hidden.readers.map(\.drawn?.runs))
    }
}
