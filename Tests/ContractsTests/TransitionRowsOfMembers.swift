import Contracts
import Cryptography
import Ledger
import TestSupport
import Wire

private let (east, north) = (Consortium.east, Consortium.north)
private let reader = AccountID(.annotator, "east-1")
private let newcomer = AccountID(.annotator, "east-9")
private let patient = named("patient")
private let short = [UInt8](repeating: 1, count: 31)

private func document(signing: AccountID, transport: [UInt8]) throws -> [UInt8] {
    try signedMember(
        account: newcomer, signing: signingKey(of: signing), vote: nil, transport: transport,
        endpoint: "")
}

private func newKeys(of account: AccountID) throws -> [UInt8] {
    try signedMember(
        account: account, signing: SigningKey(seed: named("new signing key")), vote: nil,
        transport: named("new transport key"), endpoint: "")
}

/// The reader has left by a decision, which moves no money: its stake is where it was.
private func left(_ consortium: inout Consortium) throws {
    guard var state = consortium.read({ $0.member(reader) }) else { return }
    state.endedHeight = consortium.height.value
    consortium.corrupt(.members, Array(reader.text.utf8), state.encoded())
}

/// The site has enrolled that many readers.
private func enrolled(_ readers: UInt64, _ consortium: inout Consortium, by site: AccountID) {
    var count = WireSequenceState()
    count.last = readers
    consortium.corrupt(.sequences, Array("readers of \(site)".utf8), count.encoded())
}

