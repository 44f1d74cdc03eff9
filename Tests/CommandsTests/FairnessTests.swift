import Commands
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

@Suite("Fairness of a run")
struct FairnessTests {
    private func role(_ name: String, _ report: FairnessReport) throws -> RoleFairness {
        try #require(report.roles.first { $0.role == name })
    }

    private func micro(_ tokens: String) throws -> UInt64 {
        try #require(TokenAmount(tokens: tokens)).microtokens
    }

    /// What an account holds that nobody else than the rounds' pools pays.
    private func held(_ account: AccountID, _ reporter: Reporter) throws -> UInt64 {
        let balance = try reporter.balance(of: account)
        return try micro(balance.available) + micro(balance.pending)
    }

    @Test("who could have been paid and earned nothing counts in Jain's index")
    func nothing() throws {
        let reporter = Reporter(store: try ReportLedger.drawnStudy().store)
        let report = try reporter.fairness(run: nil)
        let readers = try ReportLedger.drawnReaders.map { try held($0, reporter) }
        #expect(readers[2] == 0 && readers[0] > 0 && readers[1] > 0)
        let annotators = try role("annotator", report)
        #expect(annotators.accounts == 3)
        #expect(annotators.jain == jainIndex(readers.sorted().map { Double($0) }))
        #expect(try #require(annotators.jain) < 0.7)
        // North alone has verified records.
        let sites = try role("site", report)
        #expect(sites.accounts == 3 && sites.jain.map { abs($0 - 1.0 / 3) < 1e-12 } == true)
        #expect(report.sites.map(\.reward) == ["0.000000", "0.150000", "0.000000"])
        #expect(try role("developer", report).accounts == 1)
        #expect(report.sites.allSatisfy { $0.standAlone == nil } && report.correlation == nil)
        #expect(fairnessText(report).contains("not known: this home has no blobs"))
    }

    @Test("a patient who waived is none of those who are paid")
    func waived() throws {
        let patients = try role(
            "patient", Reporter(store: try ReportLedger.study().store).fairness(run: 1))
        #expect(patients.accounts == 1 && patients.paid == "0.266667" && patients.jain == 1)
    }

    @Test("a reversal counts in what readers earned")
    func reversal() throws {
        let ledger = try ReportLedger.drawnStudy()
        let reporter = Reporter(store: ledger.store)
        let before = try role("annotator", reporter.fairness(run: 1))
        try ledger.reverse("east/101")
        let after = try role("annotator", reporter.fairness(run: 1))
        let readers = try ReportLedger.drawnReaders.map { try held($0, reporter) }
        #expect(after.paid != before.paid)
        #expect(try micro(after.paid) == readers.reduce(0, +))
        #expect(after.jain == jainIndex(readers.sorted().map { Double($0) }))
    }

    @Test("a correction counts in what a site earned, and so does a correction of it")
    func correction() throws {
        let ledger = try ReportLedger.study()
        let reporter = Reporter(store: ledger.store)
        try ledger.block()
        let reserve = ConsortiumAccount.reserve
        func correct(_ account: AccountID, _ rule: String) throws {
            let line = try #require(
                try reporter.statement(of: account, from: nil).postings.last { $0.rule == rule })
            let cause = try #require(TransactionID(line.cause))
            let postings = try ledger.store.postings(by: cause)
            let place = try #require(
                postings.firstIndex { $0.credit == account && $0.debit.text == line.counterparty })
            var original = WirePosting()
            original.debit = postings[place].debit.text
            original.credit = postings[place].credit.text
            original.microtokens = postings[place].amount.microtokens
            var word = WireTransaction.correction(
                cause.envelope.bytes, posting: UInt32(place), original, returned: 50_000)
            word.correction.index = cause.index
            try ledger.block(Consortium.voters.prefix(3).map { ($0, [word]) })
        }
        try correct(ReportLedger.north, "split/1")
        #expect(try reporter.fairness(run: 1).sites[1].reward == "0.100000")
        #expect(try role("site", reporter.fairness(run: 1)).paid == "0.100000")
        try correct(reserve, "correction/1")
        #expect(try reporter.fairness(run: 1).sites[1].reward == "0.150000")
    }

    @Test("stand-alone accuracy and its correlation with the reward come from a chain's own blobs")
    func standAlone() throws {
        let folder = NSTemporaryDirectory() + "tally-fairness-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var chain = try StoredChain(in: folder)
        try chain.study()
        let voter = chain.voters[0]
        let report = try Reporter(store: voter.store, blobs: voter.blobs).fairness(run: nil)
        #expect(report.missing == nil && report.rounds == 2)
        let accuracies = report.sites.compactMap(\.standAlone)
        #expect(accuracies.count == 3 && accuracies.allSatisfy { (0.0...1).contains($0) })
        let points = try report.sites.map { site in
            (try #require(site.standAlone), Double(try micro(site.reward)))
        }
        #expect(report.correlation == pearsonCorrelation(points))
        #expect(points.allSatisfy { $0.1 > 0 })
        try chain.close()
    }
}
