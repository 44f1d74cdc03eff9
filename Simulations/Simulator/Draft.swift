import Contracts
import Cryptography
import Ledger
import Wire

/// What is to change in the next term; the rest stays as it is.
struct Draft {
    var coordinator: Member?
    var entering: [Member] = []
    var rekeyed: [Member] = []
    var term: Term?

    /// Makes the document, as `tally governance propose` does, on a node's settled chain.
    func decision(on disk: Disk) throws -> Decision {
        let tip = disk.tip()
        let rules = tip.terms.newest
        var voters = rules.voters.keys
        var office = (account: rules.coordinator, key: rules.coordinatorKey)
        var leaving: [AccountID] = []
        if let coordinator {
            if coordinator.account != rules.coordinator { leaving = [rules.coordinator] }
            office = (coordinator.account, coordinator.signingKey)
        }
        for member in entering where try disk.listedMember(member.account) != nil {
            throw Refused("alreadyMember")
        }
        for member in rekeyed {
            guard try disk.listedMember(member.account) != nil else { throw Refused("unknown") }
            if member.account == office.account { office.key = member.signingKey }
        }
        let members = ([coordinator].compactMap { $0 } + entering + rekeyed)
            .sorted { $0.account < $1.account }
        for member in members {
            if let key = member.voteKey { voters[member.account] = key }
        }
        for account in leaving { voters[account] = nil }
        var wire = WireDecision()
        wire.term = (term ?? Term(rules.term.value + 1)).value
        wire.coordinator = office.account.text
        wire.coordinatorKey = data(office.key.bytes)
        wire.voters = VoterSet(keys: voters, majority: rules.agreement.chain.majorityQuorum).wire
        wire.members = members.map { data($0.bytes) }
        wire.leaving = leaving.map(\.text)
        wire.reason = "simulated"
        let decision = try Decision(strictly: wire.encoded(), network: disk.genesis.network)
        do {
            try check(decision, on: disk.state, at: tip.height.next)
        } catch { throw Refused("impossible", "\(error)") }
        return decision
    }
}
