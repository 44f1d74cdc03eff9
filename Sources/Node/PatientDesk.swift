import Contracts
import Cryptography
import Ledger
import Storage
import Training
import Wire

/// A local request that cannot be made into transactions; nothing was kept or sent.
struct DeskRefusal: Error, CustomStringConvertible {
    let description: String
}

/// Turns a hospital's rows into transactions: patients become pseudonyms, records content tags.
struct PatientDesk: Sendable {
    let site: AccountID
    /// In force at the moment.
    let agreement: @Sendable () throws -> WireAgreement
    let patients: PatientStore
    let contentKey: [UInt8]
    /// From which the secrets of drawn panels come.
    let panelKey: [UInt8]
    let network: NetworkID

    func pseudonym(of patient: String) throws -> [UInt8] {
        guard let pseudonym = try patients.pseudonym(of: patient) else {
            throw DeskRefusal(description: "this site knows no patient of that identifier")
        }
        return pseudonym
    }

    func consent(_ request: WireConsentRequest) throws -> [WireTransaction] {
        let grants = try request.grants.map { ($0, try purposes($0.purposes)) }
        let withdrawals = try request.withdrawals.map { ($0, try purposes($0.purposes)) }
        let known = try withdrawals.map { try pseudonym(of: $0.0.patient) }
        let pseudonyms = try patients.enrol(grants.map(\.0.patient))
        var transactions: [WireTransaction] = []
        for ((grant, purposes), pseudonym) in zip(grants, pseudonyms) {
            var transaction = WireTransaction()
            transaction.consentGrant.patient = data(pseudonym)
            transaction.consentGrant.purposes = purposes
            transaction.consentGrant.waiveReward = grant.waiveReward
            transaction.consentGrant.notAfterHeight = request.notAfterHeight
            transactions.append(transaction)
        }
        for ((_, purposes), pseudonym) in zip(withdrawals, known) {
            var transaction = WireTransaction()
            transaction.consentWithdraw.patient = data(pseudonym)
            transaction.consentWithdraw.purposes = purposes
            transactions.append(transaction)
        }
        return transactions
    }

    func records(_ request: WireRecordsRequest) throws -> [WireTransaction] {
        let agreement = try agreement()
        let features = agreement.training.features
        guard request.features == features else {
            throw DeskRefusal(
                description: "the features must be, in this order: "
                    + features.joined(separator: ", "))
        }
        var held: [HeldRecord] = []
        var transactions: [WireTransaction] = []
        for row in request.records {
            let place = "record \"\(row.record)\""
            guard let item = ItemID("\(site.name)/\(row.record)") else {
                throw DeskRefusal(
                    description: "\(place): the name must be 1 to 64 of a-z 0-9 . _ -")
            }
            guard let pseudonym = try patients.pseudonym(of: row.patient) else {
                throw DeskRefusal(
                    description: "\(place): its patient has no consent; grant it first with "
                        + "`tally consent grant`")
            }
            let content: [UInt8]
            do {
                content = try canonicalRecord(
                    features: zip(request.features, row.features).map { (name: $0, value: $1) })
            } catch { throw DeskRefusal(description: "\(place): a feature is not a finite number") }
            guard row.features.count == request.features.count else {
                throw DeskRefusal(description: "\(place): not one value for each feature")
            }
            guard let use = recordUse(row.use) else {
                throw DeskRefusal(description: "\(place): use must be training or evaluation")
            }
            held.append(
                HeldRecord(
                    item: item, pseudonym: pseudonym, content: content,
                    isTraining: use == .training))
            var transaction = WireTransaction()
            transaction.recordRegister.item = item.text
            transaction.recordRegister.patient = data(pseudonym)
            transaction.recordRegister.contentTag = data(hmacSHA256(key: contentKey, content).bytes)
            transaction.recordRegister.use = use
            transaction.recordRegister.readers = row.readers
            transaction.recordRegister.width = row.width
            transaction.recordRegister.height = row.height
            if agreement.annotation.isDrawn {
                let secret = panelSecret(secret: panelKey, network: network, item: item)
                transaction.recordRegister.seedCommitment = data(
                    seedCommitment(network: network, item: item, secret: secret).bytes)
            }
            transactions.append(transaction)
        }
        try patients.keep(held)
        return transactions
    }

    private func purposes(_ names: [String]) throws -> [WirePurpose] {
        let purposes = try names.map { name -> WirePurpose in
            switch name {
            case "training": .training
            case "evaluation": .evaluation
            case "sharing": .sharing
            case "commercial": .commercial
            default:
                throw DeskRefusal(
                    description: "unknown purpose \"\(name)\"; there are training, evaluation, "
                        + "sharing and commercial")
            }
        }
        return Set(purposes).sorted { $0.rawValue < $1.rawValue }
    }

    private func recordUse(_ name: String) -> WireRecordUse? {
        switch name {
        case "training": .training
        case "evaluation": .evaluation
        default: nil
        }
    }
}
