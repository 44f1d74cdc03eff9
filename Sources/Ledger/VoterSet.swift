package import Cryptography
package import Wire

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
        quorum = Self.quorum(of: keys.count, majority: majority)
    }

    /// A set as a decision states it; nil unless each voter stands there once, ascending, with a key
    /// of its own, and the quorum is one of the two that an agreement can ask for.
    package init?(_ wire: WireVoterSet) {
        var keys: [AccountID: VerifyingKey] = [:]
        var last: AccountID?
        for voter in wire.voters {
            guard let account = AccountID(voter.account), account.role?.votes == true,
                let key = VerifyingKey(voter.voteKey), last.map({ $0 < account }) ?? true
            else { return nil }
            last = account
            keys[account] = key
        }
        let count = keys.count
        let quorum = Int(wire.quorum)
        guard count > 0, Set(keys.values).count == count,
            [true, false].contains(where: { Self.quorum(of: count, majority: $0) == quorum })
        else { return nil }
        self.keys = keys
        accounts = keys.keys.sorted()
        self.quorum = quorum
    }

    private static func quorum(of n: Int, majority: Bool) -> Int {
        n <= 3 ? (majority ? n / 2 + 1 : n) : 2 * n / 3 + 1
    }

    package func encoded() -> [UInt8] { wire.encoded() }

    package var wire: WireVoterSet {
        var wire = WireVoterSet()
        wire.quorum = UInt32(quorum)
        wire.voters = accounts.map { account in
            var voter = WireVoter()
            voter.account = account.text
            voter.voteKey = data(keys[account]?.bytes ?? [])
            return voter
        }
        return wire
    }

    package func hash(network: NetworkID) -> Digest {
        payloadHash(.voters, network: network, encoded())
    }
}
