import Commands
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

/// Every path of keys in a report; an array's elements are all looked at.
private func keyPaths(_ json: [UInt8]) throws -> [String] {
    var paths: Set<String> = []
    func walk(_ value: Any, _ path: String) {
        if let object = value as? [String: Any] {
            for (key, value) in object {
                paths.insert(path + key)
                walk(value, "\(path)\(key).")
            }
        } else if let list = value as? [Any] {
            for value in list { walk(value, path) }
        }
    }
    walk(try JSONSerialization.jsonObject(with: Data(json)), "")
    return paths.sorted()
}

@Suite("Reports of a ledger")
struct ReportTests {
    private let ledger: ReportLedger
    private let reporter: Reporter

    init() throws {
        ledger = try ReportLedger.study()
        reporter = Reporter(store: ledger.store)
    }

    private func json(_ name: ReportName, _ arguments: [String]) throws -> [UInt8] {
        try reporter.answer(report: name.rawValue, arguments: arguments, asker: nil)
    }

    /// What scripts rely on; a key may join, none may go or change its name.
    private static let keys: [(ReportName, [String], String)] = [
        (
            .status, [],
            """
            acceptedEnvelopes account certifiedHeight coordinator items items.approved \
            items.disputed items.open items.tooFew left members members.annotator \
            members.coordinator members.developer members.site members.treasurer network \
            openPeriod orderedHeight partial \
            quorum run run.closed run.planned run.run run.state \
            running settledHash settledHeight study term time transactions voters
            """
        ),
        (
            .balance, ["annotator/north-1"],
            """
            account available escrow pending proof provenHeight provenPostingHeight \
            provenTransaction settledHeight
            """
        ),
        (
            .statement, ["site/north"],
            """
            account available closing escrow escrowPostings fromHeight opening pending \
            pendingAmount postings postings.amount postings.arithmetic postings.availableFrom postings.balance \
            postings.cause postings.counterparty postings.direction postings.height \
            postings.rule postings.time settledHeight toHeight
            """
        ),
        (
            .statement, ["annotator/north-1"],
            """
            account available closing escrow escrowPostings escrowPostings.account \
            escrowPostings.amount escrowPostings.arithmetic escrowPostings.balance \
            escrowPostings.cause escrowPostings.counterparty escrowPostings.direction \
            escrowPostings.height escrowPostings.rule escrowPostings.time fromHeight opening \
            pending pending.amount \
            pending.arithmetic pending.availableFrom pending.cause pending.counterparty \
            pending.height pending.rule pending.time pendingAmount postings settledHeight toHeight
            """
        ),
        (
            .supply, [],
            """
            accounts accounts.account accounts.balance accounts.pending \
            balanced founded held issued redeemed revenue sections sections.accounts \
            sections.balance sections.kind settledHeight unclaimed
            """
        ),
        (
            .score, ["annotator/north-1"],
            """
            account accuracyPermille agreementPermille answers periods periods.accuracyPermille \
            periods.agreementPermille periods.answers periods.fee periods.period periods.points \
            periods.rated periods.rows periods.shortfall periods.weight rated settledHeight \
            shortfall text weight
            """
        ),
        (
            .explain, ["north/n0"],
            """
            closedBy closedHeight dispute drawn gold goldDrawn grade item outcome period \
            posteriorPermille readers readers.agreementPermille readers.annotator readers.answer \
            readers.arithmetic readers.drawn readers.fee readers.figure readers.grade \
            readers.inConsensus readers.reference readers.referenceValue readers.senior \
            readers.tokensPerRound readers.value readers.wave readers.weight reason settledHeight \
            spread value
            """
        ),
        (
            .worklist, ["annotator/north-1"],
            """
            account items items.commitment items.height items.item items.role items.state \
            items.until items.wave items.width next rule settledHeight
            """
        ),
        (
            .rounds, [],
            """
            closed model opened planned referenceCount rounds rounds.accuracy rounds.auc \
            rounds.closedHeight rounds.coalitions rounds.complete rounds.loss rounds.model \
            rounds.permutations rounds.rollCall rounds.rollCall.answer \
            rounds.rollCall.leaveOneOut rounds.rollCall.reason rounds.rollCall.shapley \
            rounds.rollCall.shapleyHalfWidth rounds.rollCall.site rounds.rollCall.value \
            rounds.rollCall.valueHalfWidth rounds.rollCall.verified rounds.round \
            rounds.shapleyDenominator run settledHeight state study
            """
        ),
        (
            .members, [],
            """
            members members.account members.credentials members.endedHeight members.endpoint \
            members.enrolledHeight members.organisation members.signingKey members.transportKey \
            members.votes settledHeight
            """
        ),
        (
            .data, [],
            """
            duplicates items items.approved items.disputed items.open items.tooFew records \
            records.duplicate records.grade records.item records.outcome records.patient \
            records.registeredHeight records.site records.use settledHeight withheldSecrets
            """
        ),
        (
            .consent, [hexString(named("patient 2"))],
            """
            account custodian evaluationRecords intervals intervals.fromHeight intervals.inForce \
            intervals.notAfterHeight intervals.purposes intervals.reward intervals.untilHeight \
            models patient rounds rounds.model rounds.records rounds.round rounds.run \
            settledHeight trainingRecords
            """
        ),
        (
            .lineage, [hexString(named("model 1"))],
            """
            ancestors ancestors.model ancestors.round ancestors.run model parent round run \
            settledHeight updates updates.examples updates.manifest updates.site updates.update
            """
        ),
    ]

