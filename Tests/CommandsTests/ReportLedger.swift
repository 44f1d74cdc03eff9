import Cryptography
import Foundation
import Ledger
import Storage
import TestSupport
import Wire

/// The ledger of a study of site north's items, for reading reports from.
final class ReportLedger {
    static let north = Consortium.north
    static let readers = Consortium.readers(of: Consortium.north)

    let folder: URL
    private var ledger: SettledLedger

    var store: LedgerStore { ledger.store }
    var consortium: Consortium { ledger.consortium }

    init(_ agreement: WireAgreement = testAgreement()) throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "tally-reports-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        ledger = try SettledLedger(
            at: folder.appending(path: "ledger.sqlite").path,
            of: Consortium(agreement, enrolling: false))
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func block(_ parts: [(by: AccountID, [WireTransaction])] = []) throws {
        try ledger.append(parts)
    }

    /// A decision changes the agreement with an empty block.
    func decide(_ change: (inout WireAgreement) -> Void) throws {
        try ledger.decide(change)
        try block()
    }

    static func item(_ number: Int) -> String { "north/n\(number)" }

    /// Block 1 enrols north's readers; block 2 registers items for them.
    ///
    /// The patient of the first item waives the reward.
    func open(items: Int) throws {
        try block([(Self.north, try Self.readers.map { .enrol(try memberDocument($0)) })])
        let transactions = (0..<items).flatMap { number -> [WireTransaction] in
            let patient = named("patient \(number)")
            return [
                .grant(patient, waive: number == 0),
                .register(
                    Self.item(number), of: patient, readers: Self.readers.map(\.text)),
            ]
        }
        try block([(Self.north, transactions)])
    }

    /// The grade that a reader gives; the fourth differs sometimes, item 1 is disputed.
    static func grade(_ number: Int, _ reader: Int) -> UInt32 {
        if number == 1 { return reader.isMultiple(of: 2) ? 1 : 5 }
        let shift = reader == 3 && number.isMultiple(of: 4) ? 1 : 0
        return UInt32(1 + (number + shift) % 4)
    }

    func commits(_ items: Range<Int>, reader: Int) throws -> [WireTransaction] {
        try items.map {
            try consortium.commit(
                itemID(Self.item($0)), Self.grade($0, reader), by: Self.readers[reader])
        }
    }

    func reveals(_ items: Range<Int>, reader: Int) throws -> [WireTransaction] {
        try items.map {
            try consortium.reveal(
                itemID(Self.item($0)), Self.grade($0, reader), by: Self.readers[reader])
        }
    }

    /// Blocks 3 and 4: all commit, all reveal and the items close.
    func read(items: Int) throws {
        try block(
            Self.readers.indices.map {
                (Self.readers[$0], try commits(0..<items, reader: $0))
            })
        try block(
            Self.readers.indices.map {
                (Self.readers[$0], try reveals(0..<items, reader: $0))
            } + [
                (Consortium.coordinator, (0..<items).map { .closeItem(Self.item($0)) })
            ])
    }

    /// Three blocks: period 1 closes, a run starts, its first round opens, and closes without west.
    func train(_ change: (inout WireRoundValues) -> Void = { _ in }) throws {
        try train(run: 1, from: "model 0", before: [.closePeriod(1)], makes: "model 1", change)
    }

    /// Three blocks: a run starts, its first round opens, and closes without west.
    func train(
        run: UInt32, from base: String, before: [WireTransaction] = [], makes name: String,
        _ change: (inout WireRoundValues) -> Void = { _ in }
    ) throws {
        let voters = Consortium.voters.prefix(consortium.genesis.voters.quorum)
        try block(
            (before.isEmpty ? [] : [(Consortium.coordinator, before)])
                + [(Consortium.developer, [.startRun(run, from: named(base), rounds: 2)])]
                + voters.map { ($0, [.fix(run, named("reference"))]) })
        try block(
            [(Consortium.coordinator, [.openRound(run, 1, base: named(base))])]
                + Consortium.sites.map { ($0, [consortium.submission(run, 1, by: $0)]) })
        var values = roundValues(
            [(verified: 0, shapley: 6), (verified: 3, shapley: 66), (verified: 0, shapley: -3)],
            patients: [named("patient 0"): 1, named("patient 2"): 2])
        values.sites[2].answer = "refused"
        values.sites[2].reason = "the update: holds a value that is not a number"
        values.utility = 75
        values.utilityMaximum = 100
        values.correct = 9
        values.referenceCount = 12
        values.sites[1].leaveOneOut = 7
        values.sites[2].leaveOneOut = -2
        change(&values)
        let model = named(name)
        let bytes = values.encoded()
        let word = WireTransaction.checked(
            run, 1, model: model, values: Digest.sha256(bytes).bytes)
        try block(
            voters.map { ($0, [word]) } + [
                (Consortium.developer, [.closeRound(run, 1, model: model, values: bytes)])
            ])
    }

    /// A whole study: 34 items read, one period, one round.
    static func study(
        _ change: (inout WireRoundValues) -> Void = { _ in }
    ) throws -> ReportLedger {
        let ledger = try ReportLedger()
        try ledger.open(items: 34)
        try ledger.read(items: 34)
        try ledger.train(change)
        return ledger
    }
}
