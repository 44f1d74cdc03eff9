package import Cryptography
import Wire

/// Who votes: one vote key per organisation, accounts ascending.
package struct VoterSet: Hashable, Sendable {
    package let keys: [AccountID: VerifyingKey]
    package let quorum: Int
    /// In ascending order.
    package let accounts: [AccountID]

    /// A set with the consortium's quorum rule.
    ///
    /// ⌊2n/3⌋ + 1 of n; all of them for n ≤ 3, unless the agreement says majority.
    package init(keys: [AccountID: VerifyingKey], majority: Bool) {
        self.keys = keys
        accounts = keys.keys.sorted()
        let n = keys.count
        quorum = n <= 3 ? (majority ? n / 2 + 1 : n) : 2 * n / 3 + 1
    }

    package func encoded() -> [UInt8] {
        var wire = WireVoterSet()
        wire.quorum = UInt32(quorum)
        wire.voters = accounts.map { account in
            var voter = WireVoter()
            voter.account = account.text
            voter.voteKey = data(keys[account]?.bytes ?? [])
            return voter
        }
        return wire.encoded()
    }

    package func hash(network: NetworkID) -> Digest {
        payloadHash(.voters, network: network, encoded())
    }
}
