import Commands
import Contracts
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

@Suite("Reports of money")
struct MoneyReportTests {
    private let ledger: ReportLedger
    private let reporter: Reporter

    init() throws {
        ledger = try ReportLedger.study()
        reporter = Reporter(store: ledger.store)
    }

    @Test("a statement to a height closes there, and says how each amount came to be")
    func arithmetic() throws {
        let reserve = ConsortiumAccount.reserve
        let part = try reporter.statement(of: reserve, from: 1, to: 1)
        #expect(part.closing == "999960.000000" && part.postings.count == 4)
        #expect(
            part.postings.allSatisfy { $0.arithmetic == "the agreement's stake of a new reader" })
        #expect(part.available == "999958.999997")
        let patient = try reporter.statement(of: patientAccount(named("patient 2")), from: nil)
        #expect(
            patient.postings.map(\.arithmetic)
                == ["0.400001 × 2 of 3 records, and what rounding owed"])
        let commons = try reporter.statement(of: ConsortiumAccount.commons, from: nil)
        #expect(
            commons.postings.map(\.arithmetic)
                == ["waived by a patient, of 0.400001 for 3 records"])
        let site = try reporter.statement(of: ReportLedger.north, from: nil)
        #expect(
            site.postings.map(\.arithmetic)
                == ["0.150000 × 3 of 3 verified records, and what rounding owed"])
        let reader = try reporter.statement(of: ReportLedger.readers[0], from: nil)
        #expect(reader.pending.allSatisfy { $0.arithmetic.hasPrefix("0.300001 × ") })
        #expect(try reporter.supply().unclaimed == "0.266667")
    }

    @Test("a statement prints as a table, a CSV and a page, each line with its transaction")
    func documents() throws {
        let report = try reporter.statement(of: ReportLedger.north, from: nil)
        let cause = try #require(report.postings.first).cause
        let document = Commands.document(of: report)
        #expect(document.text.contains("opening") && document.text.contains("0.150000"))
        let lines = document.csv.components(separatedBy: "\r\n")
        let line = try #require(lines.first { $0.hasPrefix("postings,") })
        #expect(lines[0].hasSuffix(",transaction") && line.hasSuffix(",\(cause)"))
        #expect(line.contains("\"0.150000 × 3 of 3 verified records, and what rounding owed\""))
        #expect(document.html.hasPrefix("<!doctype html>") && document.html.contains(cause))
        #expect(!document.html.contains("http"))
    }

    @Test("the policy of a height is the agreement's; one whose shares do not sum up is refused")
    func policy() throws {
        let shown = try policyReport(of: ledger.store, at: 3)
        #expect(shown.split["patients"] == 4_000 && shown.term == 1 && shown.firstHeight == 1)
        #expect(throws: ReportError.self) { try policyReport(of: ledger.store, at: 9) }
        let text =
            "rewards:\n  supply: \"1\"\n  roundPool: \"1\"\n"
            + "  split: {patients: 4000, annotators: 3000, sites: 1500, developers: 1501}\n"
            + "  developers: []\n  warmUpRounds: 0\n  appealWindow: 2\n  stake: \"0\"\n"
        var fault: InputFault?
        do { _ = try readPolicy(text: text, file: "p.yaml") } catch let error as InputFault {
            fault = error
        }
        #expect(fault?.description.contains("10001 basis points") == true)
    }

    @Test(
        "an amount that cannot be paid is refused with its reason",
        arguments: [
            ("-1", "negative"), ("0.1234567", "six decimals"), ("0", "above zero"),
            ("18446744073709.551616", "beyond 64 bits"), ("1e3", "decimal"), ("", "decimal"),
            (".5", "decimal"), ("1.", "decimal"), ("٣", "decimal"),
        ])
    func amounts(text: String, reason: String) throws {
        var fault: AmountFault?
        do throws(AmountFault) { _ = try readAmount(text) } catch { fault = error }
        #expect(fault?.description.contains(reason) == true)
        #expect(try readAmount("18446744073709.551615").microtokens == .max)
    }

    @Test("fairness figures: correlation and Jain's index by hand")
    func fairness() {
        let straight = pearsonCorrelation([(1, 2), (2, 4), (3, 6)])
        #expect(straight.map { abs($0 - 1) < 1e-12 } == true)
        #expect(pearsonCorrelation([(1, 1), (1, 2)]) == nil && pearsonCorrelation([(1, 1)]) == nil)
        let same = 104.0 / 111
        #expect(pearsonCorrelation([(same, 1), (same, 2), (same, 4)]) == nil)
        #expect(jainIndex([1, 1, 1, 1]) == 1 && jainIndex([4, 0, 0, 0]) == 0.25)
        #expect(jainIndex([0, 0]) == nil)
    }
}