    @Test("the keys are stable", arguments: keys)
    func stableKeys(name: ReportName, arguments: [String], expected: String) throws {
        #expect(try keyPaths(json(name, arguments)).joined(separator: " ") == expected)
    }

    @Test("JSON is written with sorted keys, null for what is absent, and slashes as they are")
    func golden() throws {
        let balance = String(decoding: try json(.balance, ["stake/north-1"]), as: UTF8.self)
        #expect(
            balance == """
                {"account":"stake/north-1","available":"10.000000","escrow":"0.000000",\
                "pending":"0.000000","proof":"own ledger","provenHeight":null,\
                "provenPostingHeight":null,"provenTransaction":null,"settledHeight":7}
                """)
        let work = String(decoding: try json(.worklist, ["annotator/north-1"]), as: UTF8.self)
        #expect(work.contains("\"state\":\"closed\",\"until\":null,\"wave\":1,\"width\":null}"))
        #expect(work.hasSuffix("\",\"settledHeight\":7}"))
    }

    @Test("an account's closing is what it has available, and issued is what all hold")
    func closings() throws {
        let supply = try reporter.supply()
        #expect(supply.balanced)
        #expect(supply.issued == "1000000.000000")
        #expect(supply.held == supply.issued)
        var held = TokenAmount.zero
        for entry in supply.accounts {
            let account = try #require(AccountID(entry.account))
            let balance = try reporter.balance(of: account)
            let statement = try reporter.statement(of: account, from: nil)
            #expect(statement.closing == balance.available, "\(account)")
            let pending = try statement.pending.reduce(TokenAmount.zero) { sum, posting in
                try sum.adding(try #require(TokenAmount(tokens: posting.amount)))
            }
            #expect(pending.description == balance.pending, "\(account)")
            held = try held.adding(try #require(TokenAmount(tokens: entry.balance)))
        }
        #expect(held.description == supply.held)
    }

    @Test(
        "pay waits for the appeal window, a site's share does not; the waiver goes to the commons")
    func pending() throws {
        let reader = try reporter.balance(of: ReportLedger.readers[0])
        #expect(reader.available == "0.000000")
        #expect(reader.pending != "0.000000")
        #expect(reader.escrow == "10.000000")
        // Warm-up: counts alone, and north alone has verified records: 15 % of 1.000003 tokens.
        let site = try reporter.balance(of: ReportLedger.north)
        #expect(site.available == "0.150000")
        let patient = try reporter.balance(of: patientAccount(named("patient 2")))
        let commons = try reporter.balance(of: ConsortiumAccount.commons)
        #expect([patient.available, commons.available] == ["0.266667", "0.133334"])
        for _ in 0..<3 { try ledger.block() }
        #expect(try reporter.balance(of: ReportLedger.readers[0]).pending == reader.pending)
        try ledger.block()
        let later = try reporter.balance(of: ReportLedger.readers[0])
        #expect(later.available == reader.pending)
        #expect(later.pending == "0.000000")
    }

    @Test("a statement from a height opens with what counted before it")
    func opening() throws {
        let reserve = ConsortiumAccount.reserve
        let whole = try reporter.statement(of: reserve, from: nil)
        #expect(whole.opening == "1000000.000000")
        #expect(whole.postings.count == 5)
        let part = try reporter.statement(of: reserve, from: 2)
        #expect(part.opening == "999960.000000")
        #expect(part.postings.count == 1)
        #expect(part.closing == whole.closing)
    }

    @Test("the figures of a reader's rows add up to its points, and the tokens to its pay")
    func explanation() throws {
        for (index, reader) in ReportLedger.readers.enumerated() {
            var (figures, fees, tokens, rows) = (Int64(0), UInt64(0), Int64(0), Int64(0))
            for number in 0..<34 {
                let report = try reporter.explain(itemID(ReportLedger.item(number)))
                let own = try #require(report.readers.first { $0.annotator == reader.text })
                #expect(own.grade == ReportLedger.grade(number, index))
                guard let figure = own.figure, let fee = own.fee, let text = own.tokensPerRound
                else {
                    #expect(report.outcome == "disputed")
                    continue
                }
                figures += figure
                fees += fee
                rows += 1
                let amount = TokenAmount(tokens: text.replacing("-", with: ""))
                let micro = Int64(try #require(amount).microtokens)
                tokens += text.hasPrefix("-") ? -micro : micro
            }
            let period = try #require(try reporter.score(of: reader).periods.first)
            #expect(rows == 33 && period.rows == 33)
            // Each figure is rounded down for display.
            #expect(period.points - figures >= 0 && period.points - figures <= rows)
            #expect(fees == period.fee)
            let pending = try #require(
                TokenAmount(tokens: try reporter.balance(of: reader).pending))
            #expect(abs(Int64(pending.microtokens) - tokens) <= 2 * rows, "\(reader)")
        }
    }

    @Test("an item tells why it came out as it did")
    func outcomes() throws {
        let disputed = try reporter.explain(itemID("north/n1"))
        #expect(disputed.outcome == "disputed")
        #expect(disputed.grade == nil && disputed.spread == 4)
        #expect(disputed.readers.allSatisfy { $0.inConsensus == nil && $0.figure == nil })
        let approved = try reporter.explain(itemID("north/n4"))
        #expect(approved.outcome == "approved" && approved.grade == 1 && approved.spread == 1)
        let last = try #require(approved.readers.last)
        #expect(last.grade == 2 && last.inConsensus == true && last.reference == 1)
        #expect(throws: ReportError.self) { try reporter.explain(itemID("north/none")) }
    }

    @Test("rounds show the curve from the chain and who was left out")
    func rounds() throws {
        let report = try reporter.rounds(run: nil)
        let round = try #require(report.rounds.first)
        #expect(report.state == "running" && report.closed == 1 && report.planned == 2)
        #expect(round.auc == 0.75 && round.accuracy == 0.75 && round.loss == nil)
        #expect(!round.complete)
        #expect(round.rollCall.map(\.answer) == ["answered", "answered", "refused"])
        #expect(round.rollCall.map(\.value) == [1, 11, -0.5])
        #expect(round.rollCall.map(\.leaveOneOut) == [0, 7, -2])
        #expect(round.rollCall.map(\.valueHalfWidth) == [0, 0, 0])
        #expect(round.permutations == 0 && round.coalitions == 7)
        let text = rollCallText(report)
        #expect(text.contains("values exact, 7 coalitions valued") && text.contains("  -2  "))
        #expect(try reporter.model(run: 1, round: 0).bytes == named("model 0"))
        #expect(try reporter.model(run: nil, round: nil).bytes == named("model 1"))
        #expect(throws: ReportError.self) { try reporter.rounds(run: 2) }
        #expect(throws: ReportError.self) { try reporter.model(run: 1, round: 2) }
    }

    @Test("values from drawn orders show their intervals and what they cost")
    func sampledRounds() throws {
        let ledger = try ReportLedger.study { values in
            values.permutations = 64
            values.shapleyDenominator = 64
            for place in values.sites.indices { values.sites[place].shapleyHalfWidth = 16 }
        }
        let report = try Reporter(store: ledger.store).rounds(run: nil)
        let round = try #require(report.rounds.first)
        #expect(round.rollCall.map(\.valueHalfWidth) == [0.25, 0.25, 0.25])
        #expect(round.rollCall.map(\.shapleyHalfWidth) == [16, 16, 16])
        #expect(round.permutations == 64 && round.coalitions == 64 * 2 + 3 + 1)
        let text = rollCallText(report)
        #expect(text.contains("± 0.25") && text.contains("64 drawn orders of joining, 132"))
        #expect(valuedCoalitions(sites: 100, permutations: 64) == 64 * 99 + 101)
        #expect(valuedCoalitions(sites: 12, permutations: 0) == 4_095)
    }

    @Test("a consent lists the rounds that used the records")
    func consent() throws {
        let used = try reporter.consent(of: named("patient 2"))
        #expect(used.rounds.map(\.records) == [2])
        #expect(used.intervals.map(\.reward) == ["earn"])
        #expect(used.trainingRecords == 1 && used.evaluationRecords == 0)
        let unused = try reporter.consent(of: named("patient 3"))
        #expect(unused.rounds.isEmpty)
        #expect(
            try reporter.consentedPurposes(of: named("patient 3")) == ["training", "evaluation"])
        #expect(throws: ReportError.self) { try reporter.consent(of: named("nobody")) }
    }

    @Test("a name that nobody has is refused, not shown as zero")
    func unknownAccount() {
        for text in ["site/nowhere", "annotator/north-9", "stake/north-9", "patient/abc"] {
            #expect(throws: ReportError.self, "\(text)") {
                _ = try json(.balance, [text])
            }
        }
    }
}