extension TransitionTests {
    static let membershipRows = [
        TransitionRow(.notPermitted, "a reader enrols") {
            try $0.outcome(.enrol([1]), by: reader)
        },
        TransitionRow(.notPermitted, "a developer enrols") {
            try $0.outcome(.enrol(memberDocument(newcomer)), by: Consortium.developer)
        },
        TransitionRow(nil, "a reader's new keys, signed with its old one") {
            try $0.outcome(.rekey(newKeys(of: reader)), by: reader)
        },
        TransitionRow(.memberMalformed, "new keys without a document") {
            try $0.outcome(.rekey([1]), by: reader)
        },
        TransitionRow(.notAFoundingRole, "a site's new keys without a decision") {
            try $0.outcome(.rekey(memberDocument(east)), by: east)
        },
        TransitionRow(.notPermitted, "a site gives its reader new keys") {
            try $0.outcome(.rekey(newKeys(of: reader)), by: east)
        },
        TransitionRow(.keyInUse, "new keys that are another's") {
            let other = try signedMember(
                account: reader, signing: signingKey(of: AccountID(.annotator, "east-2")),
                vote: nil, transport: named("new"), endpoint: "")
            return try $0.outcome(.rekey(other), by: reader)
        },
        TransitionRow(nil, "a site revokes its reader") {
            try $0.outcome(.revoke(reader.text), by: east)
        },
        TransitionRow(nil, "a reader revokes itself") {
            try $0.outcome(.revoke(reader.text), by: reader)
        },
        TransitionRow(.unknownAccount, "revoking a reader twice") {
            try $0.applied([.revoke(reader.text)], by: reader)
            return try $0.outcome(.revoke(reader.text), by: north)
        },
        TransitionRow(.notPermitted, "another site sends on a stake that came back") {
            try left(&$0)
            return try $0.outcome(.revoke(reader.text), by: north)
        },
        TransitionRow(nil, "the coordinator sends on a stake that came back") {
            try left(&$0)
            return try $0.outcome(.revoke(reader.text), by: Consortium.coordinator)
        },
        TransitionRow(.notPermitted, "the coordinator revokes a site's reader") {
            try $0.outcome(.revoke(reader.text), by: Consortium.coordinator)
        },
        TransitionRow(.malformedField, "revoking what is no account") {
            try $0.outcome(.revoke("east"), by: east)
        },
        TransitionRow(.notAFoundingRole, "revoking a site without a decision") {
            try $0.outcome(.revoke(north.text), by: east)
        },
        TransitionRow(.unknownAccount, "revoking who is no member") {
            try $0.outcome(.revoke(newcomer.text), by: east)
        },
        TransitionRow(.notPermitted, "a site revokes its treasurer, whom the agreement names") {
            let treasurer = Consortium.treasurer
            guard var state = $0.read({ $0.member(treasurer) }) else { return nil }
            state.organisation = east.text
            $0.corrupt(.members, Array(treasurer.text.utf8), state.encoded())
            return try $0.outcome(.revoke(treasurer.text), by: east)
        },
        TransitionRow(nil, "the treasurer whom the agreement names revokes itself") {
            try $0.outcome(.revoke(Consortium.treasurer.text), by: Consortium.treasurer)
        },
        TransitionRow(.notPermitted, "revoking another site's reader") {
            try $0.outcome(.revoke(reader.text), by: north)
        },
        TransitionRow(.memberMalformed, "no document") { try $0.outcome(.enrol([1]), by: east) },
        TransitionRow(.memberMalformed, "a proof by another key") {
            var wire = try WireSignedMember(strictly: memberDocument(newcomer))
            wire.signingProof = data([UInt8](repeating: 1, count: 64))
            return try $0.outcome(.enrol(wire.encoded()), by: east)
        },
        TransitionRow(.notAFoundingRole, "a site that is a member") {
            try $0.outcome(.enrol(memberDocument(north)), by: east)
        },
        TransitionRow(.notAFoundingRole, "a second coordinator") {
            try $0.outcome(
                .enrol(memberDocument(AccountID(.coordinator, "second"))),
                by: Consortium.coordinator)
        },
        TransitionRow(
            .namedByAgreement, "the treasurer that the agreement names, whose keys differ"
        ) {
            let mine = try signedMember(
                account: Consortium.treasurer, signing: SigningKey(seed: named("mine")), vote: nil,
                transport: named("my transport"), endpoint: "")
            return try $0.outcome(.enrol(mine), by: east)
        },
        TransitionRow(
            .namedByAgreement, "the developer that the agreement names, by the coordinator"
        ) {
            try $0.outcome(
                .enrol(memberDocument(Consortium.developer)), by: Consortium.coordinator)
        },
        TransitionRow(nil, "a treasurer that the agreement does not name") {
            try $0.outcome(.enrol(memberDocument(AccountID(.treasurer, "other"))), by: east)
        },
        TransitionRow(.tooManyReaders, "a reader after a thousand, whose account exists") {
            enrolled(readersPerOrganisation, &$0, by: east)
            return try $0.outcome(.enrol(memberDocument(reader)), by: east)
        },
        TransitionRow(nil, "a developer after a thousand readers") {
            enrolled(readersPerOrganisation, &$0, by: east)
            return try $0.outcome(.enrol(memberDocument(AccountID(.developer, "new"))), by: east)
        },
        TransitionRow(nil, "a reader after a thousand of another site") {
            enrolled(readersPerOrganisation, &$0, by: north)
            return try $0.outcome(.enrol(memberDocument(newcomer)), by: east)
        },
        TransitionRow(nil, "the thousandth reader") {
            enrolled(readersPerOrganisation - 1, &$0, by: east)
            return try $0.outcome(.enrol(memberDocument(newcomer)), by: east)
        },
        TransitionRow(.tooManyReaders, "one more than the thousandth, after one has left") {
            enrolled(readersPerOrganisation - 1, &$0, by: east)
            try $0.applied([.enrol(memberDocument(newcomer))], by: east)
            try $0.applied([.revoke(newcomer.text)], by: east)
            return try $0.outcome(
                .enrol(memberDocument(AccountID(.annotator, "east-8"))), by: east)
        },
        TransitionRow(.notCustodian, "another site's patient as a member") {
            try $0.applied([.grant(patient)], by: north)
            return try $0.outcome(.enrol(memberDocument(patientAccount(patient))), by: east)
        },
        TransitionRow(.memberExists, "the same document, by another site") {
            try $0.outcome(.enrol(memberDocument(reader)), by: north)
        },
        TransitionRow(.keyInUse, "another reader's signing key") {
            try $0.outcome(
                .enrol(document(signing: reader, transport: named("new"))), by: east)
        },
        TransitionRow(.keyInUse, "another reader's transport key") {
            try $0.outcome(
                .enrol(document(signing: newcomer, transport: named("transport \(reader)"))),
                by: east)
        },
        TransitionRow(.keyInUse, "a site's vote key as its signing key") {
            let member = try signedMember(
                account: newcomer, signing: voteKey(of: east), vote: nil, transport: named("new"),
                endpoint: "")
            return try $0.outcome(.enrol(member), by: east)
        },
        TransitionRow(.keyInUse, "one key for two uses") {
            let key = try signingKey(of: newcomer).verifyingKey.bytes
            return try $0.outcome(.enrol(document(signing: newcomer, transport: key)), by: east)
        },
        TransitionRow(.insufficientBalance, "the reserve cannot advance the stake") { consortium in
            var agreement = testAgreement()
            agreement.rewards.supplyMicrotokens = 9_999_999
            consortium = try Consortium(agreement, enrolling: false)
            return try consortium.outcome(.enrol(memberDocument(reader)), by: east)
        },
        TransitionRow(nil, "a reader") {
            try $0.outcome(.enrol(memberDocument(newcomer)), by: east)
        },
        TransitionRow(nil, "a patient needs no stake") { consortium in
            var agreement = testAgreement()
            agreement.rewards.supplyMicrotokens = 1_000_003
            consortium = try Consortium(agreement, enrolling: false)
            return try consortium.outcome(
                .enrol(memberDocument(patientAccount(patient))), by: east)
        },
    ]

