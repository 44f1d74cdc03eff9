import Commands
import Contracts
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// The amounts of ⌊tokens × weight / weights⌋ in a sentence, in order.
private func parts(of arithmetic: String) -> [UInt64] {
    arithmetic.matches(of: /⌊([0-9.]+) × ([0-9]+) \/ ([0-9]+)⌋/).compactMap { match in
        guard let share = TokenAmount(tokens: String(match.1)), let weight = UInt64(match.2),
            let all = UInt64(match.3), all > 0
        else { return nil }
        return UInt64(UInt128(share.microtokens) * UInt128(weight) / UInt128(all))
    }
}

/// The amounts of "tokens × own of all" in a sentence, added up and rounded down.
private func product(of arithmetic: String) -> UInt64 {
    arithmetic.matches(of: /([0-9]+\.[0-9]+)(?:;| )[a-z, ]*× ([0-9]+) of ([0-9]+)/)
        .reduce(0) { sum, match in
            guard let share = TokenAmount(tokens: String(match.1)), let own = UInt64(match.2),
                let all = UInt64(match.3), all > 0
            else { return sum }
            return sum + UInt64(UInt128(share.microtokens) * UInt128(own) / UInt128(all))
        }
}

private func micro(_ tokens: String) throws -> UInt64 {
    try #require(TokenAmount(tokens: tokens.replacing("-", with: ""))).microtokens
}

/// Rows of RFC 4180, whose lines end in CRLF.
private func rows(of csv: String) -> [[String]] {
    var (rows, row, field, isQuoted) = ([[String]](), [String](), "", false)
    var rest = Array(csv.unicodeScalars)[...]
    while let scalar = rest.popFirst() {
        switch (scalar, isQuoted) {
        case ("\"", true) where rest.first == "\"":
            field.unicodeScalars.append("\"")
            rest = rest.dropFirst()
        case ("\"", _): isQuoted.toggle()
        case (",", false):
            row.append(field)
            field = ""
        case ("\r", false): break
        case ("\n", false):
            rows.append(row + [field])
            (row, field) = ([], "")
        default: field.unicodeScalars.append(scalar)
        }
    }
    return rows
}

@Suite("Statements")
struct StatementTests {
    private static let treasurer = Consortium.treasurer

    /// A study, income for its model, and a second run that began with that model.
    private func income() throws -> Reporter {
        let ledger = try ReportLedger.study()
        try ledger.block([(Consortium.developer, [.stopRun(1)])])
        try ledger.train(run: 2, from: "model 1", makes: "model 2")
        try ledger.block([
            (Self.treasurer, [.revenue(of: named("model 2"), 10_000_000_000, reference: "seg")])
        ])
        return Reporter(store: ledger.store)
    }