@Suite("What others may ask")
struct ReportPermissionTests {
    private static let reader = "annotator/north-1"
    private static let cases: [(String, [String], String, Bool)] = [
        ("status", [], reader, true),
        ("rounds", [], reader, true),
        ("balance", [], reader, true),
        ("balance", [reader], reader, true),
        ("balance", ["stake/north-1"], reader, true),
        ("balance", ["appeal/north-1"], reader, true),
        ("balance", ["stake/north-2"], reader, false),
        ("balance", ["annotator/north-2"], reader, false),
        ("statement", [reader], reader, true),
        ("statement", ["site/north"], reader, false),
        ("score", [reader], reader, true),
        ("score", ["annotator/north-2"], reader, false),
        ("worklist", [], reader, true),
        ("worklist", ["annotator/north-2"], reader, false),
        ("explain", ["north/n0"], reader, true),
        ("explain", ["north/n0"], "annotator/east-1", false),
        ("explain", ["north/n0"], "developer/lab", false),
        ("balance", [], "developer/lab", true),
        ("balance", ["stake/lab"], "developer/lab", false),
        ("balance", ["redemption-annotator/north-1"], reader, true),
        ("balance", ["redemption-annotator/north-2"], reader, false),
        ("redemptions", [], reader, true),
        ("supply", [], reader, false),
        ("members", [], reader, false),
        ("data", [], reader, false),
        ("consent", [hexString(named("patient 2"))], reader, false),
        ("lineage", [hexString(named("model 1"))], reader, false),
        ("supply", [], "site/east", true),
        ("balance", [reader], "coordinator/office", true),
        ("explain", ["north/n0"], "site/west", true),
    ]

