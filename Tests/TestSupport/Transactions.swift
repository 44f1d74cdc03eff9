import Cryptography
package import Ledger
package import Wire

extension WireTransaction {
    private init(_ body: OneOf_Body) {
        self.init()
        self.body = body
    }

    package static func enrol(_ member: [UInt8]) -> Self {
        var body = WireMemberEnrol()
        body.member = data(member)
        return Self(.memberEnrol(body))
    }

    package static func rekey(_ member: [UInt8]) -> Self {
        var transaction = WireTransaction()
        transaction.memberRekey.member = data(member)
        return transaction
    }

    package static func revoke(_ account: String) -> Self {
        var transaction = WireTransaction()
        transaction.memberRevoke.account = account
        return transaction
    }

    package static func grant(
        _ patient: [UInt8], _ purposes: [WirePurpose] = [.training, .evaluation],
        waive: Bool = false, notAfter: UInt64 = 0
    ) -> Self {
        var body = WireConsentGrant()
        body.patient = data(patient)
        body.purposes = purposes
        body.waiveReward = waive
        body.notAfterHeight = notAfter
        return Self(.consentGrant(body))
    }

    package static func withdraw(_ patient: [UInt8], _ purposes: [WirePurpose]) -> Self {
        var body = WireConsentWithdraw()
        body.patient = data(patient)
        body.purposes = purposes
        return Self(.consentWithdraw(body))
    }

    /// The content tag is that of content which no other record has, unless one is given.
    package static func register(
        _ item: String, of patient: [UInt8], tag: [UInt8]? = nil, use: WireRecordUse = .training,
        readers: [String]
    ) -> Self {
        var body = WireRecordRegister()
        body.item = item
        body.patient = data(patient)
        body.contentTag = data(tag ?? Digest.sha256(Array("content \(item)".utf8)).bytes)
        body.use = use
        body.readers = readers
        return Self(.recordRegister(body))
    }

    package static func commit(_ item: String, _ commitment: [UInt8]) -> Self {
        var body = WireAnswerCommit()
        body.item = item
        body.commitment = data(commitment)
        return Self(.answerCommit(body))
    }

    package static func reveal(_ item: String, _ grade: UInt32, salt: [UInt8]) -> Self {
        var body = WireAnswerReveal()
        body.item = item
        body.grade = grade
        body.salt = data(salt)
        return Self(.answerReveal(body))
    }

    package static func closeItem(_ item: String) -> Self {
        var body = WireItemClose()
        body.item = item
        return Self(.itemClose(body))
    }

    package static func closePeriod(_ period: UInt32) -> Self {
        var body = WirePeriodClose()
        body.period = period
        return Self(.periodClose(body))
    }

    package static func startRun(_ run: UInt32, from model: [UInt8], rounds: UInt32 = 0) -> Self {
        var body = WireRunStart()
        body.run = run
        body.initialModel = data(model)
        body.rounds = rounds
        return Self(.runStart(body))
    }

    package static func stopRun(_ run: UInt32) -> Self {
        var body = WireRunStop()
        body.run = run
        return Self(.runStop(body))
    }

    package static func offer(_ run: UInt32, _ records: [UInt8], count: UInt32 = 1) -> Self {
        var body = WireReferenceOffer()
        body.run = run
        body.records = data(records)
        body.count = count
        return Self(.referenceOffer(body))
    }

    package static func fix(_ run: UInt32, _ root: [UInt8], count: UInt32 = 3) -> Self {
        var body = WireReferenceFix()
        body.run = run
        body.root = data(root)
        body.count = count
        return Self(.referenceFix(body))
    }

    package static func openRound(_ run: UInt32, _ round: UInt32, base: [UInt8]) -> Self {
        var body = WireRoundOpen()
        body.run = run
        body.round = round
        body.baseModel = data(base)
        return Self(.roundOpen(body))
    }

    package static func submit(
        _ run: UInt32, _ round: UInt32, update: [UInt8], manifest: [UInt8], examples: UInt32 = 1
    ) -> Self {
        var body = WireUpdateSubmit()
        body.run = run
        body.round = round
        body.update = data(update)
        body.manifest = data(manifest)
        body.examples = examples
        return Self(.updateSubmit(body))
    }

    /// `values` is the digest of the values' bytes.
    package static func checked(
        _ run: UInt32, _ round: UInt32, model: [UInt8], values: [UInt8]
    ) -> Self {
        var body = WireRoundChecked()
        body.run = run
        body.round = round
        body.model = data(model)
        body.values = data(values)
        return Self(.roundChecked(body))
    }

    /// `values` are the values' own bytes.
    package static func closeRound(
        _ run: UInt32, _ round: UInt32, model: [UInt8], values: [UInt8]
    ) -> Self {
        var body = WireRoundClose()
        body.run = run
        body.round = round
        body.model = data(model)
        body.values = data(values)
        return Self(.roundClose(body))
    }

    package static func expire(_ window: String) -> Self {
        var body = WireWindowExpire()
        body.window = window
        return Self(.windowExpire(body))
    }
}

/// Thirty-two bytes that a name stands for: a pseudonym, a model, a blob.
package func named(_ name: String) -> [UInt8] { Digest.sha256(Array(name.utf8)).bytes }

/// A text that is not an item's name.
package struct NotAnItem: Error { let text: String }

package func itemID(_ text: String) throws -> ItemID {
    guard let item = ItemID(text) else { throw NotAnItem(text: text) }
    return item
}

/// A reader's salt for an item.
package func salt(of reader: AccountID, for item: ItemID, network: NetworkID) throws -> [UInt8] {
    hmacSHA256(
        key: try signingKey(of: reader).derivedSecret(label: "answers"),
        network.digest.bytes + Array(item.text.utf8)
    ).bytes
}
