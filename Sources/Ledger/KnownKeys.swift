package import Cryptography

/// Whose keys are known to whom, from what a checker trusts: genesis, decisions, the registry.
///
/// Keys stay their member's for ever, also when newer ones replaced them: what was signed under
/// an old key stays signed.
package struct KnownKeys: Hashable, Sendable {
    private var owners: [VerifyingKey: AccountID] = [:]

    package init() {}

    package init(genesis: Genesis) {
        for member in genesis.members { add(member) }
    }

    /// The first owner of a key keeps it.
    package mutating func add(_ key: VerifyingKey, of account: AccountID) {
        owners[key] = owners[key] ?? account
    }

    package mutating func add(_ member: Member) {
        add(member.signingKey, of: member.account)
        if let key = member.voteKey { add(key, of: member.account) }
    }

    package mutating func add(_ decision: Decision) {
        for member in decision.members { add(member) }
        add(decision.coordinatorKey, of: decision.coordinator)
        for (account, key) in decision.voters.keys { add(key, of: account) }
    }

    package func isKey(_ key: VerifyingKey, of account: AccountID) -> Bool {
        owners[key] == account
    }
}
