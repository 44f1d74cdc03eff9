import Commands
import Contracts
import Cryptography
import Ledger
import Messaging
import Node
import TestSupport
import Testing
import Wire

/// What is refused or told before anything is sent, when members are enrolled and records registered.
@Suite("Enrolling readers, and whom records can reach")
struct EnrolmentTests {
    private static let reader = AccountID(.annotator, "north-1")

    /// East's reader and two seniors, and north's first reader.
    private func enrolling(
        _ readers: [(AccountID, by: AccountID, as: [String])]
    ) throws -> ReportLedger {
        let ledger = try ReportLedger(drawnAgreement())
        try ledger.block(
            try readers.map { ($0.by, [.enrol(try memberDocument($0.0), as: $0.as)]) })
        return ledger
    }

    private func members(_ ledger: ReportLedger) throws -> [MemberEntry] {
        try Reporter(store: ledger.store).members().members
    }

    private func refusal(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return "\(error)" }
        return nil
    }

    @Test("a credential that the agreement does not know is refused, naming those it knows")
    func unknownCredential() throws {
        let drawn = drawnAgreement().annotation
        #expect(refusal { try checkCredentials(["senior", "reader"], drawn) } == nil)
        #expect(refusal { try checkCredentials([], drawn) } == nil)
        let typo = try #require(refusal { try checkCredentials(["reader", "raeder"], drawn) })
        #expect(typo.contains("\"raeder\"") && typo.contains("it knows reader and senior"))
        #expect(refusal { try checkCredentials(["raeder"], drawn, isInsisting: true) } == nil)
        let listed = testAgreement().annotation
        #expect(refusal { try checkCredentials(["reader"], listed) }?.contains("none") == true)
    }

    @Test("a reader without a credential is told of where panels are drawn, and only there")
    func withoutCredential() throws {
        let drawn = drawnAgreement().annotation
        let note = try #require(neverAsked([Self.reader], with: [], drawn))
        #expect(note.contains("annotator/north-1") && note.contains("reader or senior"))
        #expect(!note.contains("\n"))
        #expect(neverAsked([Self.reader], with: ["senior"], drawn) == nil)
        #expect(neverAsked([], with: [], drawn) == nil)
        #expect(neverAsked([Self.reader], with: [], testAgreement().annotation) == nil)
    }

    @Test("whoever is enrolled otherwise, revoked, or another's is refused with its own sentence")
    func enrolledAlready() throws {
        let ledger = try enrolling([(Self.reader, by: Consortium.north, as: ["reader"])])
        let member = try Member(strictly: memberDocument(Self.reader))
        func entry() throws -> MemberEntry? {
            try members(ledger).first { $0.account == Self.reader.text }
        }
        let known = try #require(try entry())
        #expect(known.credentials == ["reader"] && known.endedHeight == nil)
        func isKnown(_ credentials: [String], _ site: AccountID) throws -> Bool {
            try isEnrolled(member, as: credentials, by: site, known)
        }
        #expect(try isKnown(["reader"], Consortium.north))
        #expect(try !isEnrolled(member, as: [], by: Consortium.north, nil))
        let other = try #require(refusal { _ = try isKnown(["senior"], Consortium.north) })
        #expect(other.contains("with reader, not with senior") && other.contains("another name"))
        let bare = try #require(refusal { _ = try isKnown([], Consortium.north) })
        #expect(bare.contains("with reader, not without a credential"))
        let foreign = try #require(refusal { _ = try isKnown(["reader"], Consortium.east) })
        #expect(foreign.contains("was enrolled by site/north"))
        try ledger.block([(Consortium.north, [.revoke(Self.reader.text)])])
        let ended = try #require(try entry())
        #expect(ended.endedHeight == 2)
        let revoked = try #require(
            refusal { _ = try isEnrolled(member, as: ["reader"], by: Consortium.north, ended) })
        #expect(revoked.contains("was revoked, or left, at height 2"))
        let table = membersText(try Reporter(store: ledger.store).members())
        #expect(table.contains("credentials") && table.contains("ended at"))
        let row = try #require(table.split(separator: "\n").first { $0.contains("north-1") })
        #expect(
            row.split(separator: " ") == [
                "annotator/north-1", "site/north", "reader", "no", "1", "2", "-",
            ])
    }

    @Test(
        "who founded the network is passed over, and its name with other keys is the chain's to refuse"
    )
    func founders() throws {
        let ledger = try ReportLedger(drawnAgreement())
        let entry = try members(ledger).first { $0.account == Consortium.developer.text }
        let member = try Member(strictly: memberDocument(Consortium.developer))
        #expect(try isEnrolled(member, as: [], by: Consortium.west, entry))
        let other = try Member(
            strictly: signedMember(
                account: Consortium.developer, signing: SigningKey(seed: named("other")),
                vote: nil, transport: named("other transport"), endpoint: ""))
        #expect(try !isEnrolled(other, as: [], by: Consortium.west, entry))
    }

    @Test("the keys' end counts as told only after the transaction was taken, and only when said")
    func ownRevocation() {
        let site = "tcp://127.0.0.1:1"
        #expect(MessagingError.noMember(endpoint: site).saysKeysEnded)
        func timedOut(_ link: LinkState) -> MessagingError {
            .timedOut(endpoint: site, after: .seconds(1), link: link)
        }
        #expect(timedOut(.refused).saysKeysEnded)
        for link in [LinkState.neverReached, .lost, .connected] {
            #expect(!timedOut(link).saysKeysEnded)
        }
        #expect(!MessagingError.busy(endpoint: site).saysKeysEnded)
    }

    @Test("readers are counted as the draw does: credential, organisation, keys in force")
    func eligible() throws {
        let rule = drawnAgreement().annotation
        let enrolled = try enrolling([
            (AccountID(.annotator, "east-1"), by: Consortium.east, as: ["reader"]),
            (AccountID(.annotator, "east-2"), by: Consortium.east, as: []),
            (AccountID(.annotator, "east-3"), by: Consortium.east, as: ["reader"]),
            (AccountID(.annotator, "north-1"), by: Consortium.north, as: ["reader"]),
            (AccountID(.annotator, "office-1"), by: Consortium.coordinator, as: ["reader"]),
            (AccountID(.annotator, "west-s1"), by: Consortium.west, as: ["senior"]),
        ])
        let before = Eligible(try members(enrolled), for: Consortium.north, rule)
        #expect(before.readers == 2 && before.seniors == 1)
        try enrolled.block([(Consortium.east, [.revoke("annotator/east-3")])])
        let all = try members(enrolled)
        #expect(Eligible(all, for: Consortium.north, rule).readers == 1)
        let warning = try panelWarning(rule, for: Consortium.north, among: all)
        #expect(warning?.contains("asks 3 readers, and 1 of") == true, "\(warning ?? "none")")
        var own = rule
        own.panel = "own-site"
        #expect(Eligible(all, for: Consortium.north, own).readers == 1)
        #expect(Eligible(all, for: Consortium.west, own).readers == 0)
        #expect(
            try panelWarning(testAgreement().annotation, for: Consortium.north, among: []) == nil)
    }

    @Test("records that nobody can be asked about are refused; two seniors are somebody")
    func nobody() throws {
        let rule = drawnAgreement().annotation
        let none = try enrolling([
            (AccountID(.annotator, "north-1"), by: Consortium.north, as: ["reader"]),
            (AccountID(.annotator, "east-1"), by: Consortium.east, as: []),
            (AccountID(.annotator, "east-s1"), by: Consortium.east, as: ["senior"]),
        ])
        let refused = try #require(
            refusal {
                _ = try panelWarning(rule, for: Consortium.north, among: members(none))
            })
        #expect(refused.contains("nobody can be asked") && refused.contains("credential reader"))
        try none.block([
            (
                Consortium.west,
                [.enrol(try memberDocument(AccountID(.annotator, "west-s1")), as: ["senior"])]
            )
        ])
        #expect(try panelWarning(rule, for: Consortium.north, among: members(none)) != nil)
    }

    @Test(
        "rows that name readers are refused where panels are drawn, and revoked readers elsewhere")
    func namedReaders() throws {
        let ledger = try enrolling([(Self.reader, by: Consortium.north, as: [])])
        let text = "patient,record,use,readers\np,n1,training,north-1\n"
        let rows = try readRecords(
            CSVTable(bytes: Array(text.utf8), file: "records.csv", columns: recordColumns),
            features: [], site: "north")
        let listed = testAgreement().annotation
        func fault(_ rule: WireAnnotationRule, _ site: AccountID) throws -> String? {
            let members = try members(ledger)
            return refusal {
                try checkReaders(rows, rule, members: members, site: site)
            }
        }
        #expect(try fault(listed, Consortium.north) == nil)
        #expect(
            try fault(listed, Consortium.east)?.contains("is not enrolled by site/east") == true)
        #expect(
            try fault(drawnAgreement().annotation, Consortium.north)?.contains("are drawn") == true)
        try ledger.block([(Consortium.north, [.revoke(Self.reader.text)])])
        #expect(try fault(listed, Consortium.north)?.contains("is revoked") == true)
    }

    @Test("records that repeat registered content are named, those of others are not")
    func duplicatesOfAFile() throws {
        let ledger = try ReportLedger()
        let patient = named("patient")
        func record(_ item: String, _ content: String) -> WireTransaction {
            .register(item, of: patient, tag: named(content), readers: [])
        }
        try ledger.block([
            (
                ReportLedger.north,
                [
                    .grant(patient), record("north/a", "one"), record("north/b", "one"),
                    record("north/c", "two"), record("north/d", "two"),
                ]
            )
        ])
        let report = try Reporter(store: ledger.store).data()
        let items = try ["north/c", "north/b", "north/a"].map { try itemID($0) }
        #expect(duplicates(of: items, in: report) == ["north/b"])
        let text = duplicatesText(["north/b"], of: 3)
        #expect(text?.hasPrefix("1 of 3 records repeat content") == true)
        #expect(text?.hasSuffix("north/b") == true)
        #expect(duplicatesText([], of: 3) == nil)
    }

    @Test("a dispute's reason has at most 1,000 bytes, and stands on one line")
    func disputeReason() {
        #expect(disputeReasonFault("") == nil)
        #expect(disputeReasonFault(String(repeating: "é", count: 500)) == nil)
        let long = disputeReasonFault(String(repeating: "é", count: 501))
        #expect(long?.contains("--reason has 1002 bytes") == true)
        #expect(long?.contains("1000") == true)
        for text in ["two\nlines", "\u{1B}[2J", "a\u{202E}b", "nul\0"] {
            #expect(disputeReasonFault(text)?.contains("control character") == true)
        }
    }
}