    static let consentRows = [
        TransitionRow(.notPermitted, "a reader grants") {
            try $0.outcome(.grant(short, []), by: reader)
        },
        TransitionRow(.notPermitted, "the coordinator grants") {
            try $0.outcome(.grant(patient), by: Consortium.coordinator)
        },
        TransitionRow(.malformedField, "a pseudonym of 31 bytes") {
            try $0.outcome(.grant(short, []), by: east)
        },
        TransitionRow(.purposesMalformed, "no purpose") {
            try $0.outcome(.grant(patient, [], notAfter: 1), by: east)
        },
        TransitionRow(.purposesMalformed, "one twice") {
            try $0.outcome(.grant(patient, [.training, .training]), by: east)
        },
        TransitionRow(.purposesMalformed, "descending") {
            try $0.outcome(.grant(patient, [.evaluation, .training]), by: east)
        },
        TransitionRow(.purposesMalformed, "unspecified") {
            try $0.outcome(.grant(patient, [.unspecified, .training]), by: east)
        },
        TransitionRow(.purposesMalformed, "unknown") {
            try $0.outcome(.grant(patient, [.training, .UNRECOGNIZED(5)]), by: east)
        },
        TransitionRow(.consentEnded, "the height before, at another's patient") {
            try $0.applied([.grant(patient)], by: north, at: 2)
            return try $0.outcome(.grant(patient, notAfter: 2), by: east, at: 3)
        },
        TransitionRow(.notCustodian, "another's patient") {
            try $0.applied([.grant(patient)], by: north)
            return try $0.outcome(.grant(patient), by: east)
        },
        TransitionRow(.consentsExhausted, "a 257th change") { consortium in
            for _ in 0..<intervalsPerPatient { try consortium.applied([.grant(patient)], by: east) }
            return try consortium.outcome(.grant(patient), by: east)
        },
        TransitionRow(nil, "a 256th change") { consortium in
            for _ in 1..<intervalsPerPatient { try consortium.applied([.grant(patient)], by: east) }
            return try consortium.outcome(.grant(patient), by: east)
        },
        TransitionRow(nil, "a withdrawal after the last change") { consortium in
            for _ in 0..<intervalsPerPatient { try consortium.applied([.grant(patient)], by: east) }
            return try consortium.outcome(.withdraw(patient, [.training]), by: east)
        },
        TransitionRow(nil, "up to this very height") {
            try $0.outcome(.grant(patient, notAfter: 2), by: east, at: 2)
        },
        TransitionRow(.notPermitted, "a reader withdraws") {
            try $0.outcome(.withdraw(short, []), by: reader)
        },
        TransitionRow(.malformedField, "a withdrawal for 33 bytes") {
            try $0.outcome(.withdraw(patient + [0], []), by: east)
        },
        TransitionRow(.purposesMalformed, "a withdrawal of nothing") {
            try $0.outcome(.withdraw(patient, []), by: east)
        },
        TransitionRow(.noConsentToWithdraw, "an unknown patient") {
            try $0.outcome(.withdraw(patient, [.training]), by: east)
        },
        TransitionRow(.notCustodian, "withdrawn by another site, and nothing to withdraw") {
            try $0.applied([.grant(patient, [.training])], by: north)
            return try $0.outcome(.withdraw(patient, [.sharing]), by: east)
        },
        TransitionRow(.noConsentToWithdraw, "a purpose never granted") {
            try $0.applied([.grant(patient, [.training])], by: east)
            return try $0.outcome(.withdraw(patient, [.evaluation, .sharing]), by: east)
        },
        TransitionRow(.noConsentToWithdraw, "withdrawn before") {
            try $0.applied([.grant(patient, [.training])], by: east)
            try $0.applied([.withdraw(patient, [.training])], by: east)
            return try $0.outcome(.withdraw(patient, [.training]), by: east)
        },
        TransitionRow(.noConsentToWithdraw, "lapsed before") {
            try $0.applied([.grant(patient, [.training], notAfter: 4)], by: east, at: 2)
            return try $0.outcome(.withdraw(patient, [.training]), by: east, at: 5)
        },
        TransitionRow(nil, "at the last height of the consent") {
            try $0.applied([.grant(patient, [.training], notAfter: 4)], by: east, at: 2)
            return try $0.outcome(.withdraw(patient, [.training]), by: east, at: 4)
        },
    ]