    @Test("an asker gets what is its own")
    func permissions() throws {
        let ledger = try ReportLedger.study()
        let reporter = Reporter(store: ledger.store)
        for (report, arguments, asker, isAllowed) in Self.cases {
            let account: AccountID? = AccountID(asker)
            let someone = try #require(account)
            var refusal: ReportError?
            do {
                _ = try reporter.answer(
                    report: report, arguments: arguments, asker: someone)
            } catch let error as ReportError { refusal = error }
            #expect((refusal == nil) == isAllowed, "\(report) \(arguments) by \(asker)")
            if let refusal { #expect(refusal.code == "notPermitted", "\(refusal)") }
        }
    }

    @Test(
        "a question that makes no sense is refused by name",
        arguments: [
            ("weather", [], "unknownReport"), ("balance", [], "badArgument"),
            ("balance", ["x"], "badArgument"), ("score", ["site/north"], "badArgument"),
            ("worklist", ["annotator/nobody"], "notFound"), ("rounds", ["0"], "badArgument"),
            ("rounds", ["7"], "notFound"), ("explain", ["x"], "badArgument"),
            ("statement", ["site/north", "-1"], "badArgument"), ("consent", ["x"], "badArgument"),
            ("lineage", ["x"], "badArgument"),
        ])
    func nonsense(report: String, arguments: [String], code: String) throws {
        let ledger = try ReportLedger.study()
        let error = #expect(throws: ReportError.self) {
            try Reporter(store: ledger.store).answer(
                report: report, arguments: arguments, asker: nil)
        }
        #expect(error?.code == code, "\(String(describing: error))")
    }
}

