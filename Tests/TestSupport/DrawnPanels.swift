import Contracts
import Cryptography
package import Ledger
package import Wire

/// An agreement whose panels are drawn from the other sites: 3, then 5, then 7 readers.
package func drawnAgreement(_ answer: String = "ordinal") -> WireAgreement {
    var agreement = testAgreement()
    agreement.annotation.answer = answer
    agreement.annotation.panel = "consortium"
    agreement.annotation.waves = [3, 5, 7]
    agreement.annotation.credential = "reader"
    agreement.annotation.seniorCredential = "senior"
    agreement.annotation.secretWindow = 5
    agreement.annotation.laterFeeMicrotokens = 1_000
    agreement.annotation.goldOrganisation = Consortium.coordinator.text
    agreement.annotation.goldWindow = 4
    return agreement
}

extension WireTransaction {
    package static func enrol(_ member: [UInt8], as credentials: [String]) -> Self {
        var transaction = enrol(member)
        transaction.memberEnrol.credentials = credentials
        return transaction
    }

    package static func openSeed(_ item: String, _ secret: [UInt8]) -> Self {
        var transaction = WireTransaction()
        transaction.seedOpen.item = item
        transaction.seedOpen.secret = data(secret)
        return transaction
    }

    package static func dispute(_ item: String, _ reason: String = "") -> Self {
        var transaction = WireTransaction()
        transaction.itemDispute.item = item
        transaction.itemDispute.reason = reason
        return transaction
    }

    package static func commitGold(_ commitment: [UInt8]) -> Self {
        var transaction = WireTransaction()
        transaction.goldCommit.commitment = data(commitment)
        return transaction
    }

    package static func revealGold(
        _ commitment: [UInt8], _ answers: [WireGoldAnswer], salt: [UInt8]
    ) -> Self {
        var transaction = WireTransaction()
        transaction.goldReveal.commitment = data(commitment)
        transaction.goldReveal.answers = answers
        transaction.goldReveal.salt = data(salt)
        return transaction
    }
}

extension Consortium {
    /// The two seniors of a site.
    package static func seniors(of site: AccountID) -> [AccountID] {
        (1...2).map { AccountID(.annotator, "\(site.name)-s\($0)") }
    }

    /// A consortium of drawn panels; block 1 enrols four readers and two seniors a site.
    package static func drawn(_ agreement: WireAgreement = drawnAgreement()) throws -> Self {
        var consortium = try Self(agreement, enrolling: false)
        for site in sites {
            let enrolments =
                try readers(of: site).map {
                    try WireTransaction.enrol(memberDocument($0), as: ["reader"])
                }
                + seniors(of: site).map { try .enrol(memberDocument($0), as: ["senior"]) }
            try consortium.applied(enrolments, by: site, at: 1)
        }
        return consortium
    }

    /// Enrols these readers and the two seniors of each of their sites, in block 1.
    package mutating func enrol(_ readers: [AccountID], of sites: [AccountID]) throws {
        for site in sites {
            let own = readers.filter { $0.name.hasPrefix(site.name) }
            try applied(
                own.map { try .enrol(memberDocument($0), as: ["reader"]) }
                    + Self.seniors(of: site).map {
                        try .enrol(memberDocument($0), as: ["senior"])
                    }, by: site, at: 1)
        }
    }

    /// The site's secret for an item.
    package func secret(of item: ItemID) -> [UInt8] { named("secret of \(item)") }

    /// The registration of an item of a drawn panel.
    package func drawnRecord(_ item: ItemID) -> WireTransaction {
        var transaction = WireTransaction.register(
            item.text, of: named("patient of \(item)"), readers: [])
        transaction.recordRegister.seedCommitment = data(
            seedCommitment(network: network, item: item, secret: secret(of: item)).bytes)
        return transaction
    }

    /// Registers items of drawn panels in the next block, with a patient each.
    package mutating func registerDrawn(_ items: [ItemID], by site: AccountID) throws {
        try applied(
            items.flatMap { [.grant(named("patient of \($0)")), drawnRecord($0)] }, by: site)
    }

    /// Registers items and opens the secrets two blocks later.
    package mutating func draw(_ items: [ItemID], by site: AccountID) throws {
        try registerDrawn(items, by: site)
        try applied(
            items.map { .openSeed($0.text, secret(of: $0)) }, by: site, at: height.value + 2)
    }

    /// Those who are asked about an item now.
    package func asked(_ item: ItemID) -> [AccountID] {
        (self.item(item)?.presentReaders ?? []).compactMap { AccountID($0) }
    }

    /// Those who are asked now answer these grades, in the order of their accounts, and the item
    /// closes or goes on.
    package mutating func answer(_ item: ItemID, _ grades: [UInt32]) throws {
        let answers = Dictionary(
            zip(asked(item), grades).map { ($0, $1) }, uniquingKeysWith: { first, _ in first })
        try annotate([item: answers])
    }

    /// Gold as an organisation commits to it.
    package func gold(_ grades: [ItemID: UInt32]) -> (
        commitment: [UInt8], answers: [WireGoldAnswer], salt: [UInt8]
    ) {
        let answers = grades.sorted { $0.key < $1.key }.map { item, grade in
            var answer = WireGoldAnswer()
            answer.item = item.text
            answer.answer = data(Answer.grade(grade).bytes)
            return answer
        }
        let salt = named("gold salt")
        return (
            goldCommitment(
                network: network, organisation: Self.coordinator, answers: answers, salt: salt
            ).bytes, answers, salt
        )
    }
}