    static let recordRows = [
        TransitionRow(.notPermitted, "a reader registers") {
            try $0.outcome(.register("x", of: short, readers: ["x"]), by: reader)
        },
        TransitionRow(.malformedField, "no item name, of another site") {
            try $0.outcome(.register("north", of: patient, readers: ["x"]), by: east)
        },
        TransitionRow(.malformedField, "a pseudonym of 31 bytes") {
            try $0.outcome(.register("north/1", of: short, readers: ["x"]), by: east)
        },
        TransitionRow(.malformedField, "a tag of 31 bytes") {
            try $0.outcome(.register("north/1", of: patient, tag: short, readers: []), by: east)
        },
        TransitionRow(.malformedField, "an unspecified use") {
            try $0.outcome(
                .register("north/1", of: patient, use: .unspecified, readers: []), by: east)
        },
        TransitionRow(.malformedField, "an unknown use") {
            try $0.outcome(
                .register("north/1", of: patient, use: .UNRECOGNIZED(3), readers: []), by: east)
        },
        TransitionRow(.foreignItem, "an item of another site, which exists") {
            try $0.register([itemID("north/1")], readers: [], by: north)
            return try $0.outcome(.register("north/1", of: patient, readers: ["x"]), by: east)
        },
        TransitionRow(.itemExists, "a second time, without consent") {
            try $0.register([itemID("east/1")], readers: [], by: east)
            return try $0.outcome(.register("east/1", of: patient, readers: ["x"]), by: east)
        },
        TransitionRow(.itemExists, "the name of a duplicate") {
            try $0.applied([.grant(patient)], by: east)
            for item in ["east/1", "east/2"] {
                try $0.applied(
                    [.register(item, of: patient, tag: named("same"), readers: [])], by: east)
            }
            return try $0.outcome(.register("east/2", of: patient, readers: []), by: east)
        },
        TransitionRow(.noConsent, "an unknown patient") {
            try $0.outcome(.register("east/1", of: patient, readers: ["x"]), by: east)
        },
        TransitionRow(.notCustodian, "another's patient, who consented to something else") {
            try $0.applied([.grant(patient, [.sharing])], by: north)
            return try $0.outcome(.register("east/1", of: patient, readers: ["x"]), by: east)
        },
        TransitionRow(.noConsent, "consent for training only") {
            try $0.applied([.grant(patient, [.training])], by: east)
            return try $0.outcome(
                .register("east/1", of: patient, use: .evaluation, readers: ["x"]), by: east)
        },
        TransitionRow(.noConsent, "consent that has lapsed") {
            try $0.applied([.grant(patient, notAfter: 4)], by: east, at: 2)
            return try $0.outcome(.register("east/1", of: patient, readers: []), by: east, at: 5)
        },
        TransitionRow(.readersMalformed, "no account") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(.register("east/1", of: patient, readers: ["east-1"]), by: east)
        },
        TransitionRow(.readersMalformed, "no annotator") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(
                .register("east/1", of: patient, readers: ["site/east"]), by: east)
        },
        TransitionRow(.readersMalformed, "one twice") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(
                .register("east/1", of: patient, readers: [reader.text, reader.text]), by: east)
        },
        TransitionRow(.readersMalformed, "descending") {
            try $0.applied([.grant(patient)], by: east)
            let readers = Consortium.readers(of: east).reversed().map(\.text)
            return try $0.outcome(.register("east/1", of: patient, readers: readers), by: east)
        },
        TransitionRow(.readersMalformed, "65, of whom nobody is known") {
            try $0.applied([.grant(patient)], by: east)
            let readers = (100..<165).map { "annotator/\($0)" }
            return try $0.outcome(.register("east/1", of: patient, readers: readers), by: east)
        },
        TransitionRow(.readerNotEligible, "nobody of that name") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(
                .register("east/1", of: patient, readers: [newcomer.text]), by: east)
        },
        TransitionRow(.readerNotEligible, "a reader of another site") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(
                .register("east/1", of: patient, readers: ["annotator/north-1"]), by: east)
        },
        TransitionRow(nil, "an item with two readers") {
            try $0.applied([.grant(patient)], by: east)
            return try $0.outcome(
                .register(
                    "east/1", of: patient, readers: ["annotator/east-1", "annotator/east-4"]),
                by: east)
        },
    ]
}