@Suite("Worklists")
struct WorklistTests {
    private func states(_ ledger: ReportLedger, _ reader: Int) throws -> [WorklistItem] {
        try Reporter(store: ledger.store).worklist(of: ReportLedger.readers[reader]).items
    }

    @Test("a reader sees commit, wait, reveal, done and closed in turn")
    func turns() throws {
        let ledger = try ReportLedger()
        let readers = ReportLedger.readers
        try ledger.open(items: 1)
        #expect(try states(ledger, 0).map(\.state) == [.commit])
        #expect(try states(ledger, 0).map(\.until) == [6])
        #expect(try states(ledger, 0).map(\.commitment) == [nil])
        try ledger.block([(readers[0], try ledger.commits(0..<1, reader: 0))])
        #expect(try states(ledger, 0).map(\.state) == [.wait])
        #expect(try states(ledger, 1).map(\.state) == [.commit])
        try ledger.block((1...3).map { (readers[$0], try ledger.commits(0..<1, reader: $0)) })
        #expect(try states(ledger, 0).map(\.state) == [.reveal])
        #expect(try states(ledger, 0).map(\.until) == [7])
        #expect(try states(ledger, 0).allSatisfy { $0.commitment?.count == 64 })
        try ledger.block([(readers[0], try ledger.reveals(0..<1, reader: 0))])
        #expect(try states(ledger, 0).map(\.state) == [.done])
        for _ in 0..<3 { try ledger.block() }
        #expect(try states(ledger, 1).map(\.state) == [.missed])
        try ledger.block([(Consortium.coordinator, [.closeItem("north/n0")])])
        #expect(try states(ledger, 0).map(\.state) == [.closed])
    }

    @Test("who does not commit in time has missed, and the others may reveal")
    func window() throws {
        let ledger = try ReportLedger()
        try ledger.open(items: 1)
        try ledger.block([(ReportLedger.readers[0], try ledger.commits(0..<1, reader: 0))])
        for _ in 0..<3 { try ledger.block() }
        #expect(try states(ledger, 0).map(\.state) == [.reveal])
        #expect(try states(ledger, 1).map(\.state) == [.missed])
    }

    @Test("a list goes on after an item")
    func pages() throws {
        let ledger = try ReportLedger()
        try ledger.open(items: 12)
        let whole = try states(ledger, 0).map(\.item)
        let rest = try Reporter(store: ledger.store).worklist(
            of: ReportLedger.readers[0], after: itemID(whole[4]))
        #expect(whole.count == 12)
        #expect(rest.items.map(\.item) == Array(whole[5...]))
        #expect(rest.next == nil)
    }
}
