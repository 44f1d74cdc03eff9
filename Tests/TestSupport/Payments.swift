import Cryptography
package import Ledger
package import Wire

extension WireTransaction {
    package static func transfer(
        to account: String, _ microtokens: UInt64, reference: String = ""
    ) -> Self {
        var transaction = WireTransaction()
        transaction.transfer.to = account
        transaction.transfer.microtokens = microtokens
        transaction.transfer.reference = reference
        return transaction
    }

    package static func redeem(_ microtokens: UInt64) -> Self {
        var transaction = WireTransaction()
        transaction.redemptionRequest.microtokens = microtokens
        return transaction
    }

    package static func payOut(
        _ envelope: [UInt8], index: UInt32 = 0, reference: String
    ) -> Self {
        var transaction = WireTransaction()
        transaction.redemptionPay.envelope = data(envelope)
        transaction.redemptionPay.index = index
        transaction.redemptionPay.reference = reference
        return transaction
    }

    package static func accept(_ envelope: [UInt8], index: UInt32 = 0) -> Self {
        var transaction = WireTransaction()
        transaction.redemptionAccept.envelope = data(envelope)
        transaction.redemptionAccept.index = index
        return transaction
    }

    package static func giveUp(_ envelope: [UInt8], index: UInt32 = 0) -> Self {
        var transaction = WireTransaction()
        transaction.redemptionCancel.envelope = data(envelope)
        transaction.redemptionCancel.index = index
        return transaction
    }

    package static func claimKey(_ patient: [UInt8], _ key: [UInt8]) -> Self {
        var transaction = WireTransaction()
        transaction.claimKey.patient = data(patient)
        transaction.claimKey.key = data(key)
        return transaction
    }

    package static func correction(
        _ envelope: [UInt8], posting: UInt32 = 0, _ original: WirePosting, returned: UInt64,
        reason: String = "wrong"
    ) -> Self {
        var transaction = WireTransaction()
        transaction.correction.envelope = data(envelope)
        transaction.correction.posting = posting
        transaction.correction.debit = original.debit
        transaction.correction.credit = original.credit
        transaction.correction.microtokens = original.microtokens
        transaction.correction.returned = returned
        transaction.correction.reason = reason
        return transaction
    }

    package static func revenue(
        of model: [UInt8], _ microtokens: UInt64, reference: String
    ) -> Self {
        var transaction = WireTransaction()
        transaction.revenuePost.model = data(model)
        transaction.revenuePost.microtokens = microtokens
        transaction.revenuePost.reference = reference
        return transaction
    }
}

/// A claim, signed by the key that a name stands for.
package func claimTransaction(
    of patient: [UInt8], to account: String, _ microtokens: UInt64 = 0, number: UInt64 = 1,
    key: String = "claim", network: NetworkID
) throws -> WireTransaction {
    var statement = WireClaimStatement()
    statement.patient = data(patient)
    statement.to = account
    statement.microtokens = microtokens
    statement.number = number
    let bytes = statement.encoded()
    let signature = try SigningKey(seed: named(key))
        .sign(payload(.claim, network: network, bytes))
    var transaction = WireTransaction()
    transaction.claim.statement = data(bytes)
    transaction.claim.signature = data(signature.bytes)
    return transaction
}

/// The public key of the claim key that a name stands for.
package func claimKey(_ name: String = "claim") throws -> [UInt8] {
    try SigningKey(seed: named(name)).verifyingKey.bytes
}
