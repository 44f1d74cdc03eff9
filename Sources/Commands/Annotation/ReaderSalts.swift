package import Contracts
package import Cryptography
package import Ledger

/// The salts of a reader's answers, derived from its keys instead of kept.
///
/// A reader may change keys between commit and reveal: what it committed under the other key still
/// opens, as long as its home has both.
package struct ReaderSalts: Sendable {
    private let account: AccountID
    private let network: NetworkID
    /// Of the present key, then of the others.
    private let secrets: [[UInt8]]

    package init(account: AccountID, network: NetworkID, key: SigningKey, others: [SigningKey]) {
        self.account = account
        self.network = network
        secrets = ([key] + others).map { $0.derivedSecret(label: "tally/salt/v1") }
    }

    private func commitment(_ item: ItemID, _ answer: Answer, _ salt: [UInt8]) -> Digest {
        answerCommitment(
            network: network, item: item, annotator: account, answer: answer, salt: salt)
    }

    private func salts(_ item: ItemID) -> [[UInt8]] {
        secrets.map { answerSalt(secret: $0, network: network, item: item) }
    }

    /// What a new commitment to an answer is, under the present key.
    package func commitment(to answer: Answer, of item: ItemID) -> Digest {
        commitment(item, answer, salts(item)[0])
    }

    /// The salt with which an answer opens a commitment, given in hex.
    ///
    /// - Returns: nil when it was another answer, or a key that the home has not any more.
    package func salt(opening commitment: String, _ answer: Answer, of item: ItemID) -> [UInt8]? {
        salts(item).first { self.commitment(item, answer, $0).hex == commitment }
    }
}
