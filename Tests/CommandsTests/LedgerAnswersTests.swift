import Commands
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

@Suite("A reader's answers beside those of the ledger")
struct LedgerAnswersTests {
    private static let account = AccountID(.annotator, "north-1")
    private static let states: [WorklistItem.State] = [
        .commit, .wait, .reveal, .done, .missed, .closed,
    ]

    private func salts(_ key: String = "key") throws -> ReaderSalts {
        ReaderSalts(
            account: Self.account, network: NetworkID(.zero),
            key: try SigningKey(seed: named(key)), others: [])
    }

    /// Rows of a file that answers each item alike.
    private func rows(_ grade: Int, of items: [String]) throws -> [AnnotatedItem] {
        var rule = WireAnnotationRule()
        rule.answer = "ordinal"
        rule.classes = 5
        let source = AnswerSource(file: "f", rule: rule)
        let text = "item,answer\n" + items.map { "\($0),\(grade)\n" }.joined()
        return try resolve(
            readAnswers(Array(text.utf8), source),
            among: items.map { (item: try itemID($0), size: nil) }, source, reader: "r")
    }

    /// What a worklist has of the item, with a commitment to a grade or without one.
    private func entry(
        _ item: String, _ state: WorklistItem.State, committed grade: UInt32?
    ) throws -> WorklistItem {
        let commitment = try grade.map {
            "\"\(try salts().commitment(to: .grade($0), of: itemID(item)).hex)\""
        }
        let json = """
            {"item":"\(item)","state":"\(state.rawValue)","until":null,\
            "commitment":\(commitment ?? "null"),"width":null,"height":null,"role":"reader",\
            "wave":1}
            """
        return try JSONDecoder().decode(WorklistItem.self, from: Data(json.utf8))
    }

    private func ledger(
        _ state: WorklistItem.State, committed grade: UInt32?, key: String = "key"
    ) throws -> LedgerAnswers {
        LedgerAnswers(
            ["north/a": try entry("north/a", state, committed: grade)], salts: try salts(key))
    }

    @Test("another answer than the ledger has is refused before the reveal and after it")
    func contradictions() throws {
        let row = try #require(rows(1, of: ["north/a"]).first)
        for state in Self.states {
            #expect(try ledger(state, committed: 1).contradiction(row) == nil, "\(state)")
            #expect(try ledger(state, committed: nil).contradiction(row) == nil, "\(state)")
            let told = try ledger(state, committed: 3).contradiction(row)
            let foreign = try ledger(state, committed: 1, key: "other").contradiction(row)
            #expect(told == foreign, "\(state)")
            switch state {
            case .commit, .missed: #expect(told == nil, "\(state)")
            case .wait, .reveal:
                #expect(
                    told?.hasPrefix("north/a was committed with another answer than this") == true)
                #expect(told?.contains("reveal it with the file that was committed") == true)
            case .done, .closed:
                #expect(
                    told?.hasPrefix("north/a was revealed with another answer than this") == true)
                #expect(told?.contains("the answer on the ledger stays") == true)
            }
        }
    }

    @Test("what another run sent of the same answer is no failure of this one")
    func fasterRun() throws {
        let row = try #require(rows(1, of: ["north/a"]).first)
        let committed: [WorklistItem.State] = [.wait, .reveal, .missed, .done, .closed]
        for state in Self.states {
            let same = try ledger(state, committed: 1)
            #expect(same.has(row, revealed: false) == committed.contains(state), "\(state)")
            #expect(same.has(row, revealed: true) == [.done, .closed].contains(state), "\(state)")
            for grade in [nil, 3] as [UInt32?] {
                let other = try ledger(state, committed: grade)
                #expect(!other.has(row, revealed: false) && !other.has(row, revealed: true))
            }
        }
    }

    private struct Report: Decodable {
        let missed: Int
        let missedItems: [String]
        let unrevealed: Int
        let waiting: Int
        let done: Int
    }

    @Test("missed items are named, a few to people and all to scripts")
    func missed() throws {
        let names = (0..<9).map { "north/m\($0)" }
        var items: [String: WorklistItem] = [:]
        for (place, name) in names.enumerated() {
            items[name] = try entry(
                name, place < 7 ? .missed : place == 7 ? .closed : .wait,
                committed: place == 0 || place > 6 ? 1 : nil)
        }
        let ledger = LedgerAnswers(items, salts: try salts())
        let report = ledger.report(
            try rows(1, of: names), account: Self.account, committed: 0, revealed: 0, rejected: [])
        let read = try JSONDecoder().decode(Report.self, from: JSONEncoder().encode(report))
        #expect(read.missed == 7 && read.missedItems == Array(names.prefix(7)))
        #expect(read.unrevealed == 1 && read.waiting == 1 && read.done == 1)
        #expect(
            report.text.contains(
                "missed: north/m0, north/m1, north/m2, north/m3, north/m4 and 2 more (--format json "
                    + "lists all); their time is over"))
        #expect(report.text.contains("leave them out of the file"))
        let none = ledger.report(
            try rows(1, of: [names[7]]), account: Self.account, committed: 0, revealed: 0,
            rejected: [])
        #expect(!none.text.contains("missed:"), "\(none.text)")
    }

    @Test("a command that was interrupted says whether anything was sent, and that it goes on")
    func interruptions() {
        let fault = CommandFault("the site went away")
        #expect(
            interruption(fault, sent: 0).description
                == "the site went away. Nothing was sent; when that is mended, run the same command again"
        )
        let told = interruption(fault, sent: 2).description
        #expect(told.hasPrefix("the site went away. What this run had sent before is not lost"))
        #expect(told.contains("run the same command again") && !told.contains("othing was sent"))
    }
}
