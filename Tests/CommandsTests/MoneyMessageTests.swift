import ArgumentParser
import Commands
import Cryptography
import Foundation
import Ledger
import Node
import Storage
import TestSupport
import Testing
import Wire

@Suite("What commands about money say")
struct MoneyMessageTests {
    /// A voter's word about the posting that paid site north.
    private func word(_ ledger: ReportLedger, _ reason: String) throws -> WireTransaction {
        let line = try #require(
            try Reporter(store: ledger.store).statement(of: ReportLedger.north, from: nil)
                .postings.first)
        let cause = try #require(TransactionID(line.cause))
        let postings = try ledger.store.postings(by: cause)
        let place = try #require(postings.firstIndex { $0.credit == ReportLedger.north })
        var original = WirePosting()
        original.debit = postings[place].debit.text
        original.credit = postings[place].credit.text
        original.microtokens = postings[place].amount.microtokens
        var word = WireTransaction.correction(
            cause.envelope.bytes, posting: UInt32(place), original, returned: 20_000,
            reason: reason)
        word.correction.index = cause.index
        return word
    }

    @Test("corrections under way are listed with what is still needed, until a quorum agrees")
    func corrections() throws {
        let ledger = try ReportLedger.study()
        try ledger.block()
        let reporter = Reporter(store: ledger.store)
        #expect(correctionsText(try reporter.corrections()) == "no correction awaits a word")
        let (right, other) = (try word(ledger, "it's twice"), try word(ledger, "another"))
        try ledger.block([(Consortium.east, [right])])
        #expect(try reporter.progress(of: right.correction) == .words(1, of: 3))
        try ledger.block([(Consortium.north, [right]), (Consortium.west, [other])])
        let report = try reporter.corrections()
        #expect(report.quorum == 3 && report.corrections.count == 2)
        let entry = try #require(report.corrections.first { $0.reason == "it's twice" })
        #expect(entry.given == ["site/east", "site/north"] && entry.missing == 1)
        #expect(entry.returned == "0.020000" && entry.amount == "0.150000")
        #expect(entry.debit == "pool/1.1" && entry.credit == "site/north")
        #expect(report.corrections.first { $0.reason == "another" }?.missing == 2)
        let text = correctionsText(report)
        #expect(
            text.contains(
                "tally correct \(entry.transaction) --posting \(entry.posting) --amount 0.020000 "
                    + "--reason 'it'\\''s twice'"))
        let progress = try reporter.progress(of: right.correction)
        #expect(progressText(progress).hasPrefix("2 of 3 equal words given, 1 more is needed"))
        try ledger.block([(Consortium.coordinator, [right])])
        #expect(try reporter.progress(of: right.correction) == .done)
        #expect(progressText(.done).contains("taken back"))
        #expect(try reporter.corrections().corrections.isEmpty)
    }

    @Test("a payment that is not covered names the account, what it has and what is needed")
    func shortfall() throws {
        let ledger = try ReportLedger.study()
        let balance = try Reporter(store: ledger.store).balance(of: ReportLedger.readers[0])
        let needed = try #require(TokenAmount(tokens: "12.5"))
        #expect(
            shortfallText("the account holds less than is needed", balance, needed: needed)
                == "the account holds less than is needed: annotator/north-1 has 0.000000 "
                + "available at height 7, 12.500000 is needed, \(balance.pending) more is pending")
    }

    @Test("a claim key that is none is refused with its file, also one that needs a passphrase")
    func claimKeys() throws {
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask,
            appropriateFor: FileManager.default.temporaryDirectory, create: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "key.pem").path
        let pem = try SigningKey(seed: named("claim")).pem(passphrase: "secret")
        for (text, reason) in [
            ("root:x:0:0:root:/root:/bin/bash\n", "not a PEM file"), (pem, "TALLY_PASSPHRASE"),
        ] {
            try Data(text.utf8).write(to: URL(filePath: file))
            var fault: CommandFault?
            do { _ = try claimKey(in: file) } catch let error as CommandFault { fault = error }
            #expect(fault?.description.hasPrefix("\(file): ") == true)
            #expect(fault?.description.contains(reason) == true)
        }
    }

    @Test(
        "a negative number is refused as what it is, with its option",
        arguments: [
            ["policy", "show", "--height", "-1"], ["statement", "--from", "-1"],
            ["statement", "--to", "-1"], ["fairness", "--run", "-1"], ["rounds", "--run", "-1"],
            ["lineage", "--round", "-1"], ["model", "export", "--run", "-1"],
            [
                "correct", String(repeating: "0", count: 64) + "/0", "--reason", "r", "--posting",
                "-1",
            ],
        ])
    func negative(arguments: [String]) throws {
        var message = ""
        do {
            _ = try Tally.parseAsRoot(arguments + ["--home", "/tmp"])
        } catch {
            message = Tally.message(for: error)
            #expect(Tally.exitStatus(for: error) == 64)
        }
        let option = try #require(arguments.last { $0.hasPrefix("--") })
        #expect(message.contains("'-1'") && message.contains(option), "\(message)")
        #expect(!message.contains("Missing value"))
    }
}
