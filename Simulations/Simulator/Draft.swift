import Contracts
import Cryptography
import Federation
import Ledger
import Wire

/// What is to change in the next term; the rest stays as it is.
struct Draft {
    var coordinator: Member?
    var entering: [Member] = []
    var rekeyed: [Member] = []
    var term: Term?

    /// Makes the document for a node's head.
    ///
    /// What a term changed that is open and not settled is stated again: the next term may be opened
    /// above its first block, or below it.
    func decision(on core: Core) throws -> Decision {
        let rules = core.terms.newest
        var voters = rules.voters.keys
        var office = (account: rules.coordinator, key: rules.coordinatorKey)
        var leaving: Set<AccountID> = []
        var stated: [AccountID: Member] = [:]
        for opened in core.replica.unsettled.compactMap(\.block.opening?.decision) {
            for member in opened.members { stated[member.account] = member }
            leaving.formUnion(opened.leaving)
        }
        if let coordinator {
            if coordinator.account != rules.coordinator { leaving.insert(rules.coordinator) }
            office = (coordinator.account, coordinator.signingKey)
        }
        for member in rekeyed where member.account == office.account {
            office.key = member.signingKey
        }
        let changed = [coordinator].compactMap { $0 } + entering + rekeyed
        for member in changed { stated[member.account] = member }
        let members = stated.values.sorted { $0.account < $1.account }
        for member in changed {
            if let key = member.voteKey { voters[member.account] = key }
        }
        for account in leaving { voters[account] = nil }
        var wire = WireDecision()
        wire.term = (term ?? Term(rules.term.value + 1)).value
        wire.coordinator = office.account.text
        wire.coordinatorKey = data(office.key.bytes)
        wire.voters = VoterSet(keys: voters, majority: rules.agreement.chain.majorityQuorum).wire
        wire.members = members.map { data($0.bytes) }
        wire.leaving = leaving.sorted().map(\.text)
        wire.reason = "simulated"
        return try Decision(strictly: wire.encoded(), network: core.genesis.network)
    }
}