    @Test("stake and penalty stand in a section of their own, with their arithmetic")
    func escrow() throws {
        let reporter = Reporter(store: try ReportLedger.drawnStudy().store)
        let reader = ReportLedger.drawnReaders[2]
        let report = try reporter.statement(of: reader, from: nil)
        #expect(
            report.escrowPostings.map { "\($0.account) \($0.direction)" } == [
                "stake/west-1 credit", "stake/west-1 debit", "appeal/west-1 credit",
            ])
        let penalty = try #require(report.escrowPostings.last)
        #expect(penalty.rule == "pay/1" && penalty.balance == penalty.amount)
        #expect(parts(of: penalty.arithmetic) == [try micro(penalty.amount)])
        #expect(report.escrowPostings[0].arithmetic == "the agreement's stake of a new reader")
        let stake = try micro(report.escrowPostings[1].balance)
        let lost = try micro(penalty.amount)
        #expect(lost > 0 && stake + lost == 10_000_000)
        #expect(report.escrow == "10.000000")
        let document = Commands.document(of: report)
        for text in [document.text, document.csv, document.html] {
            #expect(text.contains(penalty.cause) && text.contains(penalty.arithmetic))
            #expect(text.contains("-\(penalty.amount)") && text.contains("+\(penalty.amount)"))
        }
        let height = report.escrowPostings[1].height
        let late = try reporter.statement(of: reader, from: height)
        #expect(late.escrowPostings.count == 2)
        #expect(late.escrowPostings.map(\.balance) == report.escrowPostings[1...].map(\.balance))
        #expect(try reporter.statement(of: reader, from: nil, to: 1).escrowPostings.count == 1)
    }

    @Test("what a reversal takes of pending pay has one sign, and says how it came to be")
    func reversal() throws {
        let ledger = try ReportLedger.drawnStudy()
        try ledger.reverse("east/101")
        let reporter = Reporter(store: ledger.store)
        var signs: Set<String> = []
        for reader in ReportLedger.drawnReaders {
            let report = try reporter.statement(of: reader, from: nil)
            for posting in report.pending where posting.rule == "reversal/1" {
                let values = parts(of: posting.arithmetic)
                let amount = try micro(posting.amount)
                #expect(values.count == 2 && posting.arithmetic.hasPrefix("pool 1.1: "))
                #expect(values[0] - values[1] == amount, "\(posting)")
                signs.insert(posting.amount.hasPrefix("-") ? "-" : "+")
                let document = Commands.document(of: report)
                for text in [document.text, document.csv, document.html] {
                    #expect(!text.contains("+-") && !text.contains("--0."))
                    #expect(
                        text.contains(
                            posting.amount.hasPrefix("-") ? posting.amount : "+\(posting.amount)"))
                }
            }
            for posting in report.escrowPostings where posting.rule == "reversal/1" {
                let values = parts(of: posting.arithmetic)
                let amount = try micro(posting.amount)
                #expect(values.count == 2 && values[0] - values[1] == amount)
            }
        }
        #expect(signs.contains("-"))
    }

    @Test("each line of an income can be recomputed from its sentence")
    func incomes() throws {
        let reporter = try income()
        let accounts =
            Consortium.sites + ReportLedger.readers
            + [Consortium.developer, patientAccount(named("patient 2")), ConsortiumAccount.commons]
        var (paid, runs) = (UInt64(0), Set<String>())
        let pattern = /run (\d) kept ([0-9.]+),.* of it [a-z]+ (\d+) of (\d+) = ([0-9.]+);/
        for account in accounts {
            let report = try reporter.statement(of: account, from: nil)
            let lines =
                report.postings.map { ($0.rule, $0.amount, $0.arithmetic) }
                + report.pending.map { ($0.rule, $0.amount, $0.arithmetic) }
            for (rule, amount, arithmetic) in lines where rule == "revenue/1" {
                let amount = try micro(amount)
                paid += amount
                // Rounding owes less than a microtoken to each of the products.
                #expect(
                    product(of: arithmetic).distance(to: amount).magnitude <= 2, "\(arithmetic)")
                #expect(arithmetic.hasPrefix("income seg of 10000.000000: run "))
                #expect(arithmetic.contains(", each run passing on 2000 of 10000 to the one"))
                let head = try #require(arithmetic.firstMatch(of: pattern), "\(arithmetic)")
                runs.insert(String(head.1))
                #expect(String(head.2) == (head.1 == "2" ? "8000.000000" : "2000.000000"))
                let (kept, share) = (try micro(String(head.2)), try micro(String(head.5)))
                let (own, all) = (
                    try #require(UInt64(head.3)), try #require(UInt64(head.4))
                )
                #expect((kept * own / all).distance(to: share).magnitude <= 1, "\(arithmetic)")
            }
        }
        #expect(paid == 10_000_000_000 && runs == ["1", "2"])
    }

    @Test("a CSV has one header line, and everything that the other formats have")
    func csv() throws {
        let reporter = Reporter(store: try ReportLedger.drawnStudy().store)
        let report = try reporter.statement(of: ReportLedger.drawnReaders[2], from: nil)
        let table = rows(of: Commands.document(of: report).csv)
        #expect(table[0].prefix(3) == ["section", "name", "value"])
        #expect(Set(table.map(\.count)).count == 1)
        func summary(_ table: [[String]]) -> [String: String] {
            Dictionary(
                table.filter { $0[0] == "summary" }.map { ($0[1], $0[2]) },
                uniquingKeysWith: { first, _ in first })
        }
        let figures = summary(table)
        #expect(figures["opening"] == report.opening && figures["closing"] == report.closing)
        #expect(figures["available now"] == report.available)
        #expect(figures["pending"] == report.pendingAmount && figures["in escrow"] == report.escrow)
        #expect(
            table.count { $0[0] == "escrow" } == 3
                && table.count { $0[0] == "pending" } == report.pending.count)
        let cause = try #require(table[0].firstIndex(of: "transaction"))
        for row in table.dropFirst() where row[0] != "summary" {
            #expect(TransactionID(row[cause]) != nil)
        }

        let supply = try reporter.supply()
        let balance = rows(of: Commands.document(of: supply).csv)
        #expect(Set(balance.map(\.count)).count == 1)
        #expect(summary(balance)["issued"] == supply.issued && summary(balance)["held"] != nil)
        #expect(summary(balance)["revenue"] == "0.000000")
        #expect(balance.count { $0[0] == "accounts" } == supply.accounts.count)
        #expect(balance.count { $0[0] == "by kind" } == supply.sections.count)
    }

    @Test("a table ends its lines with the whole id of the transaction, as receipts take it")
    func wholeID() throws {
        let reporter = Reporter(store: try ReportLedger.study().store)
        let report = try reporter.statement(of: ReportLedger.north, from: nil)
        let lines = Commands.document(of: report).text.split(separator: "\n")
        let line = try #require(lines.first { $0.contains("split/1") })
        let id = try #require(line.split(separator: " ").last)
        #expect(TransactionID(String(id))?.description == report.postings[0].cause)
    }

    @Test("heights above the newest: the last is brought down to it, the first is refused")
    func heights() throws {
        let reporter = Reporter(store: try ReportLedger.study().store)
        let whole = try reporter.statement(of: ReportLedger.north, from: nil)
        let report = try reporter.statement(of: ReportLedger.north, from: nil, to: 5_000)
        #expect(report.toHeight == nil && report.closing == whole.closing)
        #expect(Commands.document(of: report).text.contains("0 to \(whole.settledHeight)\n"))
        var fault: ReportError?
        do { _ = try reporter.statement(of: ReportLedger.north, from: 5_000) } catch let error
            as ReportError
        { fault = error }
        #expect(fault?.description.contains("newest settled height is 7") == true)
        #expect(try reporter.statement(of: ReportLedger.north, from: 7).fromHeight == 7)
    }
}
