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

    package static func startRun(_ run: UInt32, from model: [UInt8]) -> Self {
        startRun(run, from: model, rounds: 0)
    }

    package static func offer(_ run: UInt32, _ records: [UInt8]) -> Self {
        offer(run, records, count: 1)
    }

    package static func fix(_ run: UInt32, _ root: [UInt8]) -> Self { fix(run, root, count: 3) }

    package static func submit(
        _ run: UInt32, _ round: UInt32, update: [UInt8], manifest: [UInt8]
    ) -> Self {
        submit(run, round, update: update, manifest: manifest, examples: 1)
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
